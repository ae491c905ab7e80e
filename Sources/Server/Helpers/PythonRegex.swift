import _StringProcessing

/// Why a regular expression cannot be used.
public struct RegexError: Error, CustomStringConvertible {
  public let description: String

  init(_ pattern: String, _ reason: String) { description = "Bad regular expression '\(pattern)': \(reason)" }
}

/// A regular expression in the syntax of Python's `re`, compiled once; works on Unicode scalars.
///
/// Named groups (`(?P<name>...)`, `(?P=name)`), `\Z`, `$` before a last newline, `.` for all but a newline, and literal
/// braces and brackets as Python reads them. Conditional groups and lookbehind are not supported.
public struct PythonRegex {
  /// The pattern as written.
  public let pattern: String
  private let regex: Regex<AnyRegexOutput>

  /// What was found: groups by number (0 is everything) and by name.
  public struct Match {
    fileprivate let match: Regex<AnyRegexOutput>.Match

    /// The text of a group; nil where it took no part.
    public subscript(_ group: Int) -> String? {
      guard match.output.indices.contains(group) else { return nil }
      return match.output[group].substring.map { String($0) }
    }

    /// The text of a named group; nil where it took no part or does not exist.
    public subscript(_ group: String) -> String? {
      match.output.first { $0.name == group }?.substring.map { String($0) }
    }

    /// How many groups there are, without the whole.
    public var groupCount: Int { match.output.count - 1 }

    /// Where it was found.
    public var range: Range<String.Index> { match.range }
  }

  /// - Throws: what is wrong with the pattern.
  public init(_ pattern: String) throws(RegexError) {
    self.pattern = pattern
    var translation = PythonRegexTranslation(pattern)
    let translated: String
    do throws(RegexError) {
      translated = try translation.translate()
    } catch {
      throw error
    }
    do {
      regex = try Regex(translated).matchingSemantics(.unicodeScalar).wordBoundaryKind(.simple)
    } catch {
      throw RegexError(pattern, "\(error)")
    }
  }

  /// Finds the pattern at the start of a text: `re.match`.
  public func match(_ text: String) -> Match? {
    (try? regex.prefixMatch(in: text)).flatMap { $0 }.map { Match(match: $0) }
  }

  /// Finds the pattern anywhere: `re.search`.
  public func search(_ text: String) -> Match? {
    (try? regex.firstMatch(in: text)).flatMap { $0 }.map { Match(match: $0) }
  }

  /// Finds the pattern over the whole text: `re.fullmatch`.
  public func fullMatch(_ text: String) -> Match? {
    (try? regex.wholeMatch(in: text)).flatMap { $0 }.map { Match(match: $0) }
  }

  /// True where the pattern stands at the start of a text.
  public func matches(_ text: String) -> Bool { match(text) != nil }
}

/// From Python's syntax to that of the standard library.
private struct PythonRegexTranslation {
  private let pattern: String
  private let scalars: [Unicode.Scalar]
  private var index = 0
  private var output = ""
  private var dotMatchesAll = false
  private var isMultiline = false
  private var isVerbose = false

  init(_ pattern: String) {
    self.pattern = pattern
    scalars = Array(pattern.unicodeScalars)
  }

  private func peek(_ offset: Int = 0) -> Unicode.Scalar? {
    index + offset < scalars.count ? scalars[index + offset] : nil
  }

  private func isAt(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    return index + wanted.count <= scalars.count && Array(scalars[index..<index + wanted.count]) == wanted
  }

  mutating func translate() throws(RegexError) -> String {
    while let scalar = peek() {
      if isVerbose, skipsBlank(scalar) { continue }
      switch scalar {
      case "\\": try escape(inSet: false)
      case "[": try set()
      case "(": try group()
      case "{": brace()
      case "}", "]", "#", " ", "&", "~", "-", "/":
        // Literals, escaped so that no reading of them can differ.
        output += scalar == " " ? " " : "\\\(scalar)"
        index += 1
      case "$":
        output += isMultiline ? "(?=\\n|\\z)" : "(?=\\n?\\z)"
        index += 1
      case "^":
        output += isMultiline ? "(?m:^)" : "\\A"
        index += 1
      case ".":
        output += dotMatchesAll ? "(?s:.)" : "[^\\n]"
        index += 1
      default:
        output.unicodeScalars.append(scalar)
        index += 1
      }
    }
    return output
  }

  /// Moves over blanks and comments of a verbose pattern. Returns false where there is none.
  private mutating func skipsBlank(_ scalar: Unicode.Scalar) -> Bool {
    if scalar == "#" {
      while let next = peek(), next != "\n" {
        _ = next
        index += 1
      }
      return true
    }
    guard scalar == " " || (0x09...0x0D).contains(scalar.value) else { return false }
    index += 1
    return true
  }

  private mutating func group() throws(RegexError) {
    index += 1
    if isAt("?P<") {
      index += 3
      output += "(?<"
    } else if isAt("?P=") {
      index += 3
      var name = ""
      while let scalar = peek(), scalar != ")" {
        name.unicodeScalars.append(scalar)
        index += 1
      }
      index += 1
      output += "\\k<\(name)>"
    } else if isAt("?#") {
      while let scalar = peek(), scalar != ")" {
        _ = scalar
        index += 1
      }
      index += 1
    } else if isAt("?("), scalars.count > index + 2 {
      throw RegexError(pattern, "conditional groups are not supported")
    } else if peek() == "?", let next = peek(1), "aiLmsux-".unicodeScalars.contains(next) {
      try flags()
    } else {
      output += "("
      // The marks of a group, so that they are not taken for literals.
      if peek() == "?" {
        output += "?"
        index += 1
        while let scalar = peek(), "<=!:>".unicodeScalars.contains(scalar) {
          output.unicodeScalars.append(scalar)
          index += 1
        }
      }
    }
  }

  /// `(?i)`, `(?is:...)`. Python's a, L and u choose alphabets and are left out.
  private mutating func flags() throws(RegexError) {
    index += 1
    var kept = ""
    var isOn = true
    while let scalar = peek(), scalar != ")", scalar != ":" {
      index += 1
      switch scalar {
      case "i": kept += "i"
      case "-":
        isOn = false
        kept += "-"
      case "s": dotMatchesAll = isOn
      case "a", "L", "u": break
      case "m": isMultiline = isOn
      case "x": isVerbose = isOn
      default: throw RegexError(pattern, "unknown flag \(scalar)")
      }
    }
    if kept.hasSuffix("-") { kept.removeLast() }
    let isGroup = peek() == ":"
    index += 1
    if isGroup { output += kept.isEmpty ? "(?:" : "(?\(kept):" } else if !kept.isEmpty { output += "(?\(kept))" }
  }

  /// A quantifier, or a literal brace where it is none.
  private mutating func brace() {
    var end = index + 1
    var commas = 0
    while end < scalars.count, scalars[end] == "," || ("0"..."9").contains(scalars[end]) {
      if scalars[end] == "," { commas += 1 }
      end += 1
    }
    guard end < scalars.count, scalars[end] == "}", end > index + 1, commas <= 1,
      end - index > 1 + commas || commas == 1
    else {
      output += "\\{"
      index += 1
      return
    }
    if scalars[index + 1] == "," { output += "{0" } else { output += "{" }
    for scalar in scalars[(index + 1)...end] { output.unicodeScalars.append(scalar) }
    index = end + 1
  }

  private mutating func set() throws(RegexError) {
    output += "["
    index += 1
    if peek() == "^" {
      output += "^"
      index += 1
    }
    var isFirst = true
    while let scalar = peek() {
      if scalar == "]", !isFirst {
        output += "]"
        index += 1
        return
      }
      isFirst = false
      switch scalar {
      case "\\": try escape(inSet: true)
      case "[", "]", "&", "~", "^", "#", " ", "{", "}", "(", ")", "|", "'", "\"", "/":
        output += scalar == " " ? "\\u{20}" : "\\\(scalar)"
        index += 1
      case "-":
        // A range where it stands between two members, else itself.
        let isRange = output.unicodeScalars.last != "[" && output.unicodeScalars.last != "^" && peek(1) != "]"
        output += isRange ? "-" : "\\-"
        index += 1
      default:
        output.unicodeScalars.append(scalar)
        index += 1
      }
    }
    throw RegexError(pattern, "unterminated character set")
  }

  private mutating func escape(inSet: Bool) throws(RegexError) {
    guard let next = peek(1) else { throw RegexError(pattern, "bad escape (end of pattern)") }
    index += 2
    switch next {
    case "Z": output += "\\z"
    case "v": output += "\\u{B}"
    case "a": output += "\\u{7}"
    case "b" where inSet: output += "\\u{8}"
    case "0": output += "\\u{0}"
    case "A", "b", "B", "d", "D", "s", "S", "w", "W", "n", "r", "t", "f", "x", "u", "U", "N":
      output.unicodeScalars.append("\\")
      output.unicodeScalars.append(next)
    case "1"..."9":
      output.unicodeScalars.append("\\")
      output.unicodeScalars.append(next)
    default:
      if next.isASCII, next.properties.isAlphabetic {
        throw RegexError(pattern, "bad escape \\\(next)")
      }
      if next == " " {
        output += "\\u{20}"
      } else {
        if next.isASCII { output += "\\" }
        output.unicodeScalars.append(next)
      }
    }
  }
}
