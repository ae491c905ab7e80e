/// Which bytes are text of XML 1.0: valid UTF-8 of characters that the Char production allows.
public enum XMLCharacters {
  /// Where and why bytes are not text of XML.
  public enum Flaw: Sendable, Equatable {
    /// Not UTF-8 at this offset.
    case malformed(offset: Int)
    /// A character that XML 1.0 forbids, such as a control character, at this offset.
    case forbidden(offset: Int)
  }

  /// The first flaw of `bytes`, nil if an XML parser will read all of them.
  public static func firstFlaw(in bytes: UnsafeRawBufferPointer) -> Flaw? {
    var index = 0
    // Up to here bytes are looked at one by one.
    var slowEnd = 0
    while index < bytes.count {
      if index >= slowEnd {
        while bytes.count - index >= 8, isPlain(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) {
          index += 8
        }
        slowEnd = min(index + 8, bytes.count)
        if index == bytes.count { return nil }
      }
      let byte = bytes[index]
      if byte < 0x80 {
        if byte < 0x20, !ASCII.isWhitespace(byte) { return .forbidden(offset: index) }
        index += 1
        continue
      }
      guard let (scalar, length) = decodeScalar(bytes, at: index) else { return .malformed(offset: index) }
      guard isAllowed(scalar) else { return .forbidden(offset: index) }
      index += length
    }
    return nil
  }

  /// Whether eight bytes are all ASCII and none of them a control character but line feeds and tabs: no sum of a byte
  /// carries over.
  private static func isPlain(_ word: UInt64) -> Bool {
    let high: UInt64 = 0x8080_8080_8080_8080
    let low: UInt64 = 0x7F7F_7F7F_7F7F_7F7F
    guard word & high == 0 else { return false }
    let isPrinted = word &+ 0x6060_6060_6060_6060
    if isPrinted & high == high { return true }
    let isOther = ((word ^ 0x0A0A_0A0A_0A0A_0A0A) &+ low) & ((word ^ 0x0909_0909_0909_0909) &+ low)
    return (isPrinted | ~isOther) & high == high
  }

  /// As `firstFlaw(in:)` for an array.
  public static func firstFlaw(in bytes: [UInt8]) -> Flaw? {
    bytes.withUnsafeBytes { firstFlaw(in: $0) }
  }

  /// Char production, XML 1.0 section 2.2.
  public static func isAllowed(_ scalar: UInt32) -> Bool {
    switch scalar {
    case 0x09, 0x0A, 0x0D, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
    default: false
    }
  }

  /// One scalar of UTF-8 (RFC 3629) and its length in bytes; nil if the bytes at `index` are none.
  static func decodeScalar(_ bytes: UnsafeRawBufferPointer, at index: Int) -> (scalar: UInt32, length: Int)? {
    let first = UInt32(bytes[index])
    let length: Int
    let smallest: UInt32
    var scalar: UInt32
    switch first {
    case 0..<0x80: return (first, 1)
    case 0xC2..<0xE0: (length, smallest, scalar) = (2, 0x80, first & 0x1F)
    case 0xE0..<0xF0: (length, smallest, scalar) = (3, 0x800, first & 0x0F)
    case 0xF0..<0xF5: (length, smallest, scalar) = (4, 0x10000, first & 0x07)
    default: return nil
    }
    guard index + length <= bytes.count else { return nil }
    for offset in 1..<length {
      let next = UInt32(bytes[index + offset])
      guard next & 0xC0 == 0x80 else { return nil }
      scalar = scalar << 6 | next & 0x3F
    }
    guard scalar >= smallest, scalar <= 0x10FFFF, !(0xD800...0xDFFF).contains(scalar) else { return nil }
    return (scalar, length)
  }

  /// NameStartChar of XML 1.0 section 2.3 in UTF-8, where every non-ASCII letter is taken for one.
  static func isNameStart(_ byte: UInt8) -> Bool {
    ASCII.isLetter(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":") || byte >= 0x80
  }

  /// NameChar in UTF-8, where every non-ASCII character is taken for one.
  static func isNameByte(_ byte: UInt8) -> Bool {
    isNameStart(byte) || ASCII.isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
  }

  /// Appends a scalar as UTF-8.
  static func append(_ scalar: UInt32, to output: inout [UInt8]) {
    switch scalar {
    case 0..<0x80:
      output.append(UInt8(scalar))
    case 0x80..<0x800:
      output.append(UInt8(0xC0 | scalar >> 6))
      output.append(UInt8(0x80 | scalar & 0x3F))
    case 0x800..<0x10000:
      output.append(UInt8(0xE0 | scalar >> 12))
      output.append(UInt8(0x80 | scalar >> 6 & 0x3F))
      output.append(UInt8(0x80 | scalar & 0x3F))
    default:
      output.append(UInt8(0xF0 | scalar >> 18 & 0x07))
      output.append(UInt8(0x80 | scalar >> 12 & 0x3F))
      output.append(UInt8(0x80 | scalar >> 6 & 0x3F))
      output.append(UInt8(0x80 | scalar & 0x3F))
    }
  }
}
