import Commands
import Glibc
import LoopDatabases

/// `bcfg2-lint`: checks a repository.
@main
@MainActor
enum Bcfg2Lint {
  nonisolated static let program = "bcfg2-lint"

  static func main() {
    DatabaseHelper.runIfAsked()
    let arguments: Arguments
    switch CommandParsing.parse(Arguments.self, Array(CommandLine.arguments.dropFirst()), as: Arguments.self) {
    case .parsed(let parsed): arguments = parsed
    case .ended(let status): exit(status)
    }
    do {
      exit(try LintCommand(arguments).run())
    } catch {
      Output.printError("\(program): \(error)")
      exit(Exit.failed)
    }
  }
}

/// Exit statuses, as those of Bcfg2 1.4.
enum Exit {
  /// The checks could not be run, or there are none.
  static let failed: Int32 = 1
  /// There are errors. The command line is wrong: as that of all commands.
  static let errors: Int32 = 2
  /// There are warnings only.
  static let warnings: Int32 = 3
}
