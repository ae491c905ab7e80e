import ArgumentParser
import Server
import ServerSettings

/// How findings are printed.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json, sarif, github
}

/// The command line: that of 1.4, with the names of checks as arguments, as in 1.3.
struct Arguments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Bcfg2Lint.program,
    abstract: "Checks a Bcfg2 repository.",
    discussion: """
      Exit status: 0 without findings, 2 with errors, 3 with warnings only, 1 if the checks could not be run.
      """,
    version: "\(Bcfg2Lint.program) \(ServerVersion.text)")

  @ArgumentParser.Option(
    name: [.customShort("C", allowingJoined: true), .customLong("config")], help: "Configuration file.")
  var configuration: String?

  @ArgumentParser.Option(
    name: [.customShort("Q", allowingJoined: true), .customLong("repository")], help: "Bcfg2 repository.")
  var repository: String?

  @ArgumentParser.Option(name: .customLong("lint-config"), help: "Configuration file of bcfg2-lint.")
  var lintConfiguration: String?

  @ArgumentParser.Option(
    name: .customLong("lint-plugins"), help: "Checks to run, with commas between them, in place of [lint] plugins.")
  var lintPlugins: String?

  @ArgumentParser.Option(name: .customLong("schema"), help: "Folder of the XML schemas.")
  var schemaFolder: String?

  @Flag(name: .customLong("list-errors"), help: "Print the names of errors and how they are handled.")
  var listsErrors = false

  @Flag(name: .customLong("stdin"), help: "Check the files alone that standard input names, one a line.")
  var readsFiles = false

  @ArgumentParser.Option(name: .customLong("format"), help: "text, json, sarif (2.1.0), or github: annotations.")
  var format: OutputFormat = .text

  @Flag(name: .customLong("json"), help: "The same as --format json.")
  var printsJSON = false

  @ArgumentParser.Option(
    name: [.customShort("E", allowingJoined: true), .customLong("encoding")],
    help: "Encoding of the repository's files.")
  var encoding: String?

  @ArgumentParser.Option(name: [.customShort("o", allowingJoined: true), .customLong("logfile")], help: .hidden)
  var logFile: String?
  @ArgumentParser.Option(name: [.customShort("W", allowingJoined: true), .customLong("web-config")], help: .hidden)
  var webConfiguration: String?
  @ArgumentParser.Option(name: [.customShort("x", allowingJoined: true), .customLong("password")], help: .hidden)
  var password: String?
  @Flag(name: .customLong("no-fam-blocking"), help: .hidden)
  var skipsBlocking = false
  @Flag(name: .customLong("cfg-validation"), help: .hidden)
  var validatesFiles = false

  @Flag(
    name: [.customShort("v"), .customLong("verbose")], help: "Print the number of findings even if there are none.")
  var isVerbose = false

  @Flag(name: [.customShort("d"), .customLong("debug")], help: "Print what is done, and silent findings.")
  var isDebug = false

  @ArgumentParser.Argument(help: "Checks to run, as with --lint-plugins.")
  var plugins: [String] = []

  /// What wins over bcfg2.conf.
  var options: CommandLineOptions {
    var options = CommandLineOptions()
    options.configurationFile = configuration
    if let repository { options.set("server", "repository", to: repository, typed: "-Q") }
    if let encoding { options.set("components", "encoding", to: encoding, typed: "-E") }
    return options
  }
}
