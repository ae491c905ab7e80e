import ArgumentParser
import Commands
import Databases
import Glibc
import ReportStore
import ServerSettings

/// A mode.
protocol AdminMode: ParsableCommand {
  var common: ConfigurationArguments { get }

  /// - Returns: the exit status.
  /// - Throws: `AdminProblem` for what is to be told to the administrator alone.
  @MainActor func run(_ context: AdminContext) throws -> Int32
}

/// What a mode works with.
@MainActor
struct AdminContext {
  let options: CommandLineOptions

  /// bcfg2.conf. It is read once, at the first use.
  func settings() throws -> Settings { try CommandSettings.load(options, program: Bcfg2Admin.program) }

  /// The reporting database, which must be there.
  func reports() throws -> ReportStore { try settings().reports() }
}
