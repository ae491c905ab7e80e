/// A value that Python pickled.
public enum PickledValue: Sendable, Hashable {
  case none
  case boolean(Bool)
  case integer(Int64)
  case number(Double)
  /// `str` of Python 2 or `unicode`.
  case text(String)
  /// Lists, tuples and sets in brackets.
  case list([PickledValue])
  /// In the order of the pickle; of two of one key the later one counts.
  case dictionary([(key: PickledValue, value: PickledValue)])

  public static func == (one: PickledValue, other: PickledValue) -> Bool {
    switch (one, other) {
    case (.none, .none): true
    case (.boolean(let a), .boolean(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    case (.number(let a), .number(let b)): a == b
    case (.text(let a), .text(let b)): a == b
    case (.list(let a), .list(let b)): a == b
    case (.dictionary(let a), .dictionary(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.key == $1.key && $0.value == $1.value }
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .none: hasher.combine(0)
    case .boolean(let value): hasher.combine(value)
    case .integer(let value): hasher.combine(value)
    case .number(let value): hasher.combine(value)
    case .text(let value): hasher.combine(value)
    case .list(let values): hasher.combine(values)
    case .dictionary(let members): hasher.combine(members.count)
    }
  }

  /// The value of a text as key; nil for another kind, or where there is none.
  public subscript(_ key: String) -> PickledValue? {
    guard case .dictionary(let members) = self else { return nil }
    return members.last { $0.key == .text(key) }?.value
  }

  public var text: String? { if case .text(let text) = self { text } else { nil } }
  public var list: [PickledValue]? { if case .list(let values) = self { values } else { nil } }
}

/// Reads pickles of texts, numbers, lists, tuples and dictionaries: of Python 2, protocol 0 to 2, and what Python 3 writes of the
/// same values. It makes no objects and calls nothing: an opcode that would is refused.
///
/// Source of the format: Lib/pickletools.py of Python.
public struct Unpickler {
  /// The most values that one pickle may have.
  public static let valueLimit = 1_000_000
  /// How deep values may contain each other.
  public static let depthLimit = 64

  /// A value on the stack. A container is filled after it was put there, and may be remembered meanwhile: it has a place.
  private enum Cell {
    case value(PickledValue)
    case container(Int)
    case mark
  }

  private enum Container {
    case list([Cell])
    case tuple([Cell])
    case dictionary([(Cell, Cell)])
  }

  private let bytes: [UInt8]
  private var position = 0
  private var stack: [Cell] = []
  private var containers: [Container] = []
  private var memory: [Int: Cell] = [:]
  private var made = 0

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// - Throws: `RecordError` for what is no such pickle.
  public static func read(_ bytes: [UInt8]) throws(RecordError) -> PickledValue {
    var unpickler = Unpickler(bytes)
    return try unpickler.run()
  }

  private mutating func run() throws(RecordError) -> PickledValue {
    while true {
      let code = try byte()
      if code == UInt8(ascii: ".") { break }
      try perform(code)
    }
    guard stack.count == 1, let cell = stack.popLast() else {
      throw RecordError("it ends with more or less than a value")
    }
    var left = Self.valueLimit
    return try value(cell, depth: 0, &left)
  }

  private mutating func perform(_ code: UInt8) throws(RecordError) {
    switch code {
    case 0x80:
      guard try byte() <= 5 else { throw RecordError("it is of a protocol above 5") }
    case UInt8(ascii: "("): try push(.mark)
    case UInt8(ascii: "N"): try push(.value(.none))
    case 0x88: try push(.value(.boolean(true)))
    case 0x89: try push(.value(.boolean(false)))
    case UInt8(ascii: "I"): try pushDecimalInteger()
    case UInt8(ascii: "L"):
      var digits = try line()
      if digits.last == UInt8(ascii: "L") { digits.removeLast() }
      try push(.value(.integer(try integer(digits))))
    case UInt8(ascii: "J"): try push(.value(.integer(Int64(Int32(truncatingIfNeeded: try number(4))))))
    case UInt8(ascii: "K"): try push(.value(.integer(Int64(try number(1)))))
    case UInt8(ascii: "M"): try push(.value(.integer(Int64(try number(2)))))
    case 0x8A: try pushLong(try number(1))
    case UInt8(ascii: "F"):
      guard let number = Double(String(decoding: try line(), as: UTF8.self)) else {
        throw RecordError("a number is wrong")
      }
      try push(.value(.number(number)))
    case UInt8(ascii: "G"):
      var bits: UInt64 = 0
      for byte in try part(8) { bits = bits << 8 | UInt64(byte) }
      try push(.value(.number(Double(bitPattern: bits))))
    case UInt8(ascii: "S"): try push(.value(.text(try quoted(try line()))))
    case UInt8(ascii: "V"): try push(.value(.text(try escaped(try line()))))
    case UInt8(ascii: "T"), UInt8(ascii: "X"), UInt8(ascii: "B"): try pushText(try number(4))
    case UInt8(ascii: "U"), UInt8(ascii: "C"), 0x8C: try pushText(try number(1))
    // Lengths of frames say nothing that the values do not.
    case 0x95: _ = try part(8)
    case 0x94: try remember(Int64(memory.count))
    case UInt8(ascii: "]"): try push(.list([]))
    case UInt8(ascii: "}"): try push(.dictionary([]))
    case UInt8(ascii: ")"): try push(.tuple([]))
    case UInt8(ascii: "l"): try push(.list(try marked()))
    case UInt8(ascii: "t"): try push(.tuple(try marked()))
    case UInt8(ascii: "d"): try push(.dictionary(try pairs(try marked())))
    case 0x85, 0x86, 0x87:
      let count = Int(code) - 0x84
      guard stack.count >= count else { throw Self.empty }
      let parts = Array(stack.suffix(count))
      guard parts.allSatisfy({ if case .mark = $0 { false } else { true } }) else { throw Self.empty }
      stack.removeLast(count)
      try push(.tuple(parts))
    case UInt8(ascii: "a"): try append([try pop()])
    case UInt8(ascii: "e"): try append(try marked())
    case UInt8(ascii: "s"):
      let value = try pop()
      try insert([(try pop(), value)])
    case UInt8(ascii: "u"): try insert(try pairs(try marked()))
    case UInt8(ascii: "p"): try remember(try integer(try line()))
    case UInt8(ascii: "q"): try remember(Int64(try number(1)))
    case UInt8(ascii: "r"): try remember(Int64(try number(4)))
    case UInt8(ascii: "g"): try recall(try integer(try line()))
    case UInt8(ascii: "h"): try recall(Int64(try number(1)))
    case UInt8(ascii: "j"): try recall(Int64(try number(4)))
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try marked()
    case UInt8(ascii: "2"):
      let cell = try pop()
      try push(cell)
      try push(cell)
    default: throw RecordError("opcode \(code) is refused: only texts, numbers, lists and dictionaries are read")
    }
  }

  // MARK: Values

  private mutating func pushDecimalInteger() throws(RecordError) {
    let digits = try line()
    switch digits {
    case Array("00".utf8): try push(.value(.boolean(false)))
    case Array("01".utf8): try push(.value(.boolean(true)))
    default: try push(.value(.integer(try integer(digits))))
    }
  }

  private mutating func pushLong(_ count: Int) throws(RecordError) {
    guard count <= 8 else { throw RecordError("a number has more than 64 bits") }
    var bits: UInt64 = 0
    var shift = 0
    let part = try part(count)
    for byte in part {
      bits |= UInt64(byte) << UInt64(shift)
      shift += 8
    }
    // The highest bit is the sign.
    if let last = part.last, last & 0x80 != 0, shift < 64 { bits |= ~UInt64(0) << UInt64(shift) }
    try push(.value(.integer(Int64(bitPattern: bits))))
  }

  private mutating func pushText(_ count: Int) throws(RecordError) {
    try push(.value(.text(Self.text(Array(try part(count))))))
  }

  /// Bytes of a `str` are nearly always UTF-8; those that are not are read as Latin-1.
  private static func text(_ bytes: [UInt8]) -> String {
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
  }

  /// A `str` as `repr` writes it.
  private func quoted(_ line: [UInt8]) throws(RecordError) -> String {
    guard line.count >= 2, let quote = line.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\""),
      line.last == quote
    else { throw RecordError("a text has no quotation marks") }
    var result: [UInt8] = []
    var index = 1
    let end = line.count - 1
    while index < end {
      let byte = line[index]
      index += 1
      guard byte == UInt8(ascii: "\\") else {
        result.append(byte)
        continue
      }
      guard index < end else { throw RecordError("a text ends in a backslash") }
      let code = line[index]
      index += 1
      switch code {
      case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): result.append(code)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "x"):
        guard index + 2 <= end, let value = Self.hexadecimal(line[index..<index + 2]) else {
          throw RecordError("a text has a wrong escape")
        }
        result.append(UInt8(value))
        index += 2
      default: throw RecordError("a text has a wrong escape")
      }
    }
    return Self.text(result)
  }

  /// A `unicode` in the encoding raw-unicode-escape: Latin-1, and `\u` with four digits for the rest, in pairs of surrogates on
  /// some systems.
  private func escaped(_ line: [UInt8]) throws(RecordError) -> String {
    var units: [UInt16] = []
    units.reserveCapacity(line.count)
    var index = 0
    while index < line.count {
      let byte = line[index]
      index += 1
      let digits =
        index < line.count ? (line[index] == UInt8(ascii: "u") ? 4 : line[index] == UInt8(ascii: "U") ? 8 : 0) : 0
      guard byte == UInt8(ascii: "\\"), digits > 0 else {
        units.append(UInt16(byte))
        continue
      }
      index += 1
      guard index + digits <= line.count, let value = Self.hexadecimal(line[index..<index + digits]), value <= 0x10FFFF
      else { throw RecordError("a text has a wrong escape") }
      index += digits
      if let unit = UInt16(exactly: value) {
        units.append(unit)
      } else {
        units.append(UInt16(0xD800 + (value - 0x10000) >> 10))
        units.append(UInt16(0xDC00 + (value - 0x10000) & 0x3FF))
      }
    }
    return String(decoding: units, as: UTF16.self)
  }

  private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt32? {
    guard digits.allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit }) else { return nil }
    return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
  }

  private func integer(_ digits: [UInt8]) throws(RecordError) -> Int64 {
    guard let number = Int64(String(decoding: digits, as: UTF8.self)) else { throw RecordError("a number is wrong") }
    return number
  }

  // MARK: The stack

  private static let empty = RecordError("an opcode has not the values that it needs")

  private mutating func push(_ cell: Cell) throws(RecordError) {
    made += 1
    guard made <= Self.valueLimit else { throw RecordError("it has more than \(Self.valueLimit) values") }
    stack.append(cell)
  }

  private mutating func push(_ container: Container) throws(RecordError) {
    containers.append(container)
    try push(.container(containers.count - 1))
  }

  private mutating func pop() throws(RecordError) -> Cell {
    guard let cell = stack.popLast() else { throw Self.empty }
    if case .mark = cell { throw Self.empty }
    return cell
  }

  /// Takes what lies above the last mark, and the mark.
  private mutating func marked() throws(RecordError) -> [Cell] {
    guard let mark = stack.lastIndex(where: { if case .mark = $0 { true } else { false } }) else { throw Self.empty }
    let parts = Array(stack[(mark + 1)...])
    stack.removeLast(stack.count - mark)
    return parts
  }

  private func pairs(_ parts: [Cell]) throws(RecordError) -> [(Cell, Cell)] {
    guard parts.count.isMultiple(of: 2) else { throw RecordError("a key has no value") }
    return stride(from: 0, to: parts.count, by: 2).map { (parts[$0], parts[$0 + 1]) }
  }

  private mutating func append(_ parts: [Cell]) throws(RecordError) {
    guard case .container(let place)? = stack.last, case .list(var list) = containers[place] else { throw Self.empty }
    containers[place] = .list([])
    list += parts
    containers[place] = .list(list)
  }

  private mutating func insert(_ members: [(Cell, Cell)]) throws(RecordError) {
    guard case .container(let place)? = stack.last, case .dictionary(var dictionary) = containers[place] else {
      throw Self.empty
    }
    containers[place] = .dictionary([])
    dictionary += members
    containers[place] = .dictionary(dictionary)
  }

  private mutating func remember(_ key: Int64) throws(RecordError) {
    guard let cell = stack.last, key >= 0, key <= Self.valueLimit else { throw Self.empty }
    if case .mark = cell { throw Self.empty }
    memory[Int(key)] = cell
  }

  private mutating func recall(_ key: Int64) throws(RecordError) {
    guard let cell = memory[Int(key)] else { throw RecordError("it uses a value that it has not remembered") }
    try push(cell)
  }

  /// The value of a cell. One that is remembered counts each time, so that a small pickle does not become a large value.
  private func value(_ cell: Cell, depth: Int, _ left: inout Int) throws(RecordError) -> PickledValue {
    left -= 1
    guard left >= 0 else { throw RecordError("it has more than \(Self.valueLimit) values") }
    guard depth < Self.depthLimit else {
      throw RecordError("values contain each other more than \(Self.depthLimit) deep")
    }
    switch cell {
    case .mark: throw Self.empty
    case .value(let value): return value
    case .container(let place):
      switch containers[place] {
      case .list(let parts), .tuple(let parts):
        var values: [PickledValue] = []
        for part in parts { values.append(try value(part, depth: depth + 1, &left)) }
        return .list(values)
      case .dictionary(let pairs):
        var members: [(key: PickledValue, value: PickledValue)] = []
        for (key, member) in pairs {
          members.append((try value(key, depth: depth + 1, &left), try value(member, depth: depth + 1, &left)))
        }
        return .dictionary(members)
      }
    }
  }

  // MARK: Bytes

  private mutating func byte() throws(RecordError) -> UInt8 {
    guard position < bytes.count else { throw RecordError("it ends too early") }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func part(_ count: Int) throws(RecordError) -> ArraySlice<UInt8> {
    guard count <= bytes.count - position else { throw RecordError("it ends too early") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  /// A number of some bytes, the lowest first.
  private mutating func number(_ count: Int) throws(RecordError) -> Int {
    var number = 0
    for (index, byte) in try part(count).enumerated() { number |= Int(byte) << (8 * index) }
    return number
  }

  /// The bytes up to the end of the line.
  private mutating func line() throws(RecordError) -> [UInt8] {
    guard let end = bytes[position...].firstIndex(of: 0x0A) else { throw RecordError("it ends too early") }
    defer { position = end + 1 }
    return Array(bytes[position..<end])
  }
}
