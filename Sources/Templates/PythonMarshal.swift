/// The form that Python's marshal module gives to values: it is read and written there in C, faster than JSON, and carries
/// bytes. Version 2 is written; what versions 0 to 2 write is read.
///
/// Source of the form: CPython's Python/marshal.c, which keeps these codes for the bytecode of all releases.
public nonisolated enum PythonMarshal {
  /// Bytes that are no value, or one that is nested too deeply.
  public struct FormError: Error, CustomStringConvertible {
    public let description: String
  }

  /// Lists in lists, at most; marshal itself stops at 2000.
  static let depthLimit = 200
  /// Values in one that is read, at most: each takes some 50 bytes of memory, and may take one byte of a message.
  static let valueLimit = 1 << 18

  // MARK: Writing

  public static func encode(_ value: TemplateValue) -> [UInt8] {
    var bytes: [UInt8] = []
    append(value, to: &bytes)
    return bytes
  }

  static func append(_ value: TemplateValue, to bytes: inout [UInt8]) {
    switch value {
    case .none: bytes.append(UInt8(ascii: "N"))
    case .bool(let flag): bytes.append(flag ? UInt8(ascii: "T") : UInt8(ascii: "F"))
    case .int(let number): append(number, to: &bytes)
    case .double(let number):
      bytes.append(UInt8(ascii: "g"))
      withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
    case .text(let text): append(UInt8(ascii: "u"), text.utf8, to: &bytes)
    case .bytes(let contents): append(UInt8(ascii: "s"), contents, to: &bytes)
    case .list(let items):
      bytes.append(UInt8(ascii: "["))
      append32(items.count, to: &bytes)
      for item in items { append(item, to: &bytes) }
    case .record(let members):
      bytes.append(UInt8(ascii: "{"))
      for member in members {
        append(UInt8(ascii: "u"), member.name.utf8, to: &bytes)
        append(member.value, to: &bytes)
      }
      bytes.append(UInt8(ascii: "0"))
    }
  }

  private static func append(_ code: UInt8, _ contents: some Collection<UInt8>, to bytes: inout [UInt8]) {
    bytes.append(code)
    append32(contents.count, to: &bytes)
    bytes.append(contentsOf: contents)
  }

  private static func append32(_ number: Int, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: Int32(number).littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func append(_ number: Int, to bytes: inout [UInt8]) {
    if let small = Int32(exactly: number) {
      bytes.append(UInt8(ascii: "i"))
      return append32(Int(small), to: &bytes)
    }
    // A long: digits of 15 bits, the sign in their count.
    var digits: [UInt16] = []
    var rest = number.magnitude
    while rest > 0 {
      digits.append(UInt16(rest & 0x7FFF))
      rest >>= 15
    }
    bytes.append(UInt8(ascii: "l"))
    append32(number < 0 ? -digits.count : digits.count, to: &bytes)
    for digit in digits { withUnsafeBytes(of: digit.littleEndian) { bytes.append(contentsOf: $0) } }
  }

  // MARK: Reading

  /// - Throws: `FormError` where the bytes are not exactly one value.
  public static func decode(_ bytes: [UInt8]) throws(FormError) -> TemplateValue { try decode(bytes[...]) }

  static func decode(_ bytes: ArraySlice<UInt8>) throws(FormError) -> TemplateValue {
    var reader = Reader(bytes: bytes, position: bytes.startIndex)
    guard let value = try reader.value(depth: 0) else { throw FormError(description: "a dictionary's end on its own") }
    guard reader.position == bytes.endIndex else { throw FormError(description: "bytes behind the value") }
    return value
  }

  private struct Reader {
    let bytes: ArraySlice<UInt8>
    var position: Int
    /// Values that may still come.
    var left = valueLimit

    /// nil: the end of a dictionary.
    mutating func value(depth: Int) throws(FormError) -> TemplateValue? {
      guard depth < depthLimit else { throw FormError(description: "nested too deeply") }
      left -= 1
      guard left >= 0 else { throw FormError(description: "more than \(valueLimit) values") }
      let code = UInt8(try number(1))
      switch code {
      case UInt8(ascii: "0"): return nil
      case UInt8(ascii: "N"): return TemplateValue.none
      case UInt8(ascii: "T"): return .bool(true)
      case UInt8(ascii: "F"): return .bool(false)
      case UInt8(ascii: "i"): return .int(Int(Int32(bitPattern: UInt32(try number(4)))))
      case UInt8(ascii: "I"): return .int(Int(Int64(bitPattern: try number(8))))
      case UInt8(ascii: "l"): return .int(try long())
      case UInt8(ascii: "g"): return .double(Double(bitPattern: try number(8)))
      case UInt8(ascii: "f"):
        let text = String(decoding: try take(Int(number(1))), as: UTF8.self)
        guard let number = Double(text) else { throw FormError(description: "a number that is none") }
        return .double(number)
      case UInt8(ascii: "s"): return .bytes(Array(try take(count())))
      case UInt8(ascii: "u"), UInt8(ascii: "t"): return .text(String(decoding: try take(count()), as: UTF8.self))
      case UInt8(ascii: "["), UInt8(ascii: "("), UInt8(ascii: "<"), UInt8(ascii: ">"): return try list(depth)
      case UInt8(ascii: "{"): return try record(depth)
      default: throw FormError(description: "code \(code) is none of ours")
      }
    }

    private mutating func take(_ count: Int) throws(FormError) -> ArraySlice<UInt8> {
      guard count <= bytes.endIndex - position else { throw FormError(description: "ends too early") }
      defer { position += count }
      return bytes[position..<(position + count)]
    }

    private mutating func number(_ width: Int) throws(FormError) -> UInt64 {
      guard width <= bytes.endIndex - position else { throw FormError(description: "ends too early") }
      var number: UInt64 = 0
      for place in 0..<width { number |= UInt64(bytes[position + place]) << (8 * UInt64(place)) }
      position += width
      return number
    }

    private mutating func count() throws(FormError) -> Int {
      let count = Int(Int32(bitPattern: UInt32(try number(4))))
      guard count >= 0 else { throw FormError(description: "a negative count") }
      return count
    }

    private mutating func long() throws(FormError) -> Int {
      let signed = Int(Int32(bitPattern: UInt32(try number(4))))
      var magnitude: UInt64 = 0
      guard signed.magnitude <= 5 else { throw FormError(description: "a number beyond 64 bits") }
      for index in 0..<Int(signed.magnitude) {
        let digit = try number(2)
        guard index < 4 || digit < 8 else { throw FormError(description: "a number beyond 64 bits") }
        magnitude |= digit << (15 * UInt64(index))
      }
      guard let number = Int(exactly: magnitude) else { throw FormError(description: "a number beyond 64 bits") }
      return signed < 0 ? -number : number
    }

    private mutating func list(_ depth: Int) throws(FormError) -> TemplateValue {
      let count = try count()
      // Each item has a byte at least.
      guard count <= bytes.endIndex - position else { throw FormError(description: "ends too early") }
      guard count <= left else { throw FormError(description: "more than \(valueLimit) values") }
      var items: [TemplateValue] = []
      items.reserveCapacity(count)
      for _ in 0..<count {
        guard let item = try value(depth: depth + 1) else { throw FormError(description: "an end within a list") }
        items.append(item)
      }
      return .list(items)
    }

    private mutating func record(_ depth: Int) throws(FormError) -> TemplateValue {
      var members: [TemplateValue.Member] = []
      while let key = try value(depth: depth + 1) {
        guard let value = try value(depth: depth + 1) else { throw FormError(description: "a name without a value") }
        guard let name = key.text ?? key.contents.map({ String(decoding: $0, as: UTF8.self) }) else {
          throw FormError(description: "a name that is no text")
        }
        members.append(TemplateValue.Member(name, value))
      }
      return .record(members)
    }
  }
}
