public import Logging

/// Why a regular expression cannot be used.
public struct RegexError: Error, CustomStringConvertible {
  public let description: String

  init(_ pattern: String, _ reason: String) { description = "Bad regular expression '\(pattern)': \(reason)" }
}

/// Where a regular expression stands, and whom to tell of a slow one.
public struct RegexSource {
  /// `file:line`
  let place: String
  let logger: Logger
  /// Of all patterns of the file.
  let check: RegexCheck

  public init(place: String, logger: Logger, check: RegexCheck = RegexCheck()) {
    self.place = place
    self.logger = logger
    self.check = check
  }
}

/// A regular expression of Python 2.7's `re`, compiled once, matched by PCRE2 within limits.
///
/// Works on Unicode scalars. As in Python, flags inside a pattern count for all of it, and without `(?u)` classes and
/// case are those of ASCII.
public final class PythonRegex {
  /// Where in a text the pattern has to be.
  public nonisolated enum Scope {
    /// At its start: `re.match`.
    case atStart
    /// Anywhere: `re.search`.
    case anywhere
    /// From its start to its end: `re.fullmatch`.
    case wholeText
  }

  /// What was found: groups by number (0 is everything) and by name.
  public struct Match {
    fileprivate let text: String
    fileprivate let offsets: [Int]
    fileprivate let names: [String: Int]

    /// Where a group is, in bytes; nil where it took no part.
    public func bytes(_ group: Int) -> Range<Int>? {
      guard group >= 0, group <= groupCount, offsets[2 * group] >= 0 else { return nil }
      return offsets[2 * group]..<offsets[2 * group + 1]
    }

    /// The text of a group; nil where it took no part.
    public subscript(_ group: Int) -> String? {
      guard let bytes = bytes(group) else { return nil }
      let utf8 = text.utf8
      let start = utf8.index(utf8.startIndex, offsetBy: bytes.lowerBound)
      return String(text[start..<utf8.index(start, offsetBy: bytes.count)])
    }

    /// The text of a named group; nil where it took no part or does not exist.
    public subscript(_ group: String) -> String? { names[group].flatMap { self[$0] } }

    /// How many groups there are, without the whole.
    public var groupCount: Int { offsets.count / 2 - 1 }
  }

  /// The pattern as written.
  public let pattern: String
  private let program: RegexProgram
  private let firstGroup: Int
  private let groupCount: Int
  private let names: [String: Int]
  private let source: RegexSource?

  /// Compiles a pattern, and says where a text of 255 bytes without line feeds can drive it over its limit.
  ///
  /// - Parameter source: where it stands; nil for a pattern of the server's own, of which nothing is logged.
  /// - Throws: what is wrong with the pattern.
  public init(
    _ pattern: String, finds scope: Scope = .atStart, in source: RegexSource? = nil
  ) throws(RegexError) {
    self.pattern = pattern
    self.source = source
    guard pattern.utf8.count <= RegexLimits.patternBytes else {
      throw RegexError(pattern, "longer than \(RegexLimits.patternBytes) bytes")
    }
    let syntax: RegexSyntax
    let translation: RegexTranslation
    do throws(RegexSyntaxError) {
      syntax = try RegexSyntax(pattern)
      translation = RegexTranslation(syntax, finds: scope)
      program = try RegexProgram(translation)
    } catch {
      throw RegexError(pattern, error.message)
    }
    firstGroup = translation.firstGroup
    groupCount = syntax.groupCount
    names = syntax.names
    guard let source else { return }
    let slowness = RegexSlowness(syntax, finds: scope, program, source.check)
    if let warning = slowness.warning { report("\(warning); a text that does is taken as not fitting") }
  }

  /// Finds the pattern. A match that takes too many steps is logged and finds nothing.
  public func match(_ text: String) -> Match? {
    guard matches(text) else { return nil }
    let offsets = RegexProgram.offsets(first: firstGroup, count: groupCount)
    return Match(text: text, offsets: offsets, names: names)
  }

  /// True where the pattern is found.
  public func matches(_ text: String) -> Bool { outcome(text) == .found }

  package func outcome(_ text: String) -> RegexProgram.Outcome {
    var text = text
    let outcome = text.withUTF8 { program.match($0) }
    switch outcome {
    case .found, .notFound: break
    case .overLimit: report("takes more than \(RegexLimits.steps) steps for '\(text)', which is taken as not fitting")
    case .overBudget:
      report("is not tried on '\(text)', which is taken as not fitting: the request has used all its steps")
    }
    return outcome
  }

  private func report(_ message: String) {
    source?.logger.warning("\(source?.place ?? ""): Regular expression '\(pattern)' \(message)")
  }
}
