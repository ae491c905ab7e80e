import Administration
import ArgumentParser
import Commands
import ServerSettings

/// `bcfg2-admin migrate`, which Bcfg2 does not have.
struct Migrate: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "migrate", abstract: "Say what will differ for an installation of Bcfg2 1.3 or 1.4.",
    discussion: """
      Reads bcfg2.conf and the repository, changes nothing, and prints a line for each thing: PLACE: LEVEL: TEXT. `lost` is what \
      clients or administrators lose, `differs` what is done otherwise, `note` what is good to know.

      Exit status: 1 if something is lost, else 0.
      """)

  @Flag(help: "Print JSON.") var json = false
  @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Only what is lost.") var quiet = false
  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    var migration = Migration()
    do {
      try migration.examine(context.options)
    } catch {
      throw AdminProblem("\(error)")
    }
    let findings = migration.findings.filter { !quiet || $0.level == .lost }
    if json {
      try Output.printJSON(findings)
    } else {
      Output.print(findings.map(\.line))
    }
    return migration.findings.contains { $0.level == .lost } ? Exit.failed : 0
  }
}
