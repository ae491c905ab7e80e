public import XMLRPC

/// A value of JSON or YAML: how plugins store the output of other programs.
public nonisolated enum JSONValue: Hashable, Sendable {
  case null
  case boolean(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  /// Members in their order; of duplicate names the last one counts.
  case object([Member])

  /// One member of an object.
  public struct Member: Hashable, Sendable {
    public let name: String
    public let value: JSONValue

    public init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// The value of a member; nil if there is none, or this is no object.
  public subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.name == name }?.value
  }

  /// Whether the value is true in Python.
  public var isTruthy: Bool {
    switch self {
    case .null: false
    case .boolean(let flag): flag
    case .integer(let number): number != 0
    case .number(let number): number != 0
    case .string(let text): !text.isEmpty
    case .array(let items): !items.isEmpty
    case .object(let members): !members.isEmpty
    }
  }
}

/// The error of a JSON text, in the words of Python 2's json, which reach clients in faults; or the limit that it
/// exceeds.
public nonisolated struct JSONError: Error, Hashable, CustomStringConvertible {
  public let description: String
  /// The line of the text, 1 for the first one; 0 for the text as a whole.
  public let line: Int

  init(description: String, line: Int = 0) {
    self.description = description
    self.line = line
  }
}

nonisolated extension JSONValue {
  /// Most nested arrays and objects.
  static let depthLimit = 256

  /// Parses a JSON text as Python 2's `json.loads` does, including `NaN`, `Infinity` and `-Infinity`.
  ///
  /// - Parameter budget: charged for the values; nil: the current request's budget, or a budget for this text alone.
  /// - Throws: `JSONError`; a text that ends before a value is reported as no JSON at all.
  public init(json text: String, budget: RequestBudget? = nil) throws(JSONError) {
    let count = text.utf8.count
    let budget = budget ?? RequestBudget.currentOr(bytes: count)
    var reader = JSONReader(bytes: Array(text.utf8), budget: budget)
    do throws(LimitExceeded) {
      try budget.charge(bytes: count)
    } catch {
      throw JSONError(description: "the document has \(error)")
    }
    self = try reader.document()
    budget.release(bytes: count)
  }

  /// Bytes of a value in its array, which grows by doubling; a member's name comes on top.
  static let heldBytes = 2 * MemoryLayout<JSONValue>.stride
  /// Bytes of a member in its object.
  static let memberBytes = 2 * MemoryLayout<Member>.stride
}

private nonisolated struct JSONReader {
  let bytes: [UInt8]
  private let budget: RequestBudget
  private var index = 0
  /// Names of members that need an allocation, each stored once.
  private var names: Set<Name> = []

  init(bytes: [UInt8], budget: RequestBudget) {
    self.bytes = bytes
    self.budget = budget
  }

  private func charging(_ charge: (RequestBudget) throws(LimitExceeded) -> Void) throws(JSONError) {
    do throws(LimitExceeded) {
      try charge(budget)
    } catch {
      throw fail("the document has \(error)", at: index)
    }
  }

  /// Parses a member's name and reuses the memory of equal names.
  private mutating func name() throws(JSONError) -> String {
    let text = try string()
    guard text.utf8.count > 15 else { return text }
    let key = Name(text)
    if let index = names.firstIndex(of: key) { return names[index].text }
    try charging { budget throws(LimitExceeded) in try budget.chargeName(bytes: text.utf8.count) }
    names.insert(key)
    return text
  }

  /// Parses a string value.
  private mutating func text() throws(JSONError) -> JSONValue {
    let text = try string()
    try charging { budget throws(LimitExceeded) in
      try budget.charge(bytes: RequestBudget.heapBytes(ofText: text.utf8.count))
    }
    return .string(text)
  }

  mutating func document() throws(JSONError) -> JSONValue {
    skipSpace()
    let value = try value(depth: 0)
    skipSpace()
    if index < bytes.count {
      throw JSONError(
        description: "Extra data: \(place(index)) - \(place(bytes.count)) (char \(index) - \(bytes.count))",
        line: line(of: index))
    }
    return value
  }

  private func line(of offset: Int) -> Int { bytes[..<offset].count { $0 == UInt8(ascii: "\n") } + 1 }

  private func place(_ offset: Int) -> String {
    let newline = bytes[..<offset].lastIndex(of: UInt8(ascii: "\n"))
    return "line \(line(of: offset)) column \(offset - (newline ?? -1))"
  }

  private func fail(_ message: String, at offset: Int) -> JSONError {
    JSONError(description: "\(message): \(place(offset)) (char \(offset))", line: line(of: offset))
  }

  private var noValue: JSONError {
    JSONError(description: "No JSON object could be decoded", line: line(of: min(index, bytes.count)))
  }
  private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { index += 1 }
  }

  private mutating func consume(_ character: Unicode.Scalar) -> Bool {
    guard current == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }

  private mutating func consume(word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard bytes.count - index >= count else { return false }
    for offset in 0..<count where bytes[index + offset] != word.utf8Start[offset] { return false }
    index += count
    return true
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    guard depth < JSONValue.depthLimit else { throw fail("Nested too deeply", at: index) }
    try charging { budget throws(LimitExceeded) in try budget.chargeElement(bytes: JSONValue.heldBytes) }
    switch current.map({ Unicode.Scalar($0) }) {
    case "{":
      index += 1
      return try object(depth: depth + 1)
    case "[":
      index += 1
      return try array(depth: depth + 1)
    case "\"":
      index += 1
      return try text()
    case "n" where consume(word: "null"): return .null
    case "t" where consume(word: "true"): return .boolean(true)
    case "f" where consume(word: "false"): return .boolean(false)
    case "N" where consume(word: "NaN"): return .number(.nan)
    case "I" where consume(word: "Infinity"): return .number(.infinity)
    case "-" where consume(word: "-Infinity"): return .number(-.infinity)
    default: return try number()
    }
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    var members: [JSONValue.Member] = []
    skipSpace()
    if consume("}") { return .object(members) }
    while true {
      guard consume("\"") else { throw fail("Expecting property name", at: index) }
      let name = try name()
      try charging { budget throws(LimitExceeded) in try budget.charge(bytes: JSONValue.memberBytes) }
      skipSpace()
      guard consume(":") else { throw fail("Expecting : delimiter", at: index) }
      skipSpace()
      members.append(JSONValue.Member(name, try value(depth: depth)))
      skipSpace()
      if consume("}") { return .object(members) }
      guard consume(",") else { throw fail("Expecting , delimiter", at: index) }
      skipSpace()
    }
  }

  private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
    var items: [JSONValue] = []
    skipSpace()
    if consume("]") { return .array(items) }
    while true {
      items.append(try value(depth: depth))
      skipSpace()
      if consume("]") { return .array(items) }
      guard consume(",") else { throw fail("Expecting , delimiter", at: index) }
      skipSpace()
    }
  }

  /// Parses the rest of a string after its opening quote.
  private mutating func string() throws(JSONError) -> String {
    let start = index - 1
    var text: [UInt8] = []
    while let byte = current {
      index += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): try escape(into: &text, stringStart: start)
      case 0..<0x20: throw fail("Invalid control character at", at: index - 1)
      default: text.append(byte)
      }
    }
    throw fail("Unterminated string starting at", at: start)
  }

  private mutating func escape(into text: inout [UInt8], stringStart: Int) throws(JSONError) {
    guard let byte = current else { throw fail("Unterminated string starting at", at: stringStart) }
    index += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if (0xD800..<0xDC00).contains(code), bytes[index...].starts(with: [0x5C, 0x75]) {
        let back = index
        index += 2
        let low = try hexadecimal()
        if (0xDC00..<0xE000).contains(low) {
          code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        } else {
          index = back
        }
      }
      // Half a surrogate pair is no character: text cannot hold it.
      text += String(Unicode.Scalar(code) ?? "\u{FFFD}").utf8
    default: throw fail("Invalid \\escape", at: index - 2)
    }
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    let digits = bytes[index...].prefix(4)
    guard digits.count == 4, digits.allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit }),
      let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw fail("Invalid \\uXXXX escape", at: index - 1) }
    index += 4
    return code
  }

  /// Parses an integer of a few digits, the usual case, without making a string; nil for a longer one.
  private func smallInteger(_ range: Range<Int>) -> Int? {
    guard range.count <= 18 else { return nil }
    var number = 0
    let isNegative = bytes[range.lowerBound] == UInt8(ascii: "-")
    for index in range.dropFirst(isNegative ? 1 : 0) { number = number * 10 + Int(bytes[index] - 0x30) }
    return isNegative ? -number : number
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = index
    func digits(_ index: inout Int) -> Int {
      let start = index
      while index < bytes.count, bytes[index] &- 0x30 < 10 { index += 1 }
      return index - start
    }
    _ = consume("-")
    if consume("0") {
    } else if digits(&index) == 0 {
      index = start
      throw noValue
    }
    var isInteger = true
    var end = index
    if consume("."), digits(&index) > 0 {
      isInteger = false
      end = index
    }
    index = end
    if consume("e") || consume("E") {
      if !consume("+") { _ = consume("-") }
      if digits(&index) > 0 {
        isInteger = false
        end = index
      }
    }
    index = end
    if isInteger, let small = smallInteger(start..<end) { return .integer(small) }
    let text = String(decoding: bytes[start..<end], as: UTF8.self)
    if isInteger, let integer = Int(text) { return .integer(integer) }
    guard let number = Double(text) else { throw noValue }
    return .number(number)
  }
}
