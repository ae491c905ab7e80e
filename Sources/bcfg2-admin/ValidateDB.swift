import ArgumentParser
import Commands
import Databases
import ReportStore
import ServerSettings

/// `bcfg2-admin validatedb`.
struct ValidateDB: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "validatedb", abstract: "Check that the tables are what they should be.",
    discussion: "Changes nothing. Exit status: 0 if they are, 1 if updatereports has something to do.")

  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    try Self.check(try context.settings())
  }

  @MainActor static func check(_ settings: Settings) throws -> Int32 {
    try settings.useReportZone()
    let (server, reporting) = (try settings.serverDatabase, try settings.reportingDatabase)
    var count = 0
    for place in server == reporting ? [server] : [server, reporting] {
      let flaws = try ReportStore(try Databases.open(place)).flaws()
      count += flaws.count
      Output.print(flaws.map { "\(place.name): \($0)" })
    }
    Output.print("\(count) errors found")
    if count > 0 { Output.printError("bcfg2-admin updatereports mends them") }
    return count == 0 ? 0 : Exit.failed
  }
}
