/// An error in a pattern, in the words of Python's `re`.
nonisolated struct RegexSyntaxError: Error {
  let message: String

  init(_ message: String) { self.message = message }
}

/// A parsed pattern.
nonisolated struct RegexSyntax {
  let root: RegexNode
  let flags: RegexFlags
  let groupCount: Int
  /// Named groups and their numbers.
  let names: [String: Int]

  /// Parses a pattern in the syntax of Python 2.7's `re`, and references within lookbehinds as Python 3 does.
  ///
  /// - Throws: errors of Python; also more than `RegexParser.depthLimit` nested groups, and more repetitions than
  ///   `RegexParser.repeatLimit`.
  init(_ pattern: String) throws(RegexSyntaxError) {
    let tokens = try RegexParser.tokens(of: pattern)
    var parser = RegexParser(tokens, flags: [])
    var root = try parser.pattern()
    if parser.flags.contains(.verbose) {
      // The flag may follow blanks that it makes insignificant.
      parser = RegexParser(tokens, flags: parser.flags)
      root = try parser.pattern()
    }
    self.root = root
    // Locale classes take precedence over Unicode's, and the server's locale is C.
    flags = parser.flags.contains(.locale) ? parser.flags.subtracting(.unicode) : parser.flags
    groupCount = parser.groupCount
    names = parser.names
  }
}

/// Parses a pattern for `RegexSyntax`.
///
/// Source of the grammar: Python 2.7: Lib/sre_parse.py.
nonisolated struct RegexParser {
  /// A character, or a backslash with the character after it.
  struct Token: Equatable {
    let scalar: Unicode.Scalar
    let isEscape: Bool
  }

  /// Most groups of a pattern, as in Python 2.7.
  static let groupLimit = 99
  /// Most nested groups.
  static let depthLimit = 100
  /// The largest number in braces, as in PCRE2.
  static let repeatLimit = 65_535

  private let tokens: [Token]
  private var index = 0
  private(set) var flags: RegexFlags
  private(set) var groupCount = 0
  private(set) var names: [String: Int] = [:]
  /// Widths of the closed groups.
  private var widths: [Int: RegexWidth] = [:]
  /// Number of groups before the outermost open lookbehind; nil outside lookbehinds.
  private var groupsBeforeLookbehind: Int?
  /// The highest group that a condition refers to: it may come after the condition.
  private var highestCondition = 0

  static func tokens(of pattern: String) throws(RegexSyntaxError) -> [Token] {
    var tokens: [Token] = []
    var isEscape = false
    for scalar in pattern.unicodeScalars {
      if !isEscape, scalar == "\\" {
        isEscape = true
      } else {
        tokens.append(Token(scalar: scalar, isEscape: isEscape))
        isEscape = false
      }
    }
    if isEscape { throw RegexSyntaxError("bogus escape (end of line)") }
    return tokens
  }

  init(_ tokens: [Token], flags: RegexFlags) {
    self.tokens = tokens
    self.flags = flags
  }

  // MARK: Tokens

  private var current: Token? { index < tokens.count ? tokens[index] : nil }

  private func isAt(_ scalar: Unicode.Scalar) -> Bool { current == Token(scalar: scalar, isEscape: false) }

  /// Consumes a character if it comes next.
  private mutating func consume(_ scalar: Unicode.Scalar) -> Bool {
    guard isAt(scalar) else { return false }
    index += 1
    return true
  }

  /// Consumes a digit to a base if it comes next.
  private mutating func consumeDigit(_ radix: Int) -> Int? {
    guard let token = current, !token.isEscape, token.scalar.isASCII,
      let digit = Character(token.scalar).hexDigitValue, digit < radix
    else { return nil }
    index += 1
    return digit
  }

  // MARK: Structure

  mutating func pattern() throws(RegexSyntaxError) -> RegexNode {
    let root = try alternatives(depth: 0)
    if current != nil { throw RegexSyntaxError("unbalanced parenthesis") }
    if highestCondition > groupCount { throw RegexSyntaxError("invalid group reference") }
    return root
  }

  private mutating func alternatives(depth: Int) throws(RegexSyntaxError) -> RegexNode {
    var items = [try sequence(depth: depth)]
    while consume("|") { items.append(try sequence(depth: depth)) }
    return items.count == 1 ? items[0] : .alternatives(items)
  }

  private mutating func sequence(depth: Int) throws(RegexSyntaxError) -> RegexNode {
    guard depth <= Self.depthLimit else { throw RegexSyntaxError("nested too deeply") }
    var items: [RegexNode] = []
    while let token = current, token.isEscape || (token.scalar != "|" && token.scalar != ")") {
      index += 1
      if flags.contains(.verbose), skipsBlank(token) { continue }
      if token.isEscape {
        items.append(try escape(token.scalar))
        continue
      }
      switch token.scalar {
      case "[": items.append(.set(try set()))
      case ".": items.append(.any)
      case "^": items.append(.assertion(.lineStart))
      case "$": items.append(.assertion(.lineEnd))
      case "*": try repeatLast(of: &items, min: 0, max: nil)
      case "+": try repeatLast(of: &items, min: 1, max: nil)
      case "?": try repeatLast(of: &items, min: 0, max: 1)
      case "{":
        if let (min, max) = try bounds() {
          try repeatLast(of: &items, min: min, max: max)
        } else {
          items.append(.literal(token.scalar.value))
        }
      case "(":
        if let group = try group(depth: depth + 1) { items.append(group) }
      default: items.append(.literal(token.scalar.value))
      }
    }
    return items.count == 1 ? items[0] : .sequence(items)
  }

  /// Skips the rest of a comment or blank of a verbose pattern, given its first character. Returns false for other
  /// characters.
  private mutating func skipsBlank(_ token: Token) -> Bool {
    if token.isEscape { return false }
    if token.scalar == "#" {
      while let next = current {
        index += 1
        if next == Token(scalar: "\n", isEscape: false) { break }
      }
      return true
    }
    return token.scalar == " " || (0x09...0x0D).contains(token.scalar.value)
  }

  private mutating func repeatLast(of items: inout [RegexNode], min: Int, max: Int?) throws(RegexSyntaxError) {
    switch items.last {
    case nil, .assertion: throw RegexSyntaxError("nothing to repeat")
    case .repeated: throw RegexSyntaxError("multiple repeat")
    case let item?:
      if flags.contains(.template) { throw RegexSyntaxError("internal: unsupported template operator") }
      items[items.count - 1] = .repeated(item, min: min, max: max, isGreedy: !consume("?"))
    }
  }

  /// Parses numbers in braces after the opening brace; nil if the brace is literal.
  private mutating func bounds() throws(RegexSyntaxError) -> (min: Int, max: Int?)? {
    if isAt("}") { return nil }
    let start = index
    let low = try number()
    let high = consume(",") ? try number() : low
    guard consume("}") else {
      index = start
      return nil
    }
    if let low, let high, high < low { throw RegexSyntaxError("bad repeat interval") }
    return (low ?? 0, high)
  }

  private mutating func number() throws(RegexSyntaxError) -> Int? {
    var number: Int?
    while let digit = consumeDigit(10) {
      number = (number ?? 0) * 10 + digit
      if let number, number > Self.repeatLimit { throw RegexSyntaxError("the repetition number is too large") }
    }
    return number
  }

  // MARK: Groups

  /// Parses a group after its opening parenthesis; nil for flags and comments.
  private mutating func group(depth: Int) throws(RegexSyntaxError) -> RegexNode? {
    guard consume("?") else { return try capture(depth: depth) }
    guard let token = current, !token.isEscape else { throw RegexSyntaxError("unexpected end of pattern") }
    switch token.scalar {
    case "P":
      index += 1
      if consume("<") { return try capture(named: try name(until: ">"), depth: depth) }
      guard consume("=") else { throw RegexSyntaxError("unknown specifier: ?P\(current.map { "\($0.scalar)" } ?? "")") }
      let name = try name(until: ")")
      guard let number = names[name] else { throw RegexSyntaxError("unknown group name: '\(name)'") }
      // Python 2.7 allows it within the group itself.
      return try reference(number, mayBeOpen: true)
    case ":":
      index += 1
      let inner = try alternatives(depth: depth)
      try close()
      return .group(nil, inner)
    case "#":
      while let next = current, next != Token(scalar: ")", isEscape: false) {
        _ = next
        index += 1
      }
      try close()
      return nil
    case "=", "!", "<": return try lookaround(depth: depth)
    case "(":
      index += 1
      return try condition(depth: depth)
    default:
      guard RegexFlags(token.scalar) != nil else { throw RegexSyntaxError("unexpected end of pattern") }
      while let next = current, !next.isEscape, let flag = RegexFlags(next.scalar) {
        flags.insert(flag)
        index += 1
      }
      guard consume(")") else { throw RegexSyntaxError("unknown extension") }
      return nil
    }
  }

  private mutating func close() throws(RegexSyntaxError) {
    guard consume(")") else { throw RegexSyntaxError("unbalanced parenthesis") }
  }

  private mutating func capture(named name: String? = nil, depth: Int) throws(RegexSyntaxError) -> RegexNode {
    groupCount += 1
    let number = groupCount
    guard number <= Self.groupLimit else {
      throw RegexSyntaxError("sorry, but this version only supports 100 named groups")
    }
    if let name {
      if let other = names[name] {
        throw RegexSyntaxError("redefinition of group name '\(name)' as group \(number); was group \(other)")
      }
      names[name] = number
    }
    let inner = try alternatives(depth: depth)
    try close()
    widths[number] = inner.width(widths)
    return .group(number, inner)
  }

  /// Parses a name up to a character.
  private mutating func name(until end: Unicode.Scalar) throws(RegexSyntaxError) -> String {
    let name = try text(until: end)
    guard !name.isEmpty else { throw RegexSyntaxError("missing group name") }
    guard Self.isName(name) else { throw RegexSyntaxError("bad character in group name '\(name)'") }
    return name
  }

  private mutating func text(until end: Unicode.Scalar) throws(RegexSyntaxError) -> String {
    var text = String.UnicodeScalarView()
    while let token = current {
      index += 1
      if token == Token(scalar: end, isEscape: false) { return String(text) }
      if token.isEscape { text.append("\\") }
      text.append(token.scalar)
    }
    throw RegexSyntaxError("unterminated name")
  }

  private static func isName(_ name: String) -> Bool {
    name.utf8.allSatisfy { $0 == UInt8(ascii: "_") || ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 }
      && !(name.utf8.first.map { $0 &- 0x30 < 10 } ?? true)
  }

  private mutating func lookaround(depth: Int) throws(RegexSyntaxError) -> RegexNode {
    let isBehind = consume("<")
    let isNegative = isAt("!")
    guard consume("=") || consume("!") else { throw RegexSyntaxError("syntax error") }
    let outer = groupsBeforeLookbehind
    if isBehind, outer == nil { groupsBeforeLookbehind = groupCount }
    let inner = try alternatives(depth: depth)
    groupsBeforeLookbehind = outer
    try close()
    if isBehind {
      let width = inner.width(widths)
      guard width.min == width.max else { throw RegexSyntaxError("look-behind requires fixed-width pattern") }
    }
    return .look(isBehind: isBehind, isNegative: isNegative, inner)
  }

  /// `(?(1)then|otherwise)`, parsed up to the group's name.
  private mutating func condition(depth: Int) throws(RegexSyntaxError) -> RegexNode {
    let text = try text(until: ")")
    guard !text.isEmpty else { throw RegexSyntaxError("missing group name") }
    let number: Int
    if Self.isName(text) {
      guard let known = names[text] else { throw RegexSyntaxError("unknown group name: '\(text)'") }
      number = known
    } else {
      // Python's int() allows blanks around it.
      let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
      let bytes = text.utf8.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
      let digits = String(decoding: Array(bytes), as: UTF8.self)
      guard digits.utf8.count < 10, let value = Int(digits), value >= 0 else {
        throw RegexSyntaxError("bad character in group name")
      }
      number = value
    }
    if number == 0 {
      // Python does not treat it as a condition.
      let inner = try alternatives(depth: depth)
      try close()
      return .group(nil, inner)
    }
    if let groups = groupsBeforeLookbehind, number > groups {
      throw RegexSyntaxError("cannot refer to group defined in the same lookbehind subpattern")
    }
    highestCondition = max(highestCondition, number)
    let then = try sequence(depth: depth)
    let otherwise = consume("|") ? try sequence(depth: depth) : .sequence([])
    if isAt("|") { throw RegexSyntaxError("conditional backref with more than two branches") }
    try close()
    return .condition(number, then: then, otherwise: otherwise)
  }

  private func reference(_ number: Int, mayBeOpen: Bool = false) throws(RegexSyntaxError) -> RegexNode {
    guard mayBeOpen || widths[number] != nil else { throw RegexSyntaxError("cannot refer to open group") }
    if let groups = groupsBeforeLookbehind, number > groups {
      throw RegexSyntaxError("cannot refer to group defined in the same lookbehind subpattern")
    }
    return .reference(number)
  }

  // MARK: Characters

  /// Parses an escape outside of sets.
  private mutating func escape(_ scalar: Unicode.Scalar) throws(RegexSyntaxError) -> RegexNode {
    switch scalar {
    case "A": return .assertion(.textStart)
    case "Z": return .assertion(.textEnd)
    case "b": return .assertion(.wordBoundary)
    case "B": return .assertion(.notWordBoundary)
    case "1"..."9": return try octalOrReference(Int(scalar.value - 0x30))
    default:
      switch try member(scalar) {
      case .range(let low, _): return .literal(low)
      case let category: return .set(RegexSet(members: [category]))
      }
    }
  }

  /// `\101` is a character, `\1` and `\10` are groups.
  private mutating func octalOrReference(_ first: Int) throws(RegexSyntaxError) -> RegexNode {
    var number = first
    if let second = consumeDigit(10) {
      if first < 8, second < 8, let third = consumeDigit(8) {
        return .literal(UInt32(first * 64 + second * 8 + third) & 0xFF)
      }
      number = first * 10 + second
    }
    guard number <= groupCount else { throw RegexSyntaxError("bogus escape: '\\\(number)'") }
    return try reference(number)
  }

  /// Parses an escape in sets, and most escapes outside.
  private mutating func member(_ scalar: Unicode.Scalar) throws(RegexSyntaxError) -> RegexSet.Member {
    switch scalar {
    case "d", "s", "w": return .category(RegexCategory(rawValue: Character(scalar))!, isNegative: false)
    case "D": return .category(.digit, isNegative: true)
    case "S": return .category(.space, isNegative: true)
    case "W": return .category(.word, isNegative: true)
    case "x":
      guard let high = consumeDigit(16), let low = consumeDigit(16) else {
        throw RegexSyntaxError("bogus escape: '\\x'")
      }
      let value = UInt32(high * 16 + low)
      return .range(value, value)
    case "0"..."7":
      var value = scalar.value - 0x30
      for _ in 0..<2 {
        guard let digit = consumeDigit(8) else { break }
        value = value * 8 + UInt32(digit)
      }
      return .range(value & 0xFF, value & 0xFF)
    case "8", "9": throw RegexSyntaxError("bogus escape: '\\\(scalar)'")
    default:
      let value: UInt32 =
        switch scalar {
        case "a": 0x07
        case "b": 0x08
        case "f": 0x0C
        case "n": 0x0A
        case "r": 0x0D
        case "t": 0x09
        case "v": 0x0B
        default: scalar.value
        }
      return .range(value, value)
    }
  }

  /// Parses a set after its opening bracket.
  private mutating func set() throws(RegexSyntaxError) -> RegexSet {
    var set = RegexSet(isNegative: consume("^"))
    while let token = current {
      index += 1
      if token == Token(scalar: "]", isEscape: false), !set.members.isEmpty { return set }
      let first = try setMember(token)
      guard consume("-") else {
        set.members.append(first)
        continue
      }
      guard let next = current else { break }
      index += 1
      if next == Token(scalar: "]", isEscape: false) {
        set.members += [first, .range(0x2D, 0x2D)]
        return set
      }
      guard case .range(let low, _) = first, case .range(let high, _) = try setMember(next), low <= high else {
        throw RegexSyntaxError("bad character range")
      }
      set.members.append(.range(low, high))
    }
    throw RegexSyntaxError("unexpected end of regular expression")
  }

  private mutating func setMember(_ token: Token) throws(RegexSyntaxError) -> RegexSet.Member {
    token.isEscape ? try member(token.scalar) : .range(token.scalar.value, token.scalar.value)
  }
}
