import EventLoop
public import Formats
import Glibc

/// A value after its kind's rules. Which case an option has follows from its kind alone.
public nonisolated enum SettingValue: Sendable, Hashable {
  /// `text`, `secret`, `macroText`, `path` and both choices.
  case text(String)
  /// `boolean`.
  case boolean(Bool)
  /// `integer`, `octal`, `size` in bytes, `days`, `user` and `group` as numbers.
  case integer(Int)
  /// `seconds` and `timeout`; a timeout of 0 or less is nil.
  case duration(Duration?)
  /// `commaList`, `patterns` and `networks`.
  case list([String])
  /// `dictionary`.
  case dictionary([String: PythonLiteral])
  /// `location`.
  case location(ServerLocation)

  /// The text of a text value.
  public var text: String? { if case .text(let value) = self { value } else { nil } }
  /// The flag of a boolean value.
  public var boolean: Bool? { if case .boolean(let value) = self { value } else { nil } }
  /// The number of an integer value.
  public var integer: Int? { if case .integer(let value) = self { value } else { nil } }
  /// The items of a list value.
  public var list: [String]? { if case .list(let value) = self { value } else { nil } }
  /// The span of a duration value; nil for no limit.
  public var duration: Duration? { if case .duration(let value) = self { value } else { nil } }
  /// The items of a dictionary value.
  public var dictionary: [String: PythonLiteral]? { if case .dictionary(let value) = self { value } else { nil } }
}

/// A value, and who set it.
public nonisolated struct Setting: Sendable, Hashable {
  public let value: SettingValue
  public let origin: SettingOrigin
  /// The option's name as written, where a definition named `*` is for it.
  var wildcardName: String?
}

/// `[components] bcfg2`: where clients find the server.
public nonisolated struct ServerLocation: Sendable, Hashable, CustomStringConvertible {
  /// A name or an address; an IPv6 address without its brackets.
  public var host: String
  public var port: UInt16
  /// The port that Bcfg2 uses unless told otherwise.
  public static let defaultPort: UInt16 = 6789

  /// A location.
  public init(host: String, port: UInt16 = defaultPort) {
    self.host = host
    self.port = port
  }

  /// Reads `https://host:port`, the scheme and the port being optional; nil if it is none.
  public init?(_ text: String) {
    var rest = Substring(text)
    if let scheme = rest.firstRange(of: "://") {
      guard rest[..<scheme.lowerBound] == "https" else { return nil }
      rest = rest[scheme.upperBound...]
    }
    if let slash = rest.firstIndex(of: "/") {
      guard rest[slash...].allSatisfy({ $0 == "/" }) else { return nil }
      rest = rest[..<slash]
    }
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { return nil }
      host = String(rest[rest.index(after: rest.startIndex)..<end])
      rest = rest[rest.index(after: end)...]
    } else {
      let end = rest.firstIndex(of: ":") ?? rest.endIndex
      host = String(rest[..<end])
      rest = rest[end...]
    }
    guard !host.isEmpty, !host.utf8.contains(where: { $0.isSpace || $0 == UInt8(ascii: "@") }) else { return nil }
    if rest.isEmpty {
      port = Self.defaultPort
    } else {
      guard rest.first == ":", let number = UInt16(rest.dropFirst()), number > 0 else { return nil }
      port = number
    }
  }

  public var description: String { "https://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

nonisolated extension SettingKind {
  /// What a value may be, for messages.
  public var allowed: String {
    switch self {
    case .text, .secret, .macroText: "any text"
    case .path: "a path"
    case .program: "a path, or the name of a program that is found in PATH"
    case .boolean: "yes, no, true, false, on, off, 1, 0"
    case .integer(let range):
      range.upperBound == .max
        ? "a whole number, \(range.lowerBound) or more"
        : "a whole number from \(range.lowerBound) to \(range.upperBound)"
    case .seconds: "seconds, such as 5 or 0.5"
    case .timeout: "seconds, such as 300 or 0.5; 0 for no limit"
    case .octal(let range): "octal digits up to \(String(range.upperBound, radix: 8))"
    case .size: "bytes, such as 1048576, 512k or 1m"
    case .days: "days, weeks or years, such as 90d, 12w or 1y"
    case .commaList: "a list between commas"
    case .patterns: "regular expressions between spaces"
    case .networks: "addresses and networks between commas, such as 127.0.0.1, 10.0.0.0/8, 2001:db8::/32"
    case .choice(let values): values.joined(separator: ", ")
    case .choiceInAnyCase(let values): values.joined(separator: ", ")
    case .user: "the name or number of a user of this system"
    case .group: "the name or number of a group of this system"
    case .dictionary: "a Python dictionary such as {'name': 'value'}, or name=value,name=value"
    case .location: "https://host:port"
    }
  }

  /// What is wrong with a part of a value, where `allowed` does not tell.
  func problem(in text: String) -> String? {
    guard case .patterns = self else { return nil }
    for pattern in text.words {
      if let problem = PythonRegex.problem(in: pattern) { return "'\(pattern)': \(problem)" }
    }
    return nil
  }

  /// Reads a value, or nil if it is none of what is allowed.
  ///
  /// - Parameter repository: what `<repository>` stands for.
  func parse(_ text: String, repository: String) -> SettingValue? {
    switch self {
    case .text, .secret: return .text(text)
    case .macroText: return .text(text.replacing("<repository>", with: repository))
    case .path: return .text(Paths.absolute(text.replacing("<repository>", with: repository)))
    case .program:
      guard text.contains("/") || text.hasPrefix("~") else { return Paths.ofProgram(text).map { .text($0) } }
      return .text(Paths.absolute(text))
    case .boolean: return Self.boolean(text).map { .boolean($0) }
    case .integer(let range):
      guard let number = Int(text.words.joined()), text.words.count == 1, range.contains(number) else { return nil }
      return .integer(number)
    case .seconds:
      guard let seconds = Self.seconds(text), seconds >= 0 else { return nil }
      return .duration(.seconds(seconds))
    case .timeout:
      guard let seconds = Self.seconds(text) else { return nil }
      return .duration(seconds > 0 ? .seconds(seconds) : nil)
    case .octal(let range):
      let digits = text.hasPrefix("0o") ? text.dropFirst(2) : text[...]
      guard digits.utf8.allSatisfy({ (0x30...0x37).contains($0) }), let number = Int(digits, radix: 8),
        range.contains(number)
      else { return nil }
      return .integer(number)
    case .size: return Self.size(text).map { .integer($0) }
    case .days: return Self.days(text).map { .integer($0) }
    case .commaList: return .list(text.commaSeparated)
    case .patterns:
      let items = text.words
      return items.allSatisfy { PythonRegex.problem(in: $0) == nil } ? .list(items) : nil
    case .networks:
      let items = text.commaSeparated
      return items.allSatisfy { NetworkPrefix($0) != nil } ? .list(items) : nil
    case .choice(let values): return values.contains(text) ? .text(text) : nil
    case .choiceInAnyCase(let values):
      let folded = text.asciiLowercased
      return values.first { $0.asciiLowercased == folded }.map { .text($0) }
    case .user: return Accounts.user(text).map { .integer(Int($0)) }
    case .group: return Accounts.group(text).map { .integer(Int($0)) }
    case .dictionary: return PythonLiteral.dictionary(text).map { .dictionary($0) }
    case .location: return ServerLocation(text).map { .location($0) }
    }
  }

  private static func boolean(_ text: String) -> Bool? {
    switch text.asciiLowercased {
    case "1", "yes", "true", "on": true
    case "0", "no", "false", "off": false
    default: nil
    }
  }

  /// A finite number of seconds within ten years, as `float` reads it.
  private static func seconds(_ text: String) -> Double? {
    let words = text.words
    guard words.count == 1, let seconds = Double(words[0]), seconds.isFinite, seconds.magnitude < 3.2e8 else {
      return nil
    }
    return seconds
  }

  private static func days(_ text: String) -> Int? {
    guard let last = text.last else { return nil }
    let unit: Int? =
      switch last {
      case "d", "D": 1
      case "w", "W": 7
      case "y", "Y": 365
      default: nil
      }
    guard let number = Int(unit == nil ? text[...] : text.dropLast()), (1...36500).contains(number) else { return nil }
    return number * (unit ?? 1)
  }

  /// Digits and an optional suffix of k, m, g, t.
  private static func size(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits) else { return nil }
    let shift: Int
    switch text.dropFirst(digits.count).lowercased() {
    case "": shift = 0
    case "k": shift = 10
    case "m": shift = 20
    case "g": shift = 30
    case "t": shift = 40
    default: return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    return overflow ? nil : bytes
  }
}
