import ArgumentParser
import Commands
import EventLoop
import Glibc
import LoopDatabases
import Server
import ServerSettings

/// `bcfg2-packages`: fetches the package sources of sources.xml and indexes them for the server.
@main
@MainActor
enum Bcfg2Packages {
  static func main() {
    DatabaseHelper.runIfAsked()
    // A server that ended reads no report; what was begun is brought to its end all the same.
    signal(SIGPIPE, SIG_IGN)
    // Indexes and downloads can be read by everyone.
    umask(0o022)
    switch CommandParsing.parse(
      Arguments.self, Array(CommandLine.arguments.dropFirst()), as: (any ToolCommand).self)
    {
    case .ended(let status): exit(status)
    case .parsed(let command):
      do {
        exit(try command.runTool())
      } catch {
        Output.printError("bcfg2-packages: \(error)")
        exit(Exit.usage)
      }
    }
  }
}

/// Exit statuses.
enum Exit {
  /// Some source failed, or has an index of an earlier time.
  static let failedSource: Int32 = 1
  /// A wrong command line, or a configuration that cannot be used.
  static let usage: Int32 = 2
}

/// A subcommand.
protocol ToolCommand {
  /// - Returns: the exit status.
  /// - Throws: what makes the command impossible, for status 2.
  @MainActor func runTool() throws -> Int32
}

/// The command line.
struct Arguments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bcfg2-packages",
    abstract: "Fetches the package sources of Packages/sources.xml and indexes them for bcfg2-server.",
    version: "bcfg2-packages \(ServerVersion.text)",
    subcommands: [RefreshCommand.self, StatusCommand.self, ResolveCommand.self, CompareCommand.self, TagsCommand.self])
}

/// Options of all subcommands.
struct CommonArguments: ParsableArguments {
  @ArgumentParser.Option(name: [.customShort("C"), .customLong("config")], help: "Configuration file.")
  var configuration: String?

  @ArgumentParser.Option(name: [.customShort("Q"), .customLong("repository")], help: "Bcfg2 repository.")
  var repository: String?

  /// The same as the server's command line has them.
  var options: CommandLineOptions {
    var options = CommandLineOptions()
    options.configurationFile = configuration
    if let repository { options.set("server", "repository", to: repository, typed: "-Q") }
    return options
  }
}
