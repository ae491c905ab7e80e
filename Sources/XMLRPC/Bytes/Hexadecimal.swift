/// Bytes as hexadecimal digits.
package enum Hexadecimal {
  private static let lowerDigits = Array("0123456789abcdef".utf8)
  private static let upperDigits = Array("0123456789ABCDEF".utf8)

  /// Two digits for each byte, in lower case: how digests are written.
  package static func text(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.flatMap { [lowerDigits[Int($0 >> 4)], lowerDigits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Bytes of a URL: those that stand for themselves, and `%XX` for others (RFC 3986, 2.1).
  package static func percentEncoded(_ bytes: some Sequence<UInt8>, except isPlain: (UInt8) -> Bool) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.underestimatedCount)
    for byte in bytes {
      if isPlain(byte) {
        result.append(byte)
      } else {
        result += [UInt8(ascii: "%"), upperDigits[Int(byte >> 4)], upperDigits[Int(byte & 15)]]
      }
    }
    return result
  }

  /// Whether a byte has one form in a URL: a letter, a digit, or one of `-._~` (RFC 3986, 2.3).
  package static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
    default: ASCII.isLetter(byte) || ASCII.isDigit(byte)
    }
  }
}
