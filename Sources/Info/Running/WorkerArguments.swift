import ServerSettings

/// The command line of a process of this command for a part of the work.
enum WorkerArguments {
  /// The options before the mode. Secrets stay here: no part of the work asks for them.
  static func beforeMode(_ options: CommandLineOptions, _ settings: Settings) -> [String] {
    var arguments = ["-C", settings.configurationFile, "-Q", settings.repository]
    for (section, option, letter) in [("logging", "debug", "-d"), ("logging", "verbose", "-v")]
    where options.typed(section, option) != nil { arguments.append(letter) }
    if let encoding = options.typed("components", "encoding") { arguments += ["-E", encoding] }
    return arguments
  }
}
