import ArgumentParser
import Commands
import ReportStore

/// `bcfg2-admin scrubreports`.
struct ScrubReports: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "scrubreports", abstract: "Perform a thorough scrub and cleanup of the Reporting database.")

  @Flag(help: "Also what Bcfg2 leaves: entries of SELinux, users and groups, and permissions.")
  var all = false

  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    try Purging.scrub(try context.reports(), isThorough: all)
    return 0
  }
}
