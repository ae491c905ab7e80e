import Glibc

/// A JSON text as a value. Objects keep the order of their members; of two members of one name the last counts.
public nonisolated indirect enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// A whole number that fits.
  case int(Int64)
  case double(Double)
  case string(String)
  case array([JSONValue])
  case object([(name: String, value: JSONValue)])

  /// Why a text is not JSON.
  public struct ParseError: Error, CustomStringConvertible {
    /// 1 for the first line.
    public let line: Int
    public let description: String
  }

  /// Values inside values.
  static let depthLimit = 500

  /// Reads a text: RFC 8259, with Python's `NaN`, `Infinity` and `-Infinity`.
  public init(parsing bytes: [UInt8]) throws(ParseError) {
    var reader = JSONReader(bytes)
    self = try reader.document()
  }

  /// A member of an object; nil where there is none.
  public subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.name == name }?.value
  }

  public static func == (a: JSONValue, b: JSONValue) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let x), .bool(let y)): x == y
    case (.int(let x), .int(let y)): x == y
    case (.double(let x), .double(let y)): x == y
    case (.string(let x), .string(let y)): x == y
    case (.array(let x), .array(let y)): x == y
    case (.object(let x), .object(let y)):
      x.count == y.count && zip(x, y).allSatisfy { $0.name == $1.name && $0.value == $1.value }
    default: false
    }
  }
}

private nonisolated struct JSONReader {
  private let bytes: [UInt8]
  private var at = 0
  private var depth = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(JSONValue.ParseError) -> JSONValue {
    guard String(validating: bytes, as: UTF8.self) != nil else { throw error("is not UTF-8") }
    let value = try value()
    skipSpace()
    guard at == bytes.count else { throw error("more after the value") }
    return value
  }

  private func error(_ message: String) -> JSONValue.ParseError {
    let line = 1 + bytes.prefix(at).count { $0 == 0x0A }
    return JSONValue.ParseError(line: line, description: message)
  }

  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { at += 1 }
  }

  private mutating func take(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard bytes.count - at >= count else { return false }
    for index in 0..<count where bytes[at + index] != text.utf8Start[index] { return false }
    at += count
    return true
  }

  private mutating func value() throws(JSONValue.ParseError) -> JSONValue {
    skipSpace()
    guard let byte = next else { throw error("ends where a value is due") }
    switch byte {
    case UInt8(ascii: "{"): return try nested { (reader) throws(JSONValue.ParseError) in try reader.object() }
    case UInt8(ascii: "["): return try nested { (reader) throws(JSONValue.ParseError) in try reader.array() }
    case UInt8(ascii: "\""): return .string(try string())
    default: break
    }
    if take("null") { return .null }
    if take("true") { return .bool(true) }
    if take("false") { return .bool(false) }
    if take("NaN") { return .double(.nan) }
    if take("Infinity") { return .double(.infinity) }
    if take("-Infinity") { return .double(-.infinity) }
    return try number()
  }

  private mutating func nested(
    _ body: (inout JSONReader) throws(JSONValue.ParseError) -> JSONValue
  ) throws(JSONValue.ParseError) -> JSONValue {
    depth += 1
    guard depth <= JSONValue.depthLimit else { throw error("nested too deep") }
    at += 1
    let value = try body(&self)
    depth -= 1
    return value
  }

  private mutating func object() throws(JSONValue.ParseError) -> JSONValue {
    var members: [(name: String, value: JSONValue)] = []
    skipSpace()
    if take("}") { return .object(members) }
    while true {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw error("a name in double quotes is due") }
      let name = try string()
      skipSpace()
      guard take(":") else { throw error("':' is due") }
      members.append((name: name, value: try value()))
      skipSpace()
      if take("}") { return .object(members) }
      guard take(",") else { throw error("',' or '}' is due") }
    }
  }

  private mutating func array() throws(JSONValue.ParseError) -> JSONValue {
    var items: [JSONValue] = []
    skipSpace()
    if take("]") { return .array(items) }
    while true {
      items.append(try value())
      skipSpace()
      if take("]") { return .array(items) }
      guard take(",") else { throw error("',' or ']' is due") }
    }
  }

  private mutating func string() throws(JSONValue.ParseError) -> String {
    at += 1
    var out: [UInt8] = []
    while let byte = next {
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: out, as: UTF8.self)
      case UInt8(ascii: "\\"): try escape(&out)
      case 0..<0x20: throw error("control character in a string")
      default: out.append(byte)
      }
    }
    throw error("ends inside a string")
  }

  private mutating func escape(_ out: inout [UInt8]) throws(JSONValue.ParseError) {
    guard let byte = next else { throw error("ends inside a string") }
    at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
    case UInt8(ascii: "b"): out.append(0x08)
    case UInt8(ascii: "f"): out.append(0x0C)
    case UInt8(ascii: "n"): out.append(0x0A)
    case UInt8(ascii: "r"): out.append(0x0D)
    case UInt8(ascii: "t"): out.append(0x09)
    case UInt8(ascii: "u"):
      var scalar = try hexadecimal()
      if scalar & 0xFC00 == 0xD800, take("\\u") {
        let low = try hexadecimal()
        guard low & 0xFC00 == 0xDC00 else { throw error("half of a surrogate pair") }
        scalar = 0x10000 + (scalar & 0x3FF) << 10 + low & 0x3FF
      }
      guard let scalar = Unicode.Scalar(scalar) else { throw error("half of a surrogate pair") }
      out += Array(String(Character(scalar)).utf8)
    default: throw error("unknown escape in a string")
    }
  }

  private mutating func hexadecimal() throws(JSONValue.ParseError) -> UInt32 {
    guard bytes.count - at >= 4,
      let value = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16), bytes[at] != UInt8(ascii: "+")
    else { throw error("four hexadecimal digits are due") }
    at += 4
    return value
  }

  private mutating func number() throws(JSONValue.ParseError) -> JSONValue {
    let start = at
    var isWhole = true
    if next == UInt8(ascii: "-") { at += 1 }
    let first = at
    guard digits() > 0 else { throw error("a value is due") }
    guard bytes[first] != UInt8(ascii: "0") || at == first + 1 else { throw error("a number with a leading zero") }
    if next == UInt8(ascii: ".") {
      at += 1
      isWhole = false
      guard digits() > 0 else { throw error("digits are due") }
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      at += 1
      isWhole = false
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { at += 1 }
      guard digits() > 0 else { throw error("digits are due") }
    }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    if isWhole, let value = Int64(text) { return .int(value) }
    guard let value = Double(text) else { throw error("a number that cannot be read") }
    return .double(value)
  }

  private mutating func digits() -> Int {
    let start = at
    while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { at += 1 }
    return at - start
  }
}
