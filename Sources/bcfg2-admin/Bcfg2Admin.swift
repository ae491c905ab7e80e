import ArgumentParser
import Commands
import Glibc
import LoopDatabases
import ServerSettings

/// `bcfg2-admin`: what administrators do on the server. One file a mode.
@main
@MainActor
enum Bcfg2Admin {
  nonisolated static let program = "bcfg2-admin"

  static func main() {
    DatabaseHelper.runIfAsked()
    do {
      exit(try run(Array(CommandLine.arguments.dropFirst())))
    } catch let error as SettingsError where error.isOfCommandLine {
      Output.printError("\(program): \(error)")
      exit(CommandParsing.usage)
    } catch {
      Output.printError("\(program): \(Output.failure(error))")
      exit(Exit.failed)
    }
  }

  private static func run(_ words: [String]) throws -> Int32 {
    let line: ModeCommandLine
    switch CommandParsing.line(words, of: program, Arguments.self) {
    case .ended(let status): return status
    case .parsed(let read): line = read
    }
    if line.rest == ["help"] {
      Output.print(Arguments.modes)
      return 0
    }
    if line.rest.count == 2, line.rest[0] == "help", !Arguments.names.contains(line.rest[1]) {
      Output.printError("No such command: \(line.rest[1])")
      return Exit.failed
    }
    if let name = line.rest.first, !name.hasPrefix("-"), name != "help", !Arguments.names.contains(name) {
      Output.printError("\(program): unknown mode \(VisibleText.escaped(name))")
      return CommandParsing.usage
    }
    let mode: any AdminMode
    switch CommandParsing.parse(Arguments.self, line.rest, as: (any AdminMode).self) {
    case .ended(let status): return status
    case .parsed(let read): mode = read
    }
    do {
      return try mode.run(AdminContext(options: mode.common.adding(to: line.options)))
    } catch let problem as AdminProblem {
      // Bcfg2 says on standard output why it ends.
      if mode.json { Output.printError("\(program): \(problem.text)") } else { Output.print(problem.text) }
      return Exit.failed
    }
  }
}

/// Exit statuses.
enum Exit {
  static let failed: Int32 = 1
}

/// Why a mode ends with status 1.
struct AdminProblem: Error {
  let text: String

  init(_ text: String) { self.text = text }
}

/// The command line.
struct Arguments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Bcfg2Admin.program, abstract: "Administer a Bcfg2 server.",
    usage: "bcfg2-admin [-C <path>] [-Q <path>] [-W <path>] [-E <encoding>] [-d] [-v] <mode>",
    discussion: "The modes `reports init` and so on are those of Bcfg2 1.3.",
    subcommands: [
      BackupMode.self, ClientMode.self, CompareMode.self, InitMode.self, Migrate.self, XCmd.self, Perf.self,
      ExpireCache.self, MineStruct.self,
      Pull.self, Viz.self, InitReports.self, UpdateReports.self, SyncDB.self, PurgeReports.self, ScrubReports.self,
      ReportsStats.self,
      ReportsSQLAll.self, DBShell.self, ValidateDB.self, OldReports.self, Shell.self, MakeMigrations.self,
      SchemaMigration.self,
    ])

  /// The names of the modes.
  static var names: Set<String> {
    Set(configuration.subcommands.flatMap { mode in [mode._commandName] + mode.configuration.aliases })
  }

  /// What `help` prints: a line for each mode, as 1.4 has them.
  static var modes: [String] {
    let modes = configuration.subcommands.filter { $0.configuration.shouldDisplay }.map { mode in
      let usage = usageString(for: mode).split(separator: " ").drop { $0 != mode._commandName }
        .filter { $0 != "<command>" || mode == XCmd.self }
      var abstract = mode.configuration.abstract
      if abstract.hasSuffix(".") { abstract.removeLast() }
      return "\(usage.joined(separator: " ")) - \(abstract)"
    }
    return (modes + ["help [<mode>] - List modes and usage, or get help on a mode"]).sorted()
  }
}
