import ArgumentParser
import Commands
import Databases
import ReportStore
import ServerSettings

/// `bcfg2-admin reportssqlall`.
struct ReportsSQLAll: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "reportssqlall", abstract: "Print the statements that make the tables of reports.")

  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    Self.show(try context.settings().reportingDatabase.engine)
    return 0
  }

  static func show(_ engine: DatabaseEngine) {
    Output.print(ReportStore.statements(for: engine).map { "\($0);" })
  }
}
