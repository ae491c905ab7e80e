public import ServerSettings

/// A command line of the form `COMMAND [OPTIONS] MODE [ARGUMENTS]`, as Bcfg2 1.4's commands have it: the options before the mode
/// are the same for all commands.
public nonisolated struct ModeCommandLine: Sendable {
  /// What the options before the mode set.
  public private(set) var options = CommandLineOptions()
  public private(set) var asksForHelp = false
  public private(set) var asksForVersion = false
  /// The mode and what follows it; empty if there is none.
  public private(set) var rest: [String] = []

  /// Flags of the command's own that were typed, by their long names.
  public private(set) var flags: Set<String> = []

  /// An option before the mode that is not one of `known`, or lacks its value.
  public struct Problem: Error, Hashable, CustomStringConvertible {
    public let description: String
  }

  private enum Action: Sendable {
    case configuration, help, version
    case set(String, String)
    case flag(String, String)
    case own(String)
  }

  private struct Known: Sendable {
    let short: Character?
    let long: String
    /// How the help names its value; nil if it has none.
    let value: String?
    let help: String
    let action: Action
    /// The only command that has a use for it; the others accept it. Nil: all have.
    let user: String?

    init(
      _ short: Character?, _ long: String, _ value: String?, _ help: String, _ action: Action, of user: String? = nil
    ) {
      (self.short, self.long, self.value, self.help, self.action) = (short, long, value, help, action)
      self.user = user
    }

    /// As it is typed.
    var typed: String {
      (short.map { "-\($0), " } ?? "") + "--\(long)" + (value.map { " <\($0)>" } ?? "")
    }
  }

  private static let shared: [Known] = [
    Known("C", "config", "path", "Configuration file (/etc/bcfg2.conf).", .configuration),
    Known("Q", "repository", "path", "Repository, instead of that of [server].", .set("server", "repository")),
    Known("W", "web-config", "path", "Further file with options of [reporting].", .set("reporting", "config")),
    Known("E", "encoding", "name", "Encoding of configuration files.", .set("components", "encoding")),
    Known("d", "debug", nil, "Say all on standard error.", .flag("logging", "debug")),
    Known("v", "verbose", nil, "Say more on standard error.", .flag("logging", "verbose")),
    Known("o", "logfile", "path", "Accepted; messages go to standard error.", .set("logging", "path")),
    Known("x", "password", "password", "Password of the server.", .set("communication", "password"), of: "bcfg2-admin"),
    Known(
      "S", "server", "url", "Server to ask, instead of that of [components].", .set("components", "bcfg2"),
      of: "bcfg2-admin"),
    Known("u", "user", "name", "Name to ask as.", .set("communication", "user"), of: "bcfg2-admin"),
    Known(nil, "ssl-key", "path", "Key of the certificate.", .set("communication", "key"), of: "bcfg2-admin"),
    Known(
      nil, "ssl-cert", "path", "Certificate to show to the server.", .set("communication", "certificate"),
      of: "bcfg2-admin"),
    Known(
      nil, "ca", "path", "Certificates that the server's is checked against.", .set("communication", "ca"),
      of: "bcfg2-admin"),
    Known(nil, "ca-cert", "path", "The same.", .set("communication", "ca"), of: "bcfg2-admin"),
    Known(
      nil, "ssl-cns", "names", "Names that the server's certificate may have.",
      .set("communication", "servercommonnames"), of: "bcfg2-admin"),
    Known(
      "t", "timeout", "seconds", "How long to wait for the server.", .set("communication", "timeout"), of: "bcfg2-admin"
    ),
    Known(
      nil, "no-fam-blocking", nil, "Accepted; all is read before a mode runs.", .own("no-fam-blocking"),
      of: "bcfg2-info"),
    Known(
      nil, "cfg-validation", nil, "Accepted; files are not validated by the server.", .own("cfg-validation"),
      of: "bcfg2-info"),
    Known("h", "help", nil, "Show this.", .help),
    Known(nil, "version", nil, "Show the version.", .version),
  ]

  /// The options before the mode that a command has a use for, as its `--help` explains them: a heading, and a line each.
  public static func help(of program: String) -> String {
    let options = shared.filter { $0.user == nil || $0.user == program }
    let width = (options.map(\.typed.count).max() ?? 0) + 2
    let lines = options.map { option in
      "  " + option.typed + String(repeating: " ", count: width - option.typed.count) + option.help
    }
    return "OPTIONS BEFORE THE SUBCOMMAND:\n" + lines.joined(separator: "\n")
  }

  private var known = Self.shared

  /// - Parameters:
  ///   - arguments: without the program's name.
  ///   - flags: what this command has beside the options of all.
  public init(_ arguments: [String], flags: [(short: Character?, long: String)] = []) throws(Problem) {
    known += flags.map { Known($0.short, $0.long, nil, "", .own($0.long)) }
    var words = arguments[...]
    while let word = words.first, word.hasPrefix("-"), word != "-" {
      words = words.dropFirst()
      if word == "--" { break }
      if word.hasPrefix("--") {
        try takeLong(word.dropFirst(2), &words)
      } else {
        try takeShort(word.dropFirst(), &words)
      }
    }
    rest = Array(words)
  }

  private mutating func takeLong(_ word: Substring, _ words: inout ArraySlice<String>) throws(Problem) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard let option = known.first(where: { $0.long == parts[0] }) else {
      throw Problem(description: "unknown option --\(parts[0])")
    }
    let value = parts.count == 2 ? String(parts[1]) : nil
    if value != nil, !Self.takesValue(option.action) {
      throw Problem(description: "option --\(option.long) takes no value")
    }
    try take(option.action, value, "--\(option.long)", &words)
  }

  private mutating func takeShort(_ word: Substring, _ words: inout ArraySlice<String>) throws(Problem) {
    var letters = word
    while let letter = letters.popFirst() {
      guard let option = known.first(where: { $0.short == letter }) else {
        throw Problem(description: "unknown option -\(letter)")
      }
      let isLast = letters.isEmpty || Self.takesValue(option.action)
      let value = letters.isEmpty || !Self.takesValue(option.action) ? nil : String(letters)
      try take(option.action, value, "-\(letter)", &words)
      if isLast { return }
    }
  }

  private mutating func take(
    _ action: Action, _ value: String?, _ typed: String, _ words: inout ArraySlice<String>
  ) throws(Problem) {
    switch action {
    case .help: asksForHelp = true
    case .version: asksForVersion = true
    case .own(let name): flags.insert(name)
    case .flag(let section, let name): options.set(section, name, to: "true", typed: typed)
    case .configuration, .set:
      guard let value = value ?? words.popFirst() else { throw Problem(description: "option \(typed) needs a value") }
      if case .set(let section, let name) = action {
        options.set(section, name, to: value, typed: typed)
      } else {
        options.configurationFile = value
      }
    }
  }

  private static func takesValue(_ action: Action) -> Bool {
    switch action {
    case .configuration, .set: true
    case .help, .version, .flag, .own: false
    }
  }
}
