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
  public static func areSame(_ one: String, _ other: String) -> Bool {
    var (one, other) = (one, other)
    return one.withUTF8 { one in
      other.withUTF8 { other in
        one.count == other.count && order(one, other, one.count) == 0
      }
    }
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
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension Name: ExpressibleByStringInterpolation {
  public nonisolated init(stringLiteral text: String) { self.init(text) }
}
