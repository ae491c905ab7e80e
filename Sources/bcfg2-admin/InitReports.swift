import ArgumentParser
import Commands
import Databases
import Logging
import ReportStore
import ServerSettings

/// A mode that makes the tables: three names of one thing.
protocol TableMakingMode: AdminMode {
  /// What the message of a failure begins with: Bcfg2's words.
  static var subject: String { get }
}

extension TableMakingMode {
  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    try TableMaking.run(try context.settings(), as: Self.subject)
    return 0
  }
}

/// `bcfg2-admin initreports`.
struct InitReports: TableMakingMode {
  static let configuration = CommandConfiguration(
    commandName: "initreports", abstract: "Initialize the Reporting database.", discussion: TableMaking.discussion)
  static let subject = "Initreports"
  @ArgumentParser.OptionGroup var common: SharedArguments
}

/// `bcfg2-admin updatereports`.
struct UpdateReports: TableMakingMode {
  static let configuration = CommandConfiguration(
    commandName: "updatereports", abstract: "Apply updates to the reporting database.",
    discussion: TableMaking.discussion)
  static let subject = "Updatereports"
  @ArgumentParser.OptionGroup var common: SharedArguments
}

/// `bcfg2-admin syncdb`.
struct SyncDB: TableMakingMode {
  static let configuration = CommandConfiguration(
    commandName: "syncdb", abstract: "Make the tables of plugins that keep data in the database.",
    discussion: TableMaking.discussion)
  static let subject = "Database update"
  @ArgumentParser.OptionGroup var common: SharedArguments
}

/// Makes the tables of the server and of reports in both databases, as Django's migrations do.
enum TableMaking {
  static let discussion = """
    Makes the tables that are missing in the databases of bcfg2.conf and brings those of earlier versions up to date. \
    initreports, updatereports and syncdb do the same.
    """

  /// - Parameter name: what the message of a failure begins with.
  @MainActor static func run(_ settings: Settings, as name: String) throws {
    try settings.useReportZone()
    let logger = Logger(label: Bcfg2Admin.program)
    let (server, reporting) = (try settings.serverDatabase, try settings.reportingDatabase)
    for place in server == reporting ? [server] : [server, reporting] {
      do {
        let changed = try ReportStore(try Databases.open(place, createsFile: true)).prepare()
        logger.info("\(place.name): \(changed ? "tables were made or changed" : "all tables are there")")
      } catch {
        throw AdminProblem("\(name) failed: \(error)")
      }
    }
  }
}
