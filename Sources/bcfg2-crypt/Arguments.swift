import ArgumentParser
import Commands
import ServerSettings

/// The command line.
struct Arguments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: Bcfg2Crypt.program, abstract: "Encrypt and decrypt files of the Bcfg2 repository.",
    discussion: """
      A file named .xml whose root is Properties is encrypted element by element, in place. Any other file is encrypted as a \
      whole, to FILE.crypt. Without --encrypt or --decrypt, a file is decrypted if it can be, else encrypted.
      """,
    version: CommandSettings.version(of: Bcfg2Crypt.program))

  @ArgumentParser.OptionGroup var common: ConfigurationArguments

  @ArgumentParser.Flag(help: "Encrypt the files.")
  var encrypt = false

  @ArgumentParser.Flag(help: "Decrypt the files.")
  var decrypt = false

  @ArgumentParser.Flag(help: "Print the result instead of writing it.")
  var stdout = false

  @ArgumentParser.Option(
    name: [.customShort("p", allowingJoined: true), .customLong("passphrase")],
    help: ArgumentHelp("Name of the passphrase.", valueName: "name"))
  var passphrase: String?

  @ArgumentParser.Option(
    help: ArgumentHelp("File whose first line is the passphrase of -p; - is standard input.", valueName: "file"))
  var passphraseFile: String?

  @ArgumentParser.Flag(help: "Encrypt with AES-256-GCM, which this server reads and Bcfg2's cannot.")
  var aead = false

  @ArgumentParser.Flag(help: "Take the files for Properties.")
  var properties = false

  @ArgumentParser.Flag(help: "Take the files for whole ones, as those of Cfg.")
  var cfg = false

  @ArgumentParser.Option(help: ArgumentHelp("Elements of Properties to encrypt or decrypt.", valueName: "expression"))
  var xpath: String?

  @ArgumentParser.Flag(
    name: [.customShort("I"), .customLong("interactive")], help: "Ask for each element of Properties.")
  var interactive = false

  @ArgumentParser.Flag(help: "Delete the plain file after its encryption.")
  var remove = false

  @ArgumentParser.Flag(help: "Exit with status 1 if a file was skipped.")
  var strict = false

  @ArgumentParser.Flag(name: .shortAndLong, help: "Say what is done.")
  var verbose = false

  @ArgumentParser.Flag(name: .shortAndLong, help: "Say more than that.")
  var debug = false

  @ArgumentParser.Option(
    name: [.customShort("o", allowingJoined: true), .customLong("logfile")],
    help: ArgumentHelp("Accepted; messages go to standard error.", valueName: "path"))
  var logFile: String?

  @ArgumentParser.Argument(help: ArgumentHelp("Files to encrypt or decrypt.", valueName: "file"))
  var files: [String]

  func validate() throws {
    if encrypt, decrypt { throw ValidationError("--encrypt and --decrypt exclude each other") }
    if properties, cfg { throw ValidationError("--properties and --cfg exclude each other") }
    if passphraseFile != nil, passphrase == nil { throw ValidationError("--passphrase-file needs -p") }
    if aead, decrypt { throw ValidationError("--aead is for encryption; what is decrypted says how it was encrypted") }
  }

  /// What they say of bcfg2.conf.
  var options: CommandLineOptions {
    var options = common.adding(to: CommandLineOptions())
    if verbose { options.set("logging", "verbose", to: "true", typed: "-v") }
    if debug { options.set("logging", "debug", to: "true", typed: "-d") }
    return options
  }
}
