import CPCRE2

/// Translates a pattern of Python's `re` into PCRE2's syntax and options.
///
/// It escapes every character, so that none of PCRE2's own extensions applies.
nonisolated struct RegexTranslation {
  private(set) var text = ""
  private(set) var options: UInt32
  /// PCRE2's number of the pattern's group 0; the others follow it.
  let firstGroup: Int

  private let flags: RegexFlags

  init(_ syntax: RegexSyntax, finds scope: PythonRegex.Scope) {
    flags = syntax.flags
    // Automatic possessification would count a loop of any length as one step.
    options = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ALT_CIRCUMFLEX | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_POSSESS
    if flags.contains(.dotAll) { options |= PCRE2_DOTALL }
    if flags.contains(.multiline) { options |= PCRE2_MULTILINE }
    if flags.contains(.unicode) {
      options |= PCRE2_UCP
      if flags.contains(.ignoreCase) { options |= PCRE2_CASELESS }
    }
    switch scope {
    case .atStart:
      firstGroup = 0
      append(syntax.root)
    case .wholeText:
      firstGroup = 0
      options |= PCRE2_ENDANCHORED
      append(syntax.root)
    case .anywhere:
      // One match performs the whole search, so that the limits apply to all of it and not to each starting place.
      firstGroup = 1
      text = Self.searchPrefix(syntax) + "("
      append(syntax.root)
      text += ")"
    }
  }

  /// The text that a search may skip, as short as possible.
  private static func searchPrefix(_ syntax: RegexSyntax) -> String {
    if syntax.beginsAtTextStart { return "" }
    // A pattern that begins with `.*` and does not match at the start of a line matches nowhere on it.
    guard syntax.beginsWithAnything else { return "(?s:.*?)" }
    return syntax.flags.contains(.dotAll) ? "" : "(?:[^\\n]*\\n)*?"
  }

  private mutating func append(_ node: RegexNode) {
    switch node {
    case .literal(let value): appendLiteral(value)
    case .any: text += "."
    case .set(let set): append(set)
    case .assertion(let assertion): append(assertion)
    case .group(let number, let inner):
      text += number == nil ? "(?:" : "("
      append(inner)
      text += ")"
    case .sequence(let items):
      for item in items { append(item) }
    case .alternatives(let items):
      for (position, item) in items.enumerated() {
        if position > 0 { text += "|" }
        append(item)
      }
    case .repeated(let inner, let min, let max, let isGreedy):
      switch inner {
      case .look, .condition, .reference:
        text += "(?:"
        append(inner)
        text += ")"
      default: append(inner)
      }
      text += max.map { "{\(min),\($0)}" } ?? "{\(min),}"
      if !isGreedy { text += "?" }
    case .reference(let number):
      let reference = "\\g{\(number + firstGroup)}"
      text += isASCIICaseless ? "(?i:\(reference))" : reference
    case .condition(let number, let then, let otherwise):
      text += "(?(\(number + firstGroup))"
      append(then)
      if otherwise != .sequence([]) {
        text += "|"
        append(otherwise)
      }
      text += ")"
    case .look(let isBehind, let isNegative, let inner):
      text += isBehind ? "(?<" : "(?"
      text += isNegative ? "!" : "="
      append(inner)
      text += ")"
    }
  }

  private mutating func append(_ assertion: RegexAssertion) {
    switch assertion {
    case .lineStart: text += "^"
    case .lineEnd: text += "$"
    case .textStart: text += "\\A"
    case .textEnd: text += "\\z"
    case .wordBoundary: text += "\\b"
    // An empty text has neither of the two.
    case .notWordBoundary: text += "(?:\\B(?!\\A\\z))"
    }
  }

  /// Case is ignored for ASCII letters only; PCRE2 has no such mode, so both cases are written.
  private var isASCIICaseless: Bool { flags.contains(.ignoreCase) && !flags.contains(.unicode) }

  private mutating func appendLiteral(_ value: UInt32) {
    if isASCIICaseless, let other = Self.otherCase(value) {
      text += "["
      appendCharacter(value)
      appendCharacter(other)
      text += "]"
    } else {
      appendCharacter(value)
    }
  }

  private mutating func appendCharacter(_ value: UInt32) {
    if value < 0x80, let scalar = Unicode.Scalar(value), scalar.properties.isAlphabetic || (0x30...0x39).contains(value)
    {
      text.unicodeScalars.append(scalar)
    } else {
      text += "\\x{\(String(value, radix: 16))}"
    }
  }

  private static func otherCase(_ value: UInt32) -> UInt32? {
    (0x61...0x7A).contains(value | 0x20) ? value ^ 0x20 : nil
  }

  private mutating func append(_ set: RegexSet) {
    if set.members == [.category(.space, isNegative: true)] {
      return append(RegexSet(isNegative: !set.isNegative, members: [.category(.space, isNegative: false)]))
    }
    text += set.isNegative ? "[^" : "["
    for member in set.members {
      switch member {
      case .range(let low, let high):
        appendRange(low, high)
        guard isASCIICaseless else { continue }
        for letters: ClosedRange<UInt32> in [0x41...0x5A, 0x61...0x7A]
        where letters.overlaps(low...high) {
          let cased = letters.clamped(to: low...high)
          appendRange(cased.lowerBound ^ 0x20, cased.upperBound ^ 0x20)
        }
      case .category(let category, let isNegative):
        text += "\\"
        text += isNegative ? category.rawValue.uppercased() : String(category.rawValue)
        // ASCII's separators are blanks in Python's Unicode mode only.
        if flags.contains(.unicode), category == .space, !isNegative { text += "\\x{1c}-\\x{1f}" }
      }
    }
    text += "]"
  }

  private mutating func appendRange(_ low: UInt32, _ high: UInt32) {
    appendCharacter(low)
    guard high > low else { return }
    text += "-"
    appendCharacter(high)
  }
}

nonisolated extension RegexSyntax {
  /// True if every way through the pattern begins with the start of the text.
  var beginsAtTextStart: Bool {
    func begins(_ node: RegexNode) -> Bool {
      switch node {
      case .assertion(.textStart): true
      case .assertion(.lineStart): !flags.contains(.multiline)
      case .sequence(let items): items.first.map(begins) ?? false
      case .alternatives(let items): items.allSatisfy(begins)
      case .group(_, let inner): begins(inner)
      default: false
      }
    }
    return begins(root)
  }

  /// True if the pattern begins with `.*`.
  var beginsWithAnything: Bool {
    func begins(_ node: RegexNode) -> Bool {
      switch node {
      case .repeated(.any, min: 0, max: nil, _): true
      case .sequence(let items): items.first.map(begins) ?? false
      default: false
      }
    }
    return begins(root)
  }
}
