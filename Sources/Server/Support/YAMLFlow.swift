/// What stands within lines of YAML: keys, scalars, flow collections, aliases. May go on over several lines.
nonisolated struct YAMLFlow {
  private let lines: [YAMLReader.Line]
  private let anchors: [String: JSONValue]
  /// The line that is read.
  private(set) var line: Int
  /// The offset in its content.
  private(set) var column = 0

  init(lines: [YAMLReader.Line], line: Int, anchors: [String: JSONValue]) {
    self.lines = lines
    self.line = line
    self.anchors = anchors
  }

  private var content: [UInt8] { lines[line].content }
  private var current: UInt8? { column < content.count ? content[column] : nil }

  private func fail(_ message: String) -> YAMLError { YAMLError(line: lines[line].number, message: message) }

  /// Whether a byte ends a word at the current column in front of it: blank or the end of the line.
  private func isSpace(at offset: Int) -> Bool { offset >= content.count || content[offset].isYAMLSpace }

  // MARK: Block context

  /// The key with which the line begins; `column` is then behind its colon. Nil where the line begins with none.
  mutating func key() throws(YAMLError) -> String? {
    guard let first = current else { return nil }
    if first == UInt8(ascii: "?"), isSpace(at: 1) { throw fail("explicit keys are not supported") }
    var key: String?
    switch first {
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      guard hasClosingQuote(first) else { return nil }
      key = try quoted()
      while let byte = current, byte.isYAMLSpace { column += 1 }
    case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "|"), UInt8(ascii: ">"), UInt8(ascii: "#"):
      return nil
    default:
      var end = 0
      while end < content.count {
        if content[end] == UInt8(ascii: ":"), isSpace(at: end + 1) { break }
        if content[end] == UInt8(ascii: "#"), end > 0, content[end - 1].isYAMLSpace { return nil }
        end += 1
      }
      guard end < content.count else { return nil }
      key = Self.trimmed(content[..<end])
      column = end
    }
    guard let key, current == UInt8(ascii: ":"), isSpace(at: column + 1) else { return nil }
    column += 1
    return key
  }

  private func hasClosingQuote(_ quote: UInt8) -> Bool { content.dropFirst().contains(quote) }

  /// A value of a block collection with nothing but a comment behind it.
  mutating func blockValue(parentIndent: Int, depth: Int) throws(YAMLError) -> JSONValue {
    guard let first = current else { return .null }
    let value: JSONValue
    switch first {
    case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "*"):
      value = try flowValue(depth: depth)
    case UInt8(ascii: "@"), UInt8(ascii: "`"), UInt8(ascii: "%"):
      throw fail("found character '\(Character(Unicode.Scalar(first)))' that cannot start any token")
    case UInt8(ascii: "-"), UInt8(ascii: "?"):
      guard !isSpace(at: 1) else { throw fail("a block collection is not allowed here") }
      return try plainBlock(parentIndent: parentIndent)
    default:
      return try plainBlock(parentIndent: parentIndent)
    }
    while let byte = current, byte.isYAMLSpace { column += 1 }
    if let byte = current, byte != UInt8(ascii: "#") { throw fail("something stands behind a value") }
    return value
  }

  /// A plain scalar, which goes on over lines that are indented more than the parent.
  private mutating func plainBlock(parentIndent: Int) throws(YAMLError) -> JSONValue {
    var text = try plainLine()
    var isSingle = true
    var breaks = 0
    var following = line + 1
    while following < lines.count {
      let candidate = lines[following]
      if candidate.content.isEmpty {
        breaks += 1
        following += 1
        continue
      }
      guard candidate.indent > parentIndent, !candidate.isBlank else { break }
      line = following
      column = 0
      text += breaks == 0 ? " " : String(repeating: "\n", count: breaks)
      text += try plainLine()
      isSingle = false
      breaks = 0
      following += 1
    }
    return isSingle ? Self.resolved(text) : .string(text)
  }

  /// One line of a plain scalar, without its comment.
  private func plainLine() throws(YAMLError) -> String {
    var end = column
    while end < content.count {
      if content[end] == UInt8(ascii: "#"), end > 0, content[end - 1].isYAMLSpace { break }
      if content[end] == UInt8(ascii: ":"), isSpace(at: end + 1) { throw fail("mapping values are not allowed here") }
      end += 1
    }
    return Self.trimmed(content[column..<end])
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
    var bytes = bytes.drop(while: \.isYAMLSpace)
    while let last = bytes.last, last.isYAMLSpace { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Flow context

  private mutating func skipSpace() throws(YAMLError) {
    while true {
      while let byte = current, byte.isYAMLSpace { column += 1 }
      if let byte = current, byte != UInt8(ascii: "#") { return }
      guard line + 1 < lines.count else { throw fail("the text ends within a flow collection") }
      line += 1
      column = 0
    }
  }

  private mutating func flowValue(depth: Int) throws(YAMLError) -> JSONValue {
    guard depth < YAMLReader.depthLimit else { throw fail("nested too deeply") }
    switch current {
    case UInt8(ascii: "{"): return try flowMapping(depth: depth + 1)
    case UInt8(ascii: "["): return try flowSequence(depth: depth + 1)
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try quoted())
    case UInt8(ascii: "*"):
      let name = String(decoding: content[(column + 1)...].prefix { !Self.endsFlowWord($0) }, as: UTF8.self)
      guard let value = anchors[name] else { throw fail("found undefined alias '\(name)'") }
      column += 1 + name.utf8.count
      return value
    case UInt8(ascii: "!"), UInt8(ascii: "&"):
      while let byte = current, !Self.endsFlowWord(byte) { column += 1 }
      try skipSpace()
      return try flowValue(depth: depth + 1)
    default: return Self.resolved(plainFlow())
    }
  }

  private static func endsFlowWord(_ byte: UInt8) -> Bool {
    byte.isYAMLSpace || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}")
  }

  private mutating func flowSequence(depth: Int) throws(YAMLError) -> JSONValue {
    column += 1
    var items: [JSONValue] = []
    while true {
      try skipSpace()
      if current == UInt8(ascii: "]") { break }
      if current == UInt8(ascii: ",") { throw fail("a value is due before ','") }
      items.append(try flowValue(depth: depth))
      try skipSpace()
      if current == UInt8(ascii: ",") {
        column += 1
      } else if current != UInt8(ascii: "]") {
        throw fail("expected ',' or ']'")
      }
    }
    column += 1
    return .array(items)
  }

  private mutating func flowMapping(depth: Int) throws(YAMLError) -> JSONValue {
    column += 1
    var members: [JSONValue.Member] = []
    while true {
      try skipSpace()
      if current == UInt8(ascii: "}") { break }
      if current == UInt8(ascii: ",") { throw fail("a key is due before ','") }
      let isQuoted = current == UInt8(ascii: "\"") || current == UInt8(ascii: "'")
      let key = isQuoted ? try quoted() : plainFlow()
      try skipSpace()
      var value = JSONValue.null
      if current == UInt8(ascii: ":") {
        column += 1
        try skipSpace()
        if current != UInt8(ascii: ","), current != UInt8(ascii: "}") { value = try flowValue(depth: depth) }
        try skipSpace()
      }
      members.append(JSONValue.Member(key, value))
      if current == UInt8(ascii: ",") {
        column += 1
      } else if current != UInt8(ascii: "}") {
        throw fail("expected ',' or '}'")
      }
    }
    column += 1
    return .object(members)
  }

  /// A plain scalar within a flow collection, on one line.
  private mutating func plainFlow() -> String {
    let start = column
    while let byte = current {
      if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}")
        || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{")
      {
        break
      }
      if byte == UInt8(ascii: ":") {
        let after = column + 1
        if isSpace(at: after) || Self.endsFlowWord(content[after]) { break }
      }
      if byte == UInt8(ascii: "#"), column > start, content[column - 1].isYAMLSpace { break }
      column += 1
    }
    return Self.trimmed(content[start..<column])
  }

  // MARK: Scalars

  /// A quoted scalar; line breaks within it are folded.
  private mutating func quoted() throws(YAMLError) -> String {
    let quote = content[column]
    column += 1
    var text: [UInt8] = []
    while true {
      guard let byte = current else {
        while text.last?.isYAMLSpace ?? false { text.removeLast() }
        var breaks = 0
        repeat {
          guard line + 1 < lines.count else { throw fail("the text ends within a quoted scalar") }
          line += 1
          breaks += 1
        } while lines[line].content.isEmpty
        column = 0
        text += breaks == 1 ? [0x20] : [UInt8](repeating: 0x0A, count: breaks - 1)
        continue
      }
      column += 1
      if byte == quote {
        guard quote == UInt8(ascii: "'"), current == quote else { return String(decoding: text, as: UTF8.self) }
        column += 1
        text.append(quote)
      } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
        try escape(into: &text)
      } else {
        text.append(byte)
      }
    }
  }

  private static let escapes: [UInt8: Unicode.Scalar] = [
    UInt8(ascii: "0"): "\u{0}", UInt8(ascii: "a"): "\u{7}", UInt8(ascii: "b"): "\u{8}", UInt8(ascii: "t"): "\t",
    UInt8(ascii: "n"): "\n", UInt8(ascii: "v"): "\u{B}", UInt8(ascii: "f"): "\u{C}", UInt8(ascii: "r"): "\r",
    UInt8(ascii: "e"): "\u{1B}", UInt8(ascii: " "): " ", UInt8(ascii: "\""): "\"", UInt8(ascii: "/"): "/",
    UInt8(ascii: "\\"): "\\", UInt8(ascii: "N"): "\u{85}", UInt8(ascii: "_"): "\u{A0}",
    UInt8(ascii: "L"): "\u{2028}", UInt8(ascii: "P"): "\u{2029}",
  ]

  private mutating func escape(into text: inout [UInt8]) throws(YAMLError) {
    guard let byte = current else {
      // An escaped line break is none, nor are the blanks behind it.
      guard line + 1 < lines.count else { throw fail("the text ends within a quoted scalar") }
      line += 1
      column = 0
      return
    }
    column += 1
    if let scalar = Self.escapes[byte] {
      text += String(scalar).utf8
      return
    }
    let digits: Int =
      switch byte {
      case UInt8(ascii: "x"): 2
      case UInt8(ascii: "u"): 4
      case UInt8(ascii: "U"): 8
      default: 0
      }
    let code = String(decoding: content[column...].prefix(digits), as: UTF8.self)
    guard digits > 0, code.utf8.count == digits, let number = UInt32(code, radix: 16),
      let scalar = Unicode.Scalar(number)
    else { throw fail("found unknown escape character '\(Character(Unicode.Scalar(byte)))'") }
    column += digits
    text += String(scalar).utf8
  }

  /// What a plain scalar stands for.
  static func resolved(_ text: String) -> JSONValue {
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .boolean(true)
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .boolean(false)
    case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .number(.infinity)
    case "-.inf", "-.Inf", "-.INF": return .number(-.infinity)
    case ".nan", ".NaN", ".NAN": return .number(.nan)
    default: break
    }
    guard let first = text.utf8.first,
      first == UInt8(ascii: "+") || first == UInt8(ascii: "-")
        || first == UInt8(ascii: ".") || first &- 0x30 < 10
    else { return .string(text) }
    let sign = first == UInt8(ascii: "-") ? "-" : ""
    let digits = text.drop { $0 == "+" || $0 == "-" }.filter { $0 != "_" }
    guard text.utf8.count - digits.utf8.count <= 1 || text.contains("_"),
      digits.utf8.first.map({ $0 &- 0x30 < 10 || $0 == 0x2E }) ?? false
    else {
      return .string(text)
    }
    if digits.hasPrefix("0x"), let number = Int(sign + digits.dropFirst(2), radix: 16) { return .integer(number) }
    if digits.hasPrefix("0b"), let number = Int(sign + digits.dropFirst(2), radix: 2) { return .integer(number) }
    if digits.hasPrefix("0"), digits.utf8.count > 1, let number = Int(sign + digits.dropFirst(), radix: 8) {
      return .integer(number)
    }
    if digits.utf8.allSatisfy({ $0 &- 0x30 < 10 }) {
      return Int(sign + digits).map { .integer($0) } ?? .number(Double(sign + digits) ?? .nan)
    }
    guard digits.contains("."), let number = Double(sign + digits) else { return .string(text) }
    return .number(number)
  }
}
