import ArgumentParser
import Commands
import Glibc
import ServerSettings

/// `bcfg2-admin`: what administrators do on the server. One file a mode.
@main
@MainActor
enum Bcfg2Admin {
  nonisolated static let program = "bcfg2-admin"

  static func main() {
    do {
      exit(try run(Array(CommandLine.arguments.dropFirst())))
    } catch let problem as AdminProblem {
      // Bcfg2 says on standard output why it ends.
      Output.print(problem.text)
      exit(Exit.failed)
    } catch {
      Output.printError("\(program): \(Output.failure(error))")
      exit(Exit.failed)
    }
  }

  /// Modes of the bcfg2-admin of 1.3.4 and 1.4 that have nothing to do with reports.
  private nonisolated static let modesOfBcfg2: Set = [
    "backup", "client", "compare", "expirecache", "init", "minestruct", "perf", "pull", "snapshots", "viz", "xcmd",
  ]

  private static func run(_ words: [String]) throws -> Int32 {
    let line: ModeCommandLine
    switch CommandParsing.line(words, of: program, Arguments.self) {
    case .ended(let status): return status
    case .parsed(let read): line = read
    }
    if let mode = line.rest.first, modesOfBcfg2.contains(mode) {
      Output.printError(
        "\(program): \(mode) is a mode of Bcfg2's own bcfg2-admin, which works with this server, too; this one looks after the database"
      )
      return CommandParsing.usage
    }
    let mode: any AdminMode
    switch CommandParsing.parse(Arguments.self, line.rest, as: (any AdminMode).self) {
    case .ended(let status): return status
    case .parsed(let read): mode = read
    }
    return try mode.run(AdminContext(options: mode.common.adding(to: line.options)))
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
    discussion:
      "The modes `reports init` and so on are those of Bcfg2 1.3. Modes that are not here, such as client and xcmd, are those of Bcfg2's own bcfg2-admin.",
    subcommands: [
      InitReports.self, UpdateReports.self, SyncDB.self, PurgeReports.self, ScrubReports.self, ReportsStats.self,
      ReportsSQLAll.self, DBShell.self, ValidateDB.self, OldReports.self, Shell.self, MakeMigrations.self,
      SchemaMigration.self,
    ])
}
