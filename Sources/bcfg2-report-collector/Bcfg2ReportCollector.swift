import ArgumentParser
import Commands
import EventLoop
import Glibc
import Logging
import Plugins
import Server
import ServerSettings

/// `bcfg2-report-collector`: moves reports from the server's spool to the reporting database.
@main
@MainActor
enum Bcfg2ReportCollector {
  static func main() {
    signal(SIGPIPE, SIG_IGN)
    let service = ServiceEnvironment.take()
    switch CommandParsing.parse(
      Arguments.self, Array(CommandLine.arguments.dropFirst()), as: Arguments.self)
    {
    case .ended(let status): exit(status)
    case .parsed(let arguments):
      do {
        exit(try CollectorProcess(arguments, NotifySocket(service.notifySocket)).run())
      } catch {
        Output.printError("bcfg2-report-collector: \(error)")
        exit(1)
      }
    }
  }
}

/// The command line: that of 1.4's collector, and `--once`.
struct Arguments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bcfg2-report-collector",
    abstract: "Moves reports of clients from the server's spool to the reporting database.",
    version: "bcfg2-report-collector \(ServerVersion.text)"
  )

  @ArgumentParser.Option(name: [.customShort("C"), .customLong("config")], help: "Configuration file.")
  var configurationFile: String?

  @ArgumentParser.Option(name: [.customShort("W"), .customLong("web-config")], help: "Further configuration file.")
  var webConfiguration: String?

  @ArgumentParser.Option(name: [.customShort("Q"), .customLong("repository")], help: "Bcfg2 repository.")
  var repository: String?

  @Flag(name: [.short, .long], help: "Log debugging output.")
  var debug = false

  @Flag(name: [.short, .long], help: "Log verbose output.")
  var verbose = false

  @ArgumentParser.Option(name: [.customShort("o"), .customLong("logfile")], help: "File to log to.")
  var logFile: String?

  @Flag(help: "Log to syslog.")
  var syslog = false

  @ArgumentParser.Option(
    name: [.customShort("D"), .customLong("daemon")],
    help: ArgumentHelp("Run as a daemon with this pid file.", valueName: "pidfile"))
  var pidFile: String?

  @ArgumentParser.Option(
    help: ArgumentHelp("Accepted for scripts of Bcfg2; one process stores all reports.", valueName: "number"))
  var maxChildren: Int?

  @Flag(help: "Store what is there, and end: with status 0 if all of it is stored.")
  var once = false

  @Flag(help: .hidden)
  var ofServer = false

  /// The same as the server's command line has them.
  var options: CommandLineOptions {
    var options = CommandLineOptions()
    options.configurationFile = configurationFile
    options.pidFile = pidFile
    if let webConfiguration { options.set("reporting", "config", to: webConfiguration, typed: "-W") }
    if let repository { options.set("server", "repository", to: repository, typed: "-Q") }
    if debug { options.set("logging", "debug", to: "true", typed: "-d") }
    if verbose { options.set("logging", "verbose", to: "true", typed: "-v") }
    if let logFile { options.set("logging", "path", to: logFile, typed: "-o") }
    if syslog { options.set("logging", "syslog", to: "true", typed: "--syslog") }
    if let maxChildren { options.set("reporting", "max_children", to: "\(maxChildren)", typed: "--max-children") }
    return options
  }
}
