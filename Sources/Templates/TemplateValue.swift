import Glibc

/// A value that server and renderer exchange: what both Swift and Python have.
public nonisolated indirect enum TemplateValue: Hashable, Sendable {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case text(String)
  case bytes([UInt8])
  case list([TemplateValue])
  /// Members in their order; names are unique.
  case record([Member])

  /// A member of a record.
  public nonisolated struct Member: Hashable, Sendable {
    public let name: String
    public let value: TemplateValue

    public init(_ name: String, _ value: TemplateValue) {
      self.name = name
      self.value = value
    }
  }

  /// The text of a text.
  public var text: String? { if case .text(let text) = self { text } else { nil } }
  public var int: Int? { if case .int(let number) = self { number } else { nil } }
  public var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }
  public var list: [TemplateValue]? { if case .list(let items) = self { items } else { nil } }
  public var members: [Member]? { if case .record(let members) = self { members } else { nil } }
  /// Bytes, or those of a text.
  public var contents: [UInt8]? {
    switch self {
    case .bytes(let bytes): bytes
    case .text(let text): Array(text.utf8)
    default: nil
    }
  }

  /// A member of a record; nil where there is none.
  public subscript(_ name: String) -> TemplateValue? {
    members?.first { Self.areSame($0.name, name) }?.value
  }

  /// Bytes of its texts and of what else is in it, about as many as it takes in memory.
  package var weight: Int {
    switch self {
    case .none, .bool, .int, .double: 16
    case .text(let text): 32 + text.utf8.count
    case .bytes(let bytes): 48 + bytes.count
    case .list(let items): items.reduce(48) { $0 + $1.weight }
    case .record(let members): members.reduce(48) { $0 + 16 + $1.name.utf8.count + $1.value.weight }
    }
  }

  /// Texts of a list; what is none is left out.
  public var texts: [String] { list?.compactMap(\.text) ?? [] }

  /// A list of texts.
  public static func texts(_ texts: some Sequence<String>) -> TemplateValue { .list(texts.map { .text($0) }) }
}

nonisolated extension TemplateValue: ExpressibleByStringLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral
{
  public init(stringLiteral value: String) { self = .text(value) }
  public init(arrayLiteral elements: TemplateValue...) { self = .list(elements) }
  public init(dictionaryLiteral elements: (String, TemplateValue)...) {
    self = .record(elements.map { Member($0.0, $0.1) })
  }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int) { self = .int(value) }
}

// Texts are compared by their bytes, and floating point numbers by theirs: two spellings of one character are two answers,
// and so are 0.0 and -0.0.
nonisolated extension TemplateValue {
  public static func == (one: TemplateValue, other: TemplateValue) -> Bool {
    switch (one, other) {
    case (.none, .none): true
    case (.bool(let one), .bool(let other)): one == other
    case (.int(let one), .int(let other)): one == other
    case (.double(let one), .double(let other)): one.bitPattern == other.bitPattern
    case (.text(let one), .text(let other)): areSame(one, other)
    case (.bytes(let one), .bytes(let other)): one == other
    case (.list(let one), .list(let other)): one == other
    case (.record(let one), .record(let other)): one == other
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .none: hasher.combine(0 as UInt8)
    case .bool(let flag): hasher.combine(flag)
    case .int(let number): hasher.combine(number)
    case .double(let number): hasher.combine(number.bitPattern)
    case .text(let text): Self.combine(text, &hasher)
    case .bytes(let bytes): hasher.combine(bytes)
    case .list(let items): hasher.combine(items)
    case .record(let members): hasher.combine(members)
    }
  }

  /// Whether two texts have the same bytes.
  package static func areSame(_ one: String, _ other: String) -> Bool {
    guard one.utf8.count == other.utf8.count else { return false }
    let isSame = one.utf8.withContiguousStorageIfAvailable { one in
      other.utf8.withContiguousStorageIfAvailable { other in
        one.isEmpty || memcmp(one.baseAddress!, other.baseAddress!, one.count) == 0
      }
    }
    return (isSame ?? nil) ?? one.utf8.elementsEqual(other.utf8)
  }

  fileprivate static func combine(_ text: String, _ hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(0xFF as UInt8)
  }
}

nonisolated extension TemplateValue.Member {
  public static func == (one: TemplateValue.Member, other: TemplateValue.Member) -> Bool {
    TemplateValue.areSame(one.name, other.name) && one.value == other.value
  }

  public func hash(into hasher: inout Hasher) {
    TemplateValue.combine(name, &hasher)
    hasher.combine(value)
  }
}
