import ArgumentParser
import Commands
import Databases
import Glibc
import ReportStore
import ServerSettings

/// A mode.
protocol AdminMode: ParsableCommand {
  var common: CommonArguments { get }

  /// - Returns: the exit status.
  /// - Throws: `AdminProblem` for what is to be told to the administrator alone.
  @MainActor func run(_ context: AdminContext) throws -> Int32
}

/// Options that all modes have, as 1.4's: the others stand before the mode.
struct CommonArguments: ParsableArguments {
  @ArgumentParser.Option(name: [.customShort("C"), .customLong("config")], help: "Configuration file.")
  var configuration: String?

  @ArgumentParser.Option(
    name: [.customShort("E"), .customLong("encoding")],
    help: ArgumentHelp("Encoding of config files.", visibility: .hidden))
  var encoding: String?

  /// Options of the whole command line: what was typed last counts.
  func adding(to options: CommandLineOptions) -> CommandLineOptions {
    var options = options
    if let configuration { options.configurationFile = configuration }
    if let encoding { options.set("components", "encoding", to: encoding, typed: "-E") }
    return options
  }
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
