public import Logging

/// The error of an unusable regular expression.
public struct RegexError: Error, CustomStringConvertible {
  public let description: String

  init(_ pattern: String, _ reason: String) { description = "Bad regular expression '\(pattern)': \(reason)" }
}

/// The place of a regular expression, and the logger for its warnings.
public struct RegexSource {
  /// `file:line`
  let place: String
  let logger: Logger
  /// Shared by all patterns of the file.
  let check: RegexCheck

  public init(place: String, logger: Logger, check: RegexCheck = RegexCheck()) {
    self.place = place
    self.logger = logger
    self.check = check
  }
}

/// A regular expression of Python 2.7's `re`, compiled once, matched by PCRE2 within limits.
///
/// It works on Unicode scalars. As in Python, flags inside a pattern apply to all of it, and without `(?u)` classes and
/// case are ASCII's.
public final class PythonRegex {
  /// Where in a text the pattern must match.
  public nonisolated enum Scope {
    /// At the start: `re.match`.
    case atStart
    /// Anywhere: `re.search`.
    case anywhere
    /// From start to end: `re.fullmatch`.
    case wholeText
  }

  /// A match: groups by number (0 is everything) and by name.
  public struct Match {
    fileprivate let text: String
    fileprivate let offsets: [Int]
    fileprivate let names: [String: Int]

    /// The byte range of a group; nil if it did not match.
    public func bytes(_ group: Int) -> Range<Int>? {
      guard group >= 0, group <= groupCount, offsets[2 * group] >= 0 else { return nil }
      return offsets[2 * group]..<offsets[2 * group + 1]
    }

    /// The text of a group; nil if it did not match.
    public subscript(_ group: Int) -> String? {
      guard let bytes = bytes(group) else { return nil }
      let utf8 = text.utf8
      let start = utf8.index(utf8.startIndex, offsetBy: bytes.lowerBound)
      return String(text[start..<utf8.index(start, offsetBy: bytes.count)])
    }

    /// The text of a named group; nil if it did not match or does not exist.
    public subscript(_ group: String) -> String? { names[group].flatMap { self[$0] } }

    /// Number of groups, without group 0.
    public var groupCount: Int { offsets.count / 2 - 1 }
  }

  /// The pattern as written.
  public let pattern: String
  private let program: RegexProgram
  private let firstGroup: Int
  private let groupCount: Int
  private let names: [String: Int]
  private let source: RegexSource?

  /// Compiles a pattern, and warns if a text of 255 bytes without line feeds can drive it over its limit.
  ///
  /// - Parameter source: its place; nil for a pattern of the server's own, which logs nothing.
  /// - Throws: the error in the pattern.
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
    if let warning = slowness.warning { report("\(warning); such a text counts as no match") }
  }

  /// What Python's grammar has against a pattern; nil where it can be compiled.
  public nonisolated static func problem(in pattern: String) -> String? {
    guard pattern.utf8.count <= RegexLimits.patternBytes else { return "longer than \(RegexLimits.patternBytes) bytes" }
    do throws(RegexSyntaxError) {
      _ = RegexTranslation(try RegexSyntax(pattern), finds: .wholeText)
      return nil
    } catch {
      return error.message
    }
  }

  /// Matches a text. Logs a match that takes too many steps and returns nil.
  public func match(_ text: String) -> Match? {
    guard matches(text) else { return nil }
    let offsets = RegexProgram.offsets(first: firstGroup, count: groupCount)
    return Match(text: text, offsets: offsets, names: names)
  }

  /// Whether the text matches.
  public func matches(_ text: String) -> Bool { outcome(text) == .found }

  package func outcome(_ text: String) -> RegexProgram.Outcome {
    var text = text
    let outcome = text.withUTF8 { program.match($0) }
    switch outcome {
    case .found, .notFound: break
    case .overLimit: report("takes more than \(RegexLimits.steps) steps for '\(text)', which counts as no match")
    case .overBudget:
      report("is not tried on '\(text)', which counts as no match: the request has used up its steps")
    }
    return outcome
  }

  private func report(_ message: String) {
    source?.logger.warning("\(source?.place ?? ""): Regular expression '\(pattern)' \(message)")
  }
}
