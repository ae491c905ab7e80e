import CLinux
import Glibc

/// The command line of `bcfg2-server`: every option of 1.3.4 and of 1.4, long names shortened at will as getopt_long
/// allows.
public nonisolated struct CommandLineOptions: Sendable, Hashable {
  /// What is to be done with a command line.
  public enum Outcome: Sendable, Hashable {
    /// Start the server.
    case run(CommandLineOptions)
    /// Print this on standard output and exit with status 0.
    case print(String)
    /// Print this on standard error and exit with status 2.
    case usage(String)
  }

  /// A value for an option of the configuration file, and the option that was typed.
  public struct Value: Sendable, Hashable {
    public let text: String
    public let option: String
  }

  /// `-C`.
  public var configurationFile: String?
  /// `-D`.
  public var pidFile: String?
  /// `--render`: a template to render in place of serving.
  public var renderFile: String?
  /// `--check-templates`: renders all templates in place of serving.
  public var checksTemplates = false
  /// `--check`: reads the repository and builds every configuration in place of serving.
  public var checksRepository = false
  /// `--client`: the client that templates are rendered for.
  public var renderClient: String?
  /// Values that win over the file's.
  public internal(set) var values: [SettingDefinition.Place: Value] = [:]

  /// Nothing typed.
  public init() {}

  /// Sets an option of the configuration file, as if it had been typed.
  public mutating func set(_ section: String, _ option: String, to text: String, typed: String) {
    values[SettingDefinition.Place(section: section, option: option)] = Value(text: text, option: typed)
  }

  /// What was typed for an option of the configuration file; nil: nothing.
  public func typed(_ section: String, _ option: String) -> String? {
    values[SettingDefinition.Place(section: section, option: option)]?.text
  }

  /// Overwrites typed secrets in this process's command line, which other users can read. Child processes do not get them in
  /// theirs.
  public func hideSecrets() {
    for (place, value) in values
    where SettingRegistry.server.definition(place.section, place.option)?.kind == .secret {
      clinux_hide_argument(value.text)
    }
  }

  /// Makes typed paths absolute, before the working folder changes.
  package mutating func makePathsAbsolute(_ settings: Settings) {
    for (place, value) in values where settings.registry.definition(place.section, place.option)?.kind == .path {
      guard !value.text.isEmpty, let path = settings.value(place.section, place.option)?.value.text else { continue }
      values[place] = Value(text: path, option: value.option)
    }
  }

  /// One option: its letters, what it sets, its line of the help.
  struct Option {
    let short: Character?
    let long: String
    /// The name of the argument in `--help`; nil for a flag.
    let argument: String?
    let action: Action
    let help: String
  }

  enum Action {
    case configuration, pidFile, help, version, render, checkTemplates, checkRepository, client
    /// Sets an option of the file to the argument.
    case set(String, String)
    /// A flag: sets an option of the file to this text.
    case flag(String, String, String)
  }

  static let options: [Option] = [
    .init(short: "C", long: "config", argument: "FILE", action: .configuration, help: "Configuration file"),
    .init(
      short: "D", long: "daemon", argument: "PIDFILE", action: .pidFile, help: "Run as a daemon with this pid file"),
    .init(
      short: "E", long: "encoding", argument: "ENCODING", action: .set("components", "encoding"),
      help: "Encoding of files of the repository"),
    .init(
      short: "Q", long: "repository", argument: "PATH", action: .set("server", "repository"), help: "Bcfg2 repository"),
    .init(
      short: "S", long: "server", argument: "URL", action: .set("components", "bcfg2"),
      help: "Address to listen on, https://host:port"),
    .init(
      short: nil, long: "listen-all", argument: nil, action: .flag("server", "listen_all", "true"),
      help: "Listen on all addresses"),
    .init(
      short: "x", long: "password", argument: "PASSWORD", action: .set("communication", "password"),
      help: "Password of clients; others can read it until the server has begun, the file is better"),
    .init(short: nil, long: "ssl-key", argument: "FILE", action: .set("communication", "key"), help: "Private key"),
    .init(
      short: "t", long: "timeout", argument: "SECONDS", action: .set("communication", "timeout"),
      help: "Time that clients wait for an answer"),
    .init(
      short: nil, long: "children", argument: "NUMBER", action: .set("server", "children"),
      help: "Children of the multiprocessing core"),
    .init(
      short: nil, long: "no-fam-blocking", argument: nil, action: .flag("server", "fam_blocking", "false"),
      help: "Serve before the repository is read"),
    .init(
      short: nil, long: "cfg-validation", argument: nil, action: .flag("cfg", "validation", "false"),
      help: "Do not run the tests of Cfg files (1.4 turns them off by this name, too)"),
    .init(
      short: "W", long: "web-config", argument: "FILE", action: .set("reporting", "config"),
      help: "Further configuration file"),
    .init(
      short: "X", long: "web-debug", argument: nil, action: .flag("reporting", "web_debug", "true"),
      help: "Sets [reporting] web_debug, for start scripts that give it; the server itself does not use it"),
    .init(short: "o", long: "logfile", argument: "FILE", action: .set("logging", "path"), help: "File to log to"),
    .init(
      short: "d", long: "debug", argument: nil, action: .flag("logging", "debug", "true"), help: "Log debugging output"),
    .init(
      short: "v", long: "verbose", argument: nil, action: .flag("logging", "verbose", "true"),
      help: "Log verbose output"),
    .init(
      short: nil, long: "render", argument: "FILE", action: .render,
      help: "Render one template, print the output and, on standard error, what it read; do not serve"),
    .init(
      short: nil, long: "check-templates", argument: nil, action: .checkTemplates,
      help: "Render all templates for one client of each profile, print what fails; do not serve"),
    .init(
      short: nil, long: "check", argument: nil, action: .checkRepository,
      help: "Read the repository, or the one of an argument, and build every client; print what is wrong; do not serve"),
    .init(
      short: nil, long: "client", argument: "NAME", action: .client,
      help: "The client that --render renders for, or the only one of --check-templates and --check"),
    .init(short: "h", long: "help", argument: nil, action: .help, help: "Print this and exit"),
    .init(short: nil, long: "version", argument: nil, action: .version, help: "Print the version and exit"),
  ]

  /// Parses arguments with getopt_long, whose state is global: on the loop's thread only.
  ///
  /// - Parameters:
  ///   - arguments: with the program's name first.
  ///   - version: what `--version` prints after the program's name.
  @MainActor public static func parse(_ arguments: [String], version: String) -> Outcome {
    let program = arguments.first.map { String($0.split(separator: "/").last ?? "bcfg2-server") } ?? "bcfg2-server"
    var result = CommandLineOptions()
    switch scan(arguments) {
    case .failure(let problem):
      return .usage("\(program): \(problem.reason)\nTry '\(program) --help' for more information.\n")
    case .success(let (found, operands)):
      for (number, argument) in found {
        let option = options[number]
        let typed = option.short.map { "-\($0)" } ?? "--\(option.long)"
        switch option.action {
        case .help: return .print(help(program: program))
        case .version: return .print("\(program) \(version)\n")
        case .configuration: result.configurationFile = argument
        case .pidFile: result.pidFile = argument
        case .render: result.renderFile = argument
        case .checkTemplates: result.checksTemplates = true
        case .checkRepository: result.checksRepository = true
        case .client: result.renderClient = argument
        case .set(let section, let name): result.set(section, name, to: argument ?? "", typed: typed)
        case .flag(let section, let name, let text): result.set(section, name, to: text, typed: typed)
        }
      }
      if let repository = operands.first, result.checksRepository {
        result.set("server", "repository", to: repository, typed: "--check")
      }
      if let problem = result.problem(operands) {
        return .usage("\(program): \(problem)\nTry '\(program) --help' for more information.\n")
      }
      return .run(result)
    }
  }

  /// What is wrong with options and operands that do not go together; nil: nothing.
  private func problem(_ operands: [String]) -> String? {
    if let word = operands.dropFirst(checksRepository ? 1 : 0).first { return "unexpected argument '\(word)'" }
    if checksRepository {
      return renderFile == nil && !checksTemplates
        ? nil : "--check excludes --render and --check-templates"
    }
    if checksTemplates { return renderFile == nil ? nil : "--render and --check-templates exclude each other" }
    return (renderFile == nil) == (renderClient == nil) ? nil : "--render and --client need each other"
  }

  /// The text of `--help`.
  public static func help(program: String) -> String {
    var text = "Usage: \(program) [OPTION]...\nServe Bcfg2 clients.\n\n"
    for option in options {
      var line = option.short.map { "  -\($0), " } ?? "      "
      line += "--" + option.long + (option.argument.map { "=\($0)" } ?? "")
      let padding = max(2, 32 - line.utf8.count)
      text += line + String(repeating: " ", count: padding) + option.help + "\n"
    }
    return text
      + "\nOptions win over the configuration file. Its path may also be in BCFG2_CONFIG_FILE or BCFG2_CONFIG.\n"
  }

  private struct Problem: Error { let reason: String }

  /// Runs getopt_long over the arguments: numbers in `options` with their arguments, in the order typed, and operands.
  @MainActor private static func scan(_ arguments: [String]) -> Result<([(Int, String?)], operands: [String]), Problem>
  {
    var words = arguments.isEmpty ? ["bcfg2-server"] : arguments
    if let index = words.firstIndex(where: { $0.utf8.contains(0) }) { words[index] = "" }
    var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    let names: [UnsafeMutablePointer<CChar>?] = options.map { strdup($0.long) }
    let owned = pointers + names
    defer { for pointer in owned { free(pointer) } }
    let longs = options.indices.map { number in
      clinux_long_option(
        name: UnsafePointer(names[number]), has_argument: options[number].argument == nil ? 0 : 1,
        value: Int32(firstLongValue + number))
    }
    // The colon first makes a missing argument a result of its own; no `+`, so options may follow operands.
    let shorts =
      ":" + options.compactMap { option in option.short.map { "\($0)\(option.argument == nil ? "" : ":")" } }.joined()
    var found: [(Int, String?)] = []
    clinux_getopt_reset()
    while true {
      let code = clinux_getopt_long(Int32(words.count), &pointers, shorts, longs, Int32(longs.count))
      if code == -1 { break }
      let word = pointers[Int(clinux_getopt_index()) - 1].map { String(cString: $0) } ?? ""
      if code == Int32(UInt8(ascii: ":")) { return .failure(Problem(reason: "option '\(word)' needs an argument")) }
      let number =
        Int(code) >= firstLongValue
        ? Int(code) - firstLongValue : options.firstIndex { $0.short?.asciiValue.map { Int32($0) } == code }
      guard let number else {
        let letter = clinux_getopt_option()
        let name = letter > 0 && letter < 128 ? "-\(Character(Unicode.Scalar(UInt8(letter))))" : word
        return .failure(Problem(reason: "unknown, ambiguous or misused option '\(name)'"))
      }
      found.append((number, clinux_getopt_argument().map { String(cString: $0) }))
    }
    // getopt_long has moved operands behind the options.
    let operands = pointers[Int(clinux_getopt_index())...].compactMap { $0.map { String(cString: $0) } }
    return .success((found, operands))
  }

  /// Values of long options, above every character.
  private static let firstLongValue = 256
}
