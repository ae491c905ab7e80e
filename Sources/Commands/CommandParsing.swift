public import ArgumentParser
public import ServerSettings

/// How commands read their command lines: what `--help` and `--version` ask for is printed on standard output, what is wrong on
/// standard error.
public nonisolated enum CommandParsing {
  /// The exit status of a wrong command line.
  public static let usage: Int32 = 2

  public enum Outcome<Parsed> {
    case parsed(Parsed)
    /// All was said: the process ends with this status.
    case ended(Int32)
  }

  /// Reads the options before a mode.
  ///
  /// - Parameter root: the command line from the mode on.
  public static func line(
    _ words: [String], of program: String, _ root: any ParsableCommand.Type
  ) -> Outcome<ModeCommandLine> {
    if let status = tellDeclarations(root, words) { return .ended(status) }
    let line: ModeCommandLine
    do {
      line = try ModeCommandLine(words)
    } catch {
      Output.printError("\(program): \(error)")
      return .ended(usage)
    }
    if line.asksForVersion {
      Output.print(CommandSettings.version(of: program))
      return .ended(0)
    }
    if line.asksForHelp {
      Output.print(root.helpMessage() + "\n\n" + ModeCommandLine.help(of: program))
      return .ended(0)
    }
    guard !line.rest.isEmpty else {
      Output.printError(root.helpMessage())
      return .ended(usage)
    }
    return .parsed(line)
  }

  /// Whether a command line asks for that of which manual pages or completion scripts are made.
  public static func asksForDeclarations(_ words: [String]) -> Bool {
    words.first == "--experimental-dump-help" || words.first == "--generate-completion-script"
  }

  private static func declared<Root: ParsableCommand>(_ root: Root.Type) -> any ParsableCommand.Type {
    DeclaredCommand<Root>.self
  }

  /// Prints that, if a command line asks for it; completion scripts with the options before the mode.
  ///
  /// - Returns: the exit status; nil for another command line.
  public static func tellDeclarations(_ root: any ParsableCommand.Type, _ words: [String]) -> Int32? {
    guard asksForDeclarations(words) else { return nil }
    let root = words.first == "--generate-completion-script" ? declared(root) : root
    do {
      var parsed = try root.parseAsRoot(words)
      try parsed.run()
      return 0
    } catch {
      let isGood = root.exitCode(for: error) == .success
      let text = CompletionScript.completed(root.fullMessage(for: error), of: root)
      if isGood { Output.print(text) } else { Output.printError(text) }
      return isGood ? 0 : usage
    }
  }

  /// Reads a command line whose modes, or which itself, is a `Command`.
  public static func parse<Command>(
    _ root: any ParsableCommand.Type, _ words: [String], as command: Command.Type
  ) -> Outcome<Command> {
    do {
      var parsed = try root.parseAsRoot(words)
      if let command = parsed as? Command { return .parsed(command) }
      // The library's own command for `help` throws the text of the mode that was asked for.
      try parsed.run()
      return .ended(usage)
    } catch {
      let text = root.fullMessage(for: error)
      guard root.exitCode(for: error) == .success else {
        Output.printError(withoutSecrets(text, words))
        return .ended(usage)
      }
      Output.print(CompletionScript.completed(text, of: root))
      return .ended(0)
    }
  }

  /// A message about a wrong command line, which may quote a word of it, without the password that was typed: terminals and
  /// logs of jobs keep messages.
  static func withoutSecrets(_ text: String, _ words: [String]) -> String {
    var secrets: [Substring] = []
    for (index, word) in words.enumerated() {
      if word == "-x" || word == "--password" {
        if index + 1 < words.count { secrets.append(words[index + 1][...]) }
      } else if word.hasPrefix("--password=") {
        secrets.append(word.dropFirst("--password=".count))
      } else if word.hasPrefix("-x") {
        secrets.append(word.dropFirst(2))
      }
    }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    // The usage at the end has no word of the command line.
    let end = lines.firstIndex { $0.hasPrefix("Usage:") } ?? lines.count
    for index in lines.indices where index < end {
      for secret in secrets where !secret.isEmpty { lines[index] = lines[index].replacing(secret, with: "...") }
    }
    return lines.joined(separator: "\n")
  }
}

/// Options that all modes of a command have, as 1.4's: the others stand before the mode.
public nonisolated struct ConfigurationArguments: ParsableArguments {
  @ArgumentParser.Option(
    name: [.customShort("C", allowingJoined: true), .customLong("config")], help: "Configuration file.")
  public var configuration: String?

  @ArgumentParser.Option(
    name: [.customShort("E", allowingJoined: true), .customLong("encoding")],
    help: ArgumentHelp("Encoding of config files.", visibility: .hidden))
  public var encoding: String?

  public init() {}

  /// Options of the whole command line: what was typed last counts.
  public func adding(to options: CommandLineOptions) -> CommandLineOptions {
    var options = options
    if let configuration { options.configurationFile = configuration }
    if let encoding { options.set("components", "encoding", to: encoding, typed: "-E") }
    return options
  }
}
