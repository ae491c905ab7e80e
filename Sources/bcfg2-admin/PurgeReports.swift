import ArgumentParser
import Commands
import Logging
import ReportStore

/// `bcfg2-admin purgereports`.
struct PurgeReports: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "purgereports", abstract: "Purge records from the Reporting database.",
    discussion: """
      A client that has no interaction left is purged itself, also by --days and --state. The report collector's \
      `[reporting] keep` purges old interactions and keeps every client.
      """)

  enum State: String, ExpressibleByArgument, CaseIterable { case dirty, clean, modified }

  @ArgumentParser.Option(help: "Client to operate on.")
  var client: String?

  @ArgumentParser.Option(help: ArgumentHelp("Records older than N days.", valueName: "N"))
  var days: Int?

  @Flag(help: "Expired clients only.")
  var expired = false

  @ArgumentParser.Option(help: "Purge entries in state.")
  var state: State?

  @ArgumentParser.OptionGroup var common: SharedArguments

  func validate() throws {
    if expired, state != nil { throw ValidationError("--state: not allowed with --expired") }
    if expired, client != nil {
      throw ValidationError("--client: not allowed with --expired, which is for all clients")
    }
    if let days, !Purge.days.contains(days) { throw ValidationError("--days: not a number of days: \(days)") }
  }

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    let store = try context.reports()
    let logger = Logger(label: Bcfg2Admin.program)
    // As for Python, 0 days are none.
    let purge = Purge(client: client, days: days == 0 ? nil : days, isForExpired: expired, state: state?.rawValue)
    try Purging.withCounts(store, try store.counts().map(\.model)) {
      try Purging.run(
        purge, store, refusal: "Refusing to prune all data. Specify an option to \(Self._commandName)")
    } tell: { name, count in
      logger.info("Purged \(count) \(name) records")
    }
    return 0
  }
}

/// What is to be purged.
struct Purge {
  /// What can be counted back from now.
  static let days = 0...1_000_000

  var client: String?
  var days: Int?
  var isForExpired = false
  var state: String?
}
