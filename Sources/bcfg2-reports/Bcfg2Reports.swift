import ArgumentParser
import Commands
import Glibc
import ReportStore
import ServerSettings

/// `bcfg2-reports`: prints what clients reported, with the subcommands of Bcfg2 1.4 and the options of 1.3.
@main
@MainActor
enum Bcfg2Reports {
  nonisolated static let program = "bcfg2-reports"

  static func main() {
    let words = Array(CommandLine.arguments.dropFirst())
    do {
      let isOld = CommandStyle.isOld(words) && !CommandParsing.asksForDeclarations(words)
      exit(isOld ? try runOld(words) : try runMode(words))
    } catch let problem as UsageProblem {
      Output.printError("\(program): \(problem.text)")
      exit(Exit.usage)
    } catch {
      Output.printError("\(program): \(Output.failure(error))")
      exit(Exit.failed)
    }
  }

  private static func runMode(_ words: [String]) throws -> Int32 {
    switch CommandParsing.line(words, of: program, Arguments.self) {
    case .ended(let status): return status
    case .parsed(let line): return try run(Arguments.self, line.rest, line.options)
    }
  }

  private static func runOld(_ words: [String]) throws -> Int32 {
    try run(OldArguments.self, words, CommandLineOptions())
  }

  private static func run(
    _ root: any ParsableCommand.Type, _ words: [String], _ options: CommandLineOptions
  ) throws -> Int32 {
    switch CommandParsing.parse(root, words, as: (any ReportCommand).self) {
    case .ended(let status): return status
    case .parsed(let command):
      try command.check()
      let settings = try CommandSettings.load(command.common.adding(to: options), program: program)
      return try command.run(try settings.reports())
    }
  }
}

/// Exit statuses.
enum Exit {
  /// The database cannot be read.
  static let failed: Int32 = 1
  /// A wrong command line, an unknown host, an unknown type of entry.
  static let usage: Int32 = 2
}

/// A wrong command line, found after it was parsed.
struct UsageProblem: Error {
  let text: String

  init(_ text: String) { self.text = text }
}

/// A subcommand.
protocol ReportCommand: ParsableCommand {
  var common: CommonArguments { get }

  /// - Throws: `UsageProblem`.
  func check() throws

  /// - Returns: the exit status.
  /// - Throws: `DatabaseError`.
  @MainActor func run(_ store: ReportStore) throws -> Int32
}

extension ReportCommand {
  func check() throws {}
}

/// The command line of 1.4.
struct Arguments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Bcfg2Reports.program, abstract: "Query the Bcfg2 reporting subsystem.",
    usage: "bcfg2-reports [-C <path>] [-Q <path>] [-W <path>] [-E <encoding>] [-d] [-v] <subcommand>",
    discussion: """
      The options of bcfg2-reports 1.3 (-a, -c, -d, --stale, -b, -e, -m, -s, -t, -x, --badentry, --modifiedentry, --extraentry, \
      --entrystatus) work without a subcommand: bcfg2-reports --stale.

      Exit status: 0, 1 if the database cannot be read, 2 for a wrong command line, an unknown host or type of entry.
      """,
    subcommands: [
      ClientsCommand.self, ShowCommand.self, TotalCommand.self, EntryCommand.self, EntriesCommand.self,
      ExpireCommand.self,
    ])
}
