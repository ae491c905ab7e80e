import ArgumentParser
import Commands
import ReportStore

/// `bcfg2-admin reportsstats`.
struct ReportsStats: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "reportsstats", abstract: "Print Reporting database statistics.")

  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    Self.show(try context.reports().counts())
    return 0
  }

  static func show(_ counts: [(model: String, count: Int)]) {
    Output.print(counts.map { "\($0.model) has \($0.count) records" })
  }
}
