/// Base64 of RFC 4648 section 4, written and read as Python's `binascii` does, because repositories and clients hold
/// what Python wrote and read.
public enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")
  private static let notInAlphabet: UInt8 = 0xFF
  private static let values: [UInt8] = {
    var table = [UInt8](repeating: notInAlphabet, count: 256)
    for (value, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(value) }
    return table
  }()

  /// Encodes with padding and without line breaks: Python's `b64encode`.
  public static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity((bytes.count + 2) / 3 * 4)
    append(bytes[...], to: &output)
    return output
  }

  /// Encodes 57 bytes a line, each line of up to 76 characters with its line feed: Python's `encodestring`.
  public static func encodeLines(_ bytes: [UInt8]) -> [UInt8] {
    let bytesPerLine = 57
    var output: [UInt8] = []
    output.reserveCapacity((bytes.count + 2) / 3 * 4 + bytes.count / bytesPerLine + 1)
    var start = 0
    while start < bytes.count {
      let end = min(start + bytesPerLine, bytes.count)
      append(bytes[start..<end], to: &output)
      output.append(ASCII.lineFeed)
      start = end
    }
    return output
  }

  private static func append(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
    var index = bytes.startIndex
    while index + 2 < bytes.endIndex {
      let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
      output.append(digit(group >> 18))
      output.append(digit(group >> 12))
      output.append(digit(group >> 6))
      output.append(digit(group))
      index += 3
    }
    switch bytes.endIndex - index {
    case 1:
      let group = UInt32(bytes[index]) << 16
      output.append(digit(group >> 18))
      output.append(digit(group >> 12))
      output.append(padding)
      output.append(padding)
    case 2:
      let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8
      output.append(digit(group >> 18))
      output.append(digit(group >> 12))
      output.append(digit(group >> 6))
      output.append(padding)
    default:
      break
    }
  }

  private static func digit(_ bits: UInt32) -> UInt8 {
    alphabet[Int(bits & 0x3F)]
  }

  /// Decodes as Python's `b64decode`: characters outside the alphabet are skipped, what follows the padding ignored.
  ///
  /// - Returns: nil where Python raises "Incorrect padding".
  public static func decode(_ text: [UInt8]) -> [UInt8]? {
    var output: [UInt8] = []
    output.reserveCapacity(text.count / 4 * 3)
    var digits = 0
    var bits: UInt32 = 0
    var bitCount = 0
    for (index, byte) in text.enumerated() {
      if byte == padding {
        // Padding counts after three digits, or after two if the next character that matters is padding too.
        if digits % 4 == 3 || (digits % 4 == 2 && nextMeaningful(text, after: index) == padding) {
          return output
        }
        continue
      }
      let value = values[Int(byte)]
      if value == notInAlphabet { continue }
      digits += 1
      bits = bits << 6 | UInt32(value)
      bitCount += 6
      if bitCount >= 8 {
        bitCount -= 8
        output.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
        bits &= (1 << UInt32(bitCount)) - 1
      }
    }
    return bitCount == 0 ? output : nil
  }

  private static func nextMeaningful(_ text: [UInt8], after index: Int) -> UInt8? {
    text[(index + 1)...].first { $0 == padding || values[Int($0)] != notInAlphabet }
  }

  /// Decodes exactly what `encode` writes: no other character, full padding, no bits left over.
  public static func decodeStrict(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    let padded = text.suffix(2).reversed().prefix { $0 == padding }.count
    let digits = text.dropLast(padded)
    var output: [UInt8] = []
    output.reserveCapacity(text.count / 4 * 3)
    var bits: UInt32 = 0
    var bitCount = 0
    for byte in digits {
      let value = values[Int(byte)]
      if value == notInAlphabet { return nil }
      bits = bits << 6 | UInt32(value)
      bitCount += 6
      guard bitCount >= 8 else { continue }
      bitCount -= 8
      output.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
      bits &= (1 << UInt32(bitCount)) - 1
    }
    // The bits that the padding stands for are zero, and two of its characters are two bytes less.
    return bits == 0 && bitCount == 2 * padded ? output : nil
  }
}
