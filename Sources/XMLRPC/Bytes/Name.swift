import Glibc

/// A text from outside that names something: compared, hashed and sorted by its bytes.
///
/// A `String` equals every other spelling of the same characters (`é` in one scalar or in two). What tells things apart
/// here are the bytes of a file's name, of an attribute, of a request, as in Bcfg2.
public nonisolated struct Name: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let text: String

  public init(_ text: String) { self.text = text }

  public var description: String { text }

  /// True where a text has the same bytes.
  public func isSame(as other: String) -> Bool { Self.areSame(text, other) }

  /// True where two texts have the same bytes.
  @inlinable
  public static func areSame(_ one: String, _ other: String) -> Bool {
    // Two words make a text: its bytes where these are few, else a count and an address. Equal words, equal bytes.
    let words = unsafeBitCast(one, to: (UInt64, UInt64).self)
    if words == unsafeBitCast(other, to: (UInt64, UInt64).self) { return true }
    return one.utf8.count == other.utf8.count && haveSameBytes(one.utf8, other.utf8)
  }

  /// True where two texts of one length have the same bytes. They are read in place: `withUTF8` needs a copy of a text,
  /// with its reference counts.
  @usableFromInline
  static func haveSameBytes(_ one: String.UTF8View, _ other: String.UTF8View) -> Bool {
    one.withContiguousStorageIfAvailable { bytes in
      other.withContiguousStorageIfAvailable { order(bytes, $0, bytes.count) == 0 }
    }.flatMap { $0 } ?? one.elementsEqual(other)
  }

  /// True where the bytes of one text come before those of another.
  public static func isOrdered(_ one: String, before other: String) -> Bool {
    var (one, other) = (one, other)
    return one.withUTF8 { one in
      other.withUTF8 { other in
        let order = order(one, other, min(one.count, other.count))
        return order == 0 ? one.count < other.count : order < 0
      }
    }
  }

  private static func order(
    _ one: UnsafeBufferPointer<UInt8>, _ other: UnsafeBufferPointer<UInt8>, _ count: Int
  ) -> Int32 {
    guard count > 0, let one = one.baseAddress, let other = other.baseAddress else { return 0 }
    return memcmp(one, other, count)
  }

  public static func == (one: Name, other: Name) -> Bool { areSame(one.text, other.text) }
  public static func < (one: Name, other: Name) -> Bool { isOrdered(one.text, before: other.text) }

  public func hash(into hasher: inout Hasher) {
    let isHashed: Void? = text.utf8.withContiguousStorageIfAvailable {
      hasher.combine(bytes: UnsafeRawBufferPointer($0))
    }
    if isHashed == nil { Array(text.utf8).withUnsafeBytes { hasher.combine(bytes: $0) } }
  }
}

extension Name: ExpressibleByStringInterpolation {
  public nonisolated init(stringLiteral text: String) { self.init(text) }
}
