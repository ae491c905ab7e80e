/// How a kind of finding is handled: `[errors]` of bcfg2-lint.conf.
public nonisolated enum Severity: String, Sendable, Hashable {
  case error, warning, silent

  /// - Parameter text: as Bcfg2 reads it: what contains `warn` is a warning, what contains `err` an error, and `silent` or `debug` is
  ///   silent. Nil for anything else, which Bcfg2 takes for silent: a word that is misspelt would hide findings.
  public init?(text: String) {
    if text.contains("warn") {
      self = .warning
    } else if text.contains("err") {
      self = .error
    } else if ["silent", "debug", "none"].contains(text) {
      self = .silent
    } else {
      return nil
    }
  }

  /// The name of its handler, as `--list-errors` prints it.
  public var handler: String {
    switch self {
    case .error: "error"
    case .warning: "warn"
    case .silent: "debug"
    }
  }
}

/// Something that a check found.
public nonisolated struct Finding: Sendable, Hashable {
  /// A place in a file of the repository.
  public struct Place: Sendable, Hashable {
    public let path: String
    /// 1 for the first line; 0 for the whole file.
    public let line: Int

    public init(_ path: String, line: Int = 0) {
      self.path = path
      self.line = line
    }
  }

  /// One of several things that a finding puts together, such as the lines of a file that does not fit its schema.
  public struct Part: Sendable, Hashable {
    public let place: Place
    public let message: String
  }

  /// The name of the error: `bundle-not-found`.
  public let name: String
  /// The check that found it.
  public let plugin: String
  public let severity: Severity
  /// The text, a line each. A line feed in one is of a name.
  public let lines: [String]
  /// Where it is; nil where no file can be named.
  public let place: Place?
  /// The single things; empty where the finding is one.
  public let parts: [Part]

  /// The text, of one or more lines.
  public var message: String { lines.joined(separator: "\n") }
}
