import ArgumentParser
import Commands
import Databases
import ReportStore
import ServerSettings

/// `bcfg2-admin reports`, of Bcfg2 1.3.
struct OldReports: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "reports", abstract: "The modes for reports by their names of Bcfg2 1.3.",
    usage: "bcfg2-admin reports init|update|syncdb|purge|scrub|stats|sqlall|dbshell|validate")

  private static let usage = """
    reports [command] [options]
      Commands:
        init                 Initialize the database
        purge                Purge records
          --client [n]       Client to operate on
          --days   [n]       Records older then n days
          --expired          Expired clients only
        scrub                Scrub the database for orphaned entries
        stats                print database statistics
        update               Apply any updates to the reporting database

        dbshell              Open the database with its own client
        sqlall               Print the statements that make the tables
        validate             Check that the tables are what they should be
    """

  @ArgumentParser.OptionGroup var common: SharedArguments

  @Argument(
    parsing: .captureForPassthrough, help: "A command and its options.",
    completion: .list(["init", "update", "syncdb", "purge", "scrub", "stats", "sqlall", "dbshell", "validate"]))
  var words: [String] = []

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    let arguments = words.dropFirst()
    switch words.first {
    case nil, "-h", "--help": throw AdminProblem(Self.usage)
    case "init", "update", "syncdb": try TableMaking.run(try context.settings(), as: "Update")
    case "purge":
      let purge = try Self.purge(Array(arguments))
      let store = try context.reports()
      try Purging.withCounts(store, Self.classes) {
        try Purging.run(purge, store, refusal: "Reports.prune: Refusing to prune all data")
      } tell: { name, count in
        Output.print("\(name) removed: \(count)")
      }
    case "scrub": try Purging.scrub(try context.reports())
    case "stats":
      let counts = Dictionary(try context.reports().counts().map { ($0.model, $0.count) }) { first, _ in first }
      ReportsStats.show(Self.classes.map { ($0, counts[$0] ?? 0) })
    case "sqlall": ReportsSQLAll.show(try context.settings().reportingDatabase.engine)
    case "dbshell": try DatabaseClient(try context.settings().reportingDatabase).start()
    case "validate": return try ValidateDB.check(try context.settings())
    case "shell":
      throw AdminProblem("reports shell: this server has no Django and no models to work on; see dbshell")
    case let word?: throw AdminProblem("Unknown command: \(word)")
    }
    return 0
  }

  /// The classes that 1.3 counts, in its order.
  static let classes = [
    "Client", "Interaction", "Performance", "FailureEntry", "ActionEntry", "PathEntry", "PackageEntry", "ServiceEntry",
    "Group", "Bundle",
  ]

  /// Reads the options of `purge`. Unknown ones have no effect in 1.3; here they are mistakes.
  static func purge(_ words: [String]) throws -> Purge {
    var purge = Purge()
    var rest = words[...]
    while let word = rest.popFirst() {
      switch word {
      case "-c", "--client":
        guard purge.client == nil else { throw AdminProblem("Only one client per run") }
        guard let client = rest.popFirst() else { throw AdminProblem("\(word) needs a client") }
        purge.client = client
      case "--days":
        guard purge.days == nil else { throw AdminProblem("Max date specified multiple times") }
        let text = rest.popFirst() ?? ""
        guard let days = Int(text), Purge.days.contains(days) else {
          throw AdminProblem("Invalid number of days: \(text)")
        }
        purge.days = days
      case "--expired": purge.isForExpired = true
      default: throw AdminProblem("Unknown option of reports purge: \(word)")
      }
    }
    if purge.isForExpired, purge.client != nil {
      throw AdminProblem("--client: not allowed with --expired, which is for all clients")
    }
    return purge
  }
}
