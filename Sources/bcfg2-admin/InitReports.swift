import ArgumentParser
import Commands
import Databases
import Logging
import ReportStore
import ServerSettings

/// `bcfg2-admin initreports`.
struct InitReports: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "initreports", abstract: "Initialize the Reporting database.",
    discussion:
      "Makes the tables that are missing in the databases of bcfg2.conf and brings those of earlier versions up to date."
  )

  @ArgumentParser.OptionGroup var common: ConfigurationArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    try TableMaking.run(try context.settings(), as: "Initreports")
    return 0
  }
}

/// `bcfg2-admin updatereports`.
struct UpdateReports: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "updatereports", abstract: "Apply updates to the reporting database.",
    discussion: "The same as initreports.")

  @ArgumentParser.OptionGroup var common: ConfigurationArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    try TableMaking.run(try context.settings(), as: "Updatereports")
    return 0
  }
}

/// `bcfg2-admin syncdb`.
struct SyncDB: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "syncdb", abstract: "Make the tables of plugins that keep data in the database.",
    discussion: "The same as initreports.")

  @ArgumentParser.OptionGroup var common: ConfigurationArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    try TableMaking.run(try context.settings(), as: "Database update")
    return 0
  }
}

/// Makes the tables of the server and of reports in both databases, as Django's migrations do.
enum TableMaking {
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
