/// A value of XML-RPC, with `nil` and the 64-bit integers that Python's xmlrpclib reads too.
public enum Value: Sendable, Equatable {
  case `nil`
  case bool(Bool)
  /// `int`, `i4`, and `i8`. Written as `int` within 32 bits and as `i8` beyond.
  case int(Int64)
  /// An integer beyond 64 bits, in decimal digits without leading zeros, as Python reads it.
  case bigInteger(String)
  case double(Double)
  case string(String)
  /// `base64`: any bytes.
  case bytes([UInt8])
  /// `dateTime.iso8601`, the text as it stands on the wire.
  case dateTime(String)
  case array([Value])
  /// `struct`, members in the order in which they are written. After decoding each name occurs once.
  case structure([Member])
  /// A string whose bytes are already escaped as the content of `<string>` (see `XMLEscape`): only ever encoded.
  case escaped(ByteSegments)

  /// One member of a structure.
  public struct Member: Sendable, Equatable {
    public var name: String
    public var value: Value

    public init(_ name: String, _ value: Value) {
      self.name = name
      self.value = value
    }
  }
}

extension Value: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByFloatLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .int(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(arrayLiteral elements: Value...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, Value)...) {
    self = .structure(elements.map { Member($0.0, $0.1) })
  }
}

extension Value {
  /// The text of a `string`.
  public var string: String? {
    if case .string(let text) = self { text } else { nil }
  }

  /// The bytes of a `string` (as UTF-8) or of `base64`: the two ways in which a client sends contents.
  public var contents: [UInt8]? {
    switch self {
    case .string(let text): [UInt8](text.utf8)
    case .bytes(let bytes): bytes
    default: nil
    }
  }

  public var int: Int64? {
    if case .int(let number) = self { number } else { nil }
  }

  /// Whether there is an integer beyond 64 bits in the value: no answer can hold it.
  public var holdsBigInteger: Bool {
    switch self {
    case .bigInteger: true
    case .array(let elements): elements.contains { $0.holdsBigInteger }
    case .structure(let members): members.contains { $0.value.holdsBigInteger }
    case .nil, .bool, .int, .double, .string, .bytes, .dateTime, .escaped: false
    }
  }

  /// Whether there is a text, or bytes, of more than so many bytes in the value.
  public func holdsText(longerThan limit: Int) -> Bool {
    switch self {
    case .string(let text), .dateTime(let text), .bigInteger(let text): text.utf8.count > limit
    case .bytes(let bytes): bytes.count > limit
    case .array(let elements): elements.contains { $0.holdsText(longerThan: limit) }
    case .structure(let members):
      members.contains { $0.name.utf8.count > limit || $0.value.holdsText(longerThan: limit) }
    case .escaped(let segments): segments.count > limit
    case .nil, .bool, .int, .double: false
    }
  }

  public var bool: Bool? {
    if case .bool(let flag) = self { flag } else { nil }
  }

  public var array: [Value]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  public var members: [Member]? {
    if case .structure(let members) = self { members } else { nil }
  }

  /// The member of a structure with this name.
  public subscript(name: String) -> Value? {
    members?.first { $0.name == name }?.value
  }
}
