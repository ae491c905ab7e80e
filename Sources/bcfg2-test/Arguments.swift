import ArgumentParser
import Commands
import ServerSettings

/// The command line.
struct Arguments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Bcfg2Test.program, abstract: "Verify that all clients build without failures.",
    discussion: "Exit status: 0 if all is well, 1 if a client has a failure.",
    version: CommandSettings.version(of: Bcfg2Test.program))

  @ArgumentParser.OptionGroup var common: ConfigurationArguments

  @ArgumentParser.Option(
    name: [.customShort("Q"), .customLong("repository")], help: ArgumentHelp("Bcfg2 repository.", valueName: "path"))
  var repository: String?

  @ArgumentParser.Option(help: ArgumentHelp("Further processes that share the work.", valueName: "number"))
  var children: Int?

  @ArgumentParser.Option(
    help: ArgumentHelp("Entries whose failures do not count, between commas.", valueName: "tag:name"))
  var ignore: String?

  @ArgumentParser.Option(
    name: [.customLong("nose-options")], parsing: .unconditional,
    help: ArgumentHelp("Of nose's options: -v, --with-xunit, --xunit-file.", valueName: "options"))
  var noseOptions: String?

  @ArgumentParser.Option(help: ArgumentHelp("Write the results as JUnit's XML.", valueName: "file"))
  var xunit: String?

  @ArgumentParser.Flag(help: "Print the results as JSON.")
  var json = false

  @ArgumentParser.Flag(name: .shortAndLong, help: "Print a line for each client.")
  var verbose = false

  @ArgumentParser.Flag(name: .shortAndLong, help: "Show what the server would log for debugging, too.")
  var debug = false

  // Options of Bcfg2's that have no effect here.
  @ArgumentParser.Option(name: [.customShort("o"), .customLong("logfile")], help: .hidden)
  var logFile: String?
  @ArgumentParser.Flag(name: .customLong("no-fam-blocking"), help: .hidden)
  var skipsBlocking = false
  @ArgumentParser.Flag(name: .customLong("cfg-validation"), help: .hidden)
  var validatesFiles = false

  /// The part of the clients that this process is for, such as 2/3.
  @ArgumentParser.Option(help: .hidden)
  var part: String?

  @ArgumentParser.Argument(help: ArgumentHelp("Clients; all if there is none.", valueName: "client"))
  var clients: [String] = []

  /// Most processes.
  static let childLimit = Workers.limit

  func validate() throws {
    if let children, !(0...Self.childLimit).contains(children) {
      throw ArgumentParser.ValidationError("--children is 0 to \(Self.childLimit)")
    }
    if let part, WorkPart(part) == nil { throw ArgumentParser.ValidationError("--part is like 1/2") }
  }

  var workerPart: WorkPart? { part.flatMap { WorkPart($0) } }

  /// What they say of bcfg2.conf.
  var options: CommandLineOptions {
    var options = common.adding(to: CommandLineOptions())
    if let repository { options.set("server", "repository", to: repository, typed: "-Q") }
    return options
  }

  /// The command line of a process for a part of the clients.
  func arguments(for part: WorkPart, _ settings: Settings) -> [String] {
    var words = ["-C", settings.configurationFile, "-Q", settings.repository, "--part", part.text]
    if let encoding = common.encoding { words += ["-E", encoding] }
    if let ignore { words.append("--ignore=\(ignore)") }
    if debug { words.append("-d") }
    return words + ["--"] + clients
  }
}
