/// A Python literal, as `ast.literal_eval` reads it, for the dictionary options of `[database]` and `[reporting]`.
public nonisolated enum PythonLiteral: Sendable, Hashable {
  case none
  case boolean(Bool)
  case integer(Int)
  case number(Double)
  case text(String)
  /// A list or a tuple.
  case list([PythonLiteral])
  case dictionary([String: PythonLiteral])

  /// Parses a dictionary option; nil if the text is none. Also parses 1.3.4's form `name=value,name`: it recognises
  /// numbers and truth values, and a bare name is true.
  package static func dictionary(_ text: String) -> [String: PythonLiteral]? {
    let stripped = String(decoding: Array(text.utf8).stripped, as: UTF8.self)
    guard stripped.hasPrefix("{") else {
      guard !stripped.contains(where: { "'\"{}[]".contains($0) }) else { return nil }
      var items: [String: PythonLiteral] = [:]
      for item in stripped.commaSeparated {
        let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard !parts[0].isEmpty else { return nil }
        items[String(parts[0])] = parts.count == 1 ? .boolean(true) : plain(String(parts[1]))
      }
      return items
    }
    var parser = Parser(bytes: Array(stripped.utf8))
    guard case .dictionary(let items)? = parser.value(depth: 0), parser.isAtEnd else { return nil }
    return items
  }

  private static func plain(_ text: String) -> PythonLiteral {
    switch text {
    case "1", "yes", "True", "true", "on": .boolean(true)
    case "0", "no", "False", "false", "off": .boolean(false)
    default: Int(text).map { .integer($0) } ?? .text(text)
    }
  }

  private struct Parser {
    let bytes: [UInt8]
    var at = 0
    /// Deeper nesting than any option needs.
    static let limitDepth = 16

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool {
      mutating get {
        skipSpace()
        return at == bytes.count
      }
    }

    mutating func skipSpace() { while at < bytes.count, bytes[at].isSpace { at += 1 } }

    mutating func consume(_ character: Unicode.Scalar) -> Bool {
      skipSpace()
      guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
      at += 1
      return true
    }

    mutating func value(depth: Int) -> PythonLiteral? {
      guard depth < Self.limitDepth else { return nil }
      if consume("{") { return dictionary(depth: depth) }
      if consume("[") { return items(until: "]", depth: depth).map { .list($0) } }
      if consume("(") { return items(until: ")", depth: depth).map { .list($0) } }
      guard at < bytes.count else { return nil }
      if bytes[at] == UInt8(ascii: "'") || bytes[at] == UInt8(ascii: "\"") { return string().map { .text($0) } }
      let start = at
      while at < bytes.count, !bytes[at].isSpace, !",:]})".utf8.contains(bytes[at]) { at += 1 }
      let word = String(decoding: bytes[start..<at], as: UTF8.self)
      switch word {
      case "None": return PythonLiteral.none
      case "True": return .boolean(true)
      case "False": return .boolean(false)
      default: return Int(word).map { .integer($0) } ?? Double(word).map { .number($0) }
      }
    }

    mutating func items(until end: Unicode.Scalar, depth: Int) -> [PythonLiteral]? {
      var items: [PythonLiteral] = []
      while !consume(end) {
        guard let item = value(depth: depth + 1) else { return nil }
        items.append(item)
        if consume(",") { continue }
        guard consume(end) else { return nil }
        break
      }
      return items
    }

    mutating func dictionary(depth: Int) -> PythonLiteral? {
      var items: [String: PythonLiteral] = [:]
      while !consume("}") {
        guard case .text(let name)? = value(depth: depth + 1), consume(":"), let item = value(depth: depth + 1) else {
          return nil
        }
        items[name] = item
        if consume(",") { continue }
        guard consume("}") else { return nil }
        break
      }
      return .dictionary(items)
    }

    mutating func string() -> String? {
      let quote = bytes[at]
      at += 1
      var text: [UInt8] = []
      while at < bytes.count, bytes[at] != quote {
        if bytes[at] == UInt8(ascii: "\\"), at + 1 < bytes.count {
          at += 1
          switch bytes[at] {
          case UInt8(ascii: "n"): text.append(0x0A)
          case UInt8(ascii: "t"): text.append(0x09)
          case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): text.append(bytes[at])
          default: text += [UInt8(ascii: "\\"), bytes[at]]
          }
        } else {
          text.append(bytes[at])
        }
        at += 1
      }
      guard at < bytes.count else { return nil }
      at += 1
      return String(validating: text, as: UTF8.self)
    }
  }
}
