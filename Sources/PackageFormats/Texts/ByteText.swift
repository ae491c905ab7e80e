import Glibc

/// A text or a part of one, as bytes in place.
typealias ByteText = UnsafeBufferPointer<UInt8>

extension UnsafeBufferPointer<UInt8> {
  /// A part of the text.
  @inline(__always)
  func part(_ range: Range<Int>) -> ByteText { ByteText(rebasing: self[range]) }

  /// A part up to the end.
  @inline(__always)
  func part(from start: Int) -> ByteText { ByteText(rebasing: self[start...]) }

  /// Whether the text is that of a literal.
  @inline(__always)
  func equals(_ literal: StaticString) -> Bool {
    count == literal.utf8CodeUnitCount && (count == 0 || memcmp(baseAddress!, literal.utf8Start, count) == 0)
  }

  @inline(__always)
  func starts(with literal: StaticString) -> Bool {
    count >= literal.utf8CodeUnitCount && memcmp(baseAddress!, literal.utf8Start, literal.utf8CodeUnitCount) == 0
  }

  /// The place of a byte.
  @inline(__always)
  func index(of byte: UInt8) -> Int? {
    guard let baseAddress, let place = memchr(baseAddress, CInt(byte), count) else { return nil }
    return UnsafeRawPointer(place) - UnsafeRawPointer(baseAddress)
  }

  /// The text without the blanks around it: what Python 2's `str.strip` removes.
  @inline(__always)
  var trimmed: ByteText {
    var start = 0
    var end = count
    while start < end, isBlank(self[start]) { start += 1 }
    while end > start, isBlank(self[end - 1]) { end -= 1 }
    return part(start..<end)
  }

  var array: [UInt8] { Array(self) }
}

/// Whether a byte is a blank of Python 2's `str.isspace`: space, tab, newline, vertical tab, form feed, return.
@inline(__always)
func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }

/// Reads a decimal number of digits only; nil if there is something else, or too much.
func decimal(_ text: some Collection<UInt8>) -> Int? {
  guard !text.isEmpty, text.count <= 18 else { return nil }
  var number = 0
  for byte in text {
    guard byte &- 0x30 < 10 else { return nil }
    number = number * 10 + Int(byte - 0x30)
  }
  return number
}

/// Reads bytes written as hexadecimal digits; nil if there is something else.
func hexadecimalBytes(_ text: some Collection<UInt8>) -> [UInt8]? {
  guard text.count % 2 == 0 else { return nil }
  var bytes: [UInt8] = []
  var high: UInt8?
  for byte in text {
    let digit: UInt8
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - 0x30
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - 0x61 + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - 0x41 + 10
    default: return nil
    }
    if let first = high {
      bytes.append(first << 4 | digit)
      high = nil
    } else {
      high = digit
    }
  }
  return bytes
}
