/// Where a value came from, for messages: an administrator must be able to find the line that decided.
public nonisolated enum SettingOrigin: Sendable, Hashable, CustomStringConvertible {
  /// A line of a configuration file, counted from 1.
  case file(path: String, line: Int)
  /// An option of the command line, as it was typed, such as `--listen-all`.
  case commandLine(String)
  /// An environment variable.
  case environment(String)
  /// Nobody set it: the built-in default.
  case builtIn

  public var description: String {
    switch self {
    case .file(let path, let line): "\(path):\(line)"
    case .commandLine(let option): "command line, \(option)"
    case .environment(let name): "environment, \(name)"
    case .builtIn: "default"
    }
  }
}

/// A configuration that cannot be used. The text names the file, the line and the option, and what is allowed.
public nonisolated enum SettingsError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The file could not be opened or read; `reason` is the system's.
  case unreadable(path: String, reason: String)
  /// The file is not what ConfigParser would accept, or it is beyond a bound.
  case malformed(path: String, line: Int, reason: String)
  /// A value whose `%(name)s` references cannot be resolved.
  case interpolation(origin: SettingOrigin, section: String, option: String, reason: String)
  /// A value outside of what the option allows.
  case wrongValue(origin: SettingOrigin, section: String, option: String, value: String, allowed: String)

  /// Whether a value that was typed is the wrong one.
  public var isOfCommandLine: Bool {
    if case .wrongValue(.commandLine, _, _, _, _) = self { true } else { false }
  }

  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "Could not read \(path): \(reason)"
    case .malformed(let path, let line, let reason):
      "\(path):\(line): \(reason)"
    case .interpolation(let origin, let section, let option, let reason):
      "\(origin): [\(section)] \(option): \(reason)"
    case .wrongValue(let origin, let section, let option, let value, let allowed):
      "\(origin): [\(section)] \(option): wrong value '\(HiddenUser.hiding(value))'; allowed: \(allowed)"
    }
  }
}

/// Texts without the name and the password that a URL has.
nonisolated enum HiddenUser {
  /// The text with `...` in the place of what is between `//` and the last `@` before the next slash.
  static func hiding(_ text: String) -> String {
    var (shown, rest) = ("", text[...])
    while let start = rest.firstRange(of: "//") {
      shown += rest[..<start.upperBound]
      rest = rest[start.upperBound...]
      let authority = rest.prefix { !"/?# \t\n".contains($0) }
      guard let at = authority.lastIndex(of: "@") else { continue }
      shown += "...@"
      rest = rest[rest.index(after: at)...]
    }
    return shown + rest
  }
}

/// Something in the configuration that is probably a mistake but does not stop the server.
public nonisolated struct SettingsWarning: Sendable, Hashable, CustomStringConvertible {
  /// The place that the warning is about.
  public let origin: SettingOrigin
  /// One sentence without a final period.
  public let text: String
  /// Whether it is about serving clients, which concerns no program that serves none.
  public let isOfServing: Bool

  /// A warning about `origin`.
  public init(origin: SettingOrigin, text: String, isOfServing: Bool = false) {
    self.origin = origin
    self.text = text
    self.isOfServing = isOfServing
  }

  public var description: String { "\(origin): \(text)" }
}
