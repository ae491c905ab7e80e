public import ArgumentParser

/// The options before a mode as the library declares options: completion scripts are made of them. `ModeCommandLine` reads them.
public nonisolated struct DeclaredOptions: ParsableArguments {
  @ArgumentParser.Option(name: [.customShort("C"), .customLong("config")], completion: .file())
  public var configuration: String?
  @ArgumentParser.Option(name: [.customShort("Q"), .customLong("repository")], completion: .directory)
  public var repository: String?
  @ArgumentParser.Option(name: [.customShort("W"), .customLong("web-config")], completion: .file())
  public var webConfiguration: String?
  @ArgumentParser.Option(name: [.customShort("E"), .customLong("encoding")])
  public var encoding: String?
  @ArgumentParser.Flag(name: [.customShort("d"), .customLong("debug")])
  public var debug = false
  @ArgumentParser.Flag(name: [.customShort("v"), .customLong("verbose")])
  public var verbose = false
  @ArgumentParser.Option(name: [.customShort("o"), .customLong("logfile")], completion: .file())
  public var logFile: String?
  @ArgumentParser.Option(name: [.customShort("x"), .customLong("password")])
  public var password: String?
  @ArgumentParser.Option(name: [.customShort("S"), .customLong("server")])
  public var server: String?
  @ArgumentParser.Option(name: [.customShort("u"), .customLong("user")])
  public var user: String?
  @ArgumentParser.Option(name: [.customLong("ssl-key")], completion: .file())
  public var key: String?
  @ArgumentParser.Option(name: [.customLong("ssl-cert")], completion: .file())
  public var certificate: String?
  @ArgumentParser.Option(name: [.customLong("ca"), .customLong("ca-cert")], completion: .file())
  public var authority: String?
  @ArgumentParser.Option(name: [.customLong("ssl-cns")])
  public var commonNames: String?
  @ArgumentParser.Option(name: [.customShort("t"), .customLong("timeout")])
  public var timeout: String?
  @ArgumentParser.Flag(name: [.customLong("no-fam-blocking")])
  public var skipsBlocking = false
  @ArgumentParser.Flag(name: [.customLong("cfg-validation")])
  public var validatesFiles = false
  @ArgumentParser.Flag(name: [.customLong("version")])
  public var version = false

  public init() {}
}

/// A command with modes and the options before them.
public nonisolated struct DeclaredCommand<Root: ParsableCommand>: ParsableCommand {
  public static var configuration: CommandConfiguration { Root.configuration }

  @ArgumentParser.OptionGroup public var options: DeclaredOptions

  public init() {}
}
