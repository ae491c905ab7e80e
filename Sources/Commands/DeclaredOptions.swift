import ArgumentParser

/// The options before a mode as the library declares options: completion scripts are made of them. `ModeCommandLine` reads them.
nonisolated struct DeclaredOptions: ParsableArguments {
  @ArgumentParser.Option(name: [.customShort("C"), .customLong("config")], completion: .file())
  var configuration: String?
  @ArgumentParser.Option(name: [.customShort("Q"), .customLong("repository")], completion: .directory)
  var repository: String?
  @ArgumentParser.Option(name: [.customShort("W"), .customLong("web-config")], completion: .file())
  var webConfiguration: String?
  @ArgumentParser.Option(name: [.customShort("E"), .customLong("encoding")])
  var encoding: String?
  @ArgumentParser.Flag(name: [.customShort("d"), .customLong("debug")])
  var debug = false
  @ArgumentParser.Flag(name: [.customShort("v"), .customLong("verbose")])
  var verbose = false
  @ArgumentParser.Option(name: [.customShort("o"), .customLong("logfile")], completion: .file())
  var logFile: String?
  @ArgumentParser.Option(name: [.customShort("x"), .customLong("password")])
  var password: String?
  @ArgumentParser.Option(name: [.customShort("S"), .customLong("server")])
  var server: String?
  @ArgumentParser.Option(name: [.customShort("u"), .customLong("user")])
  var user: String?
  @ArgumentParser.Option(name: [.customLong("ssl-key")], completion: .file())
  var key: String?
  @ArgumentParser.Option(name: [.customLong("ssl-cert")], completion: .file())
  var certificate: String?
  @ArgumentParser.Option(name: [.customLong("ca"), .customLong("ca-cert")], completion: .file())
  var authority: String?
  @ArgumentParser.Option(name: [.customLong("ssl-cns")])
  var commonNames: String?
  @ArgumentParser.Option(name: [.customShort("t"), .customLong("timeout")])
  var timeout: String?
  @ArgumentParser.Flag(name: [.customLong("no-fam-blocking")])
  var skipsBlocking = false
  @ArgumentParser.Flag(name: [.customLong("cfg-validation")])
  var validatesFiles = false
  @ArgumentParser.Flag(name: [.customLong("version")])
  var version = false
}

/// A command with modes and the options before them.
nonisolated struct DeclaredCommand<Root: ParsableCommand>: ParsableCommand {
  static var configuration: CommandConfiguration { Root.configuration }

  @ArgumentParser.OptionGroup var options: DeclaredOptions
}
