public import ArgumentParser
public import ServerSettings

/// Options of a mode that are those of the whole command line.
public nonisolated protocol ModeArguments: ParsableArguments {
  /// Options of the whole command line: what was typed last counts.
  func adding(to options: CommandLineOptions) -> CommandLineOptions
}

extension ConfigurationArguments: ModeArguments {}

/// The options before a mode, behind it, as 1.4 takes them there.
///
/// Debug builds of the library check each group five times, and so 5^n times at depth n: groups stand side by side, not in each
/// other.
public nonisolated struct SharedArguments: ModeArguments {
  @ArgumentParser.OptionGroup public var configuration: ConfigurationArguments
  @ArgumentParser.OptionGroup public var repository: RepositoryArguments
  @ArgumentParser.OptionGroup public var debug: DebugArguments
  @ArgumentParser.OptionGroup public var log: LogFileArguments

  public init() {}

  public func adding(to options: CommandLineOptions) -> CommandLineOptions {
    log.adding(to: debug.adding(to: repository.adding(to: configuration.adding(to: options))))
  }
}

/// Those of them that no mode has another option for, beside `ConfigurationArguments`.
public nonisolated struct RepositoryArguments: ModeArguments {
  @ArgumentParser.Option(
    name: [.customShort("Q", allowingJoined: true), .customLong("repository")], help: .hidden)
  public var repository: String?

  @ArgumentParser.Option(
    name: [.customShort("W", allowingJoined: true), .customLong("web-config")], help: .hidden)
  public var webConfiguration: String?

  @ArgumentParser.Flag(name: [.customShort("v"), .customLong("verbose")], help: .hidden)
  public var verbose = false

  // Nothing is done for these, as before the mode.
  @ArgumentParser.Flag(name: .customLong("no-fam-blocking"), help: .hidden)
  public var skipsBlocking = false
  @ArgumentParser.Flag(name: .customLong("cfg-validation"), help: .hidden)
  public var validatesFiles = false

  public init() {}

  public func adding(to options: CommandLineOptions) -> CommandLineOptions {
    var options = options
    if let repository { options.set("server", "repository", to: repository, typed: "-Q") }
    if let webConfiguration { options.set("reporting", "config", to: webConfiguration, typed: "-W") }
    if verbose { options.set("logging", "verbose", to: "true", typed: "-v") }
    return options
  }
}

/// `-d`, which `bcfg2-admin compare` has another meaning for.
public nonisolated struct DebugArguments: ModeArguments {
  @ArgumentParser.Flag(name: [.customShort("d"), .customLong("debug")], help: .hidden)
  public var debug = false

  public init() {}

  public func adding(to options: CommandLineOptions) -> CommandLineOptions {
    var options = options
    if debug { options.set("logging", "debug", to: "true", typed: "-d") }
    return options
  }
}

/// `-o`, which `bcfg2-admin viz` has another meaning for.
public nonisolated struct LogFileArguments: ModeArguments {
  @ArgumentParser.Option(name: [.customShort("o", allowingJoined: true), .customLong("logfile")], help: .hidden)
  public var logFile: String?

  public init() {}

  public func adding(to options: CommandLineOptions) -> CommandLineOptions {
    var options = options
    if let logFile { options.set("logging", "path", to: logFile, typed: "-o") }
    return options
  }
}
