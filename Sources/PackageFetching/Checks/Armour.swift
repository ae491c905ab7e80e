/// Removes the ASCII armour of OpenPGP (RFC 9580, 6) from keys, which gpgv does not do.
nonisolated enum Armour {
  /// The bytes of all keys of a file: armoured blocks, or binary as it is.
  ///
  /// - Returns: nil for a file that is neither.
  static func keys(_ bytes: [UInt8]) -> [UInt8]? {
    // Each packet begins with a byte whose highest bit is set.
    if let first = bytes.first, first & 0x80 != 0 { return bytes }
    var result: [UInt8] = []
    var isInBlock = false
    var isInHeaders = false
    var digits: [UInt8] = []
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      let text = trimmed(line)
      if text.elementsEqual("-----BEGIN PGP PUBLIC KEY BLOCK-----".utf8) {
        isInBlock = true
        isInHeaders = true
        digits = []
      } else if text.elementsEqual("-----END PGP PUBLIC KEY BLOCK-----".utf8), isInBlock {
        guard let block = base64(digits) else { return nil }
        result += block
        isInBlock = false
      } else if isInBlock, isInHeaders, text.isEmpty || !text.contains(UInt8(ascii: ":")) {
        // An empty line ends the headers; some programs write neither.
        isInHeaders = false
        digits += text
      } else if isInBlock, !isInHeaders, text.first != UInt8(ascii: "=") {
        // A line that begins with "=" is a checksum, which only guards against damage; the signature that the key is
        // needed for shows that.
        digits += text
      }
    }
    return result.isEmpty || isInBlock ? nil : result
  }

  private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let isBlank: (UInt8) -> Bool = { $0 <= 0x20 }
    guard let first = line.firstIndex(where: { !isBlank($0) }), let last = line.lastIndex(where: { !isBlank($0) })
    else { return [] }
    return line[first...last]
  }

  private static func base64(_ digits: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var value: UInt32 = 0
    var bits = 0
    for digit in digits {
      let six: UInt8
      switch digit {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): six = digit - UInt8(ascii: "A")
      case UInt8(ascii: "a")...UInt8(ascii: "z"): six = digit - UInt8(ascii: "a") + 26
      case UInt8(ascii: "0")...UInt8(ascii: "9"): six = digit - UInt8(ascii: "0") + 52
      case UInt8(ascii: "+"): six = 62
      case UInt8(ascii: "/"): six = 63
      case UInt8(ascii: "="): continue
      default: return nil
      }
      value = (value << 6 | UInt32(six)) & 0xff_ffff
      bits += 6
      if bits >= 8 {
        bits -= 8
        result.append(UInt8(truncatingIfNeeded: value >> UInt32(bits)))
      }
    }
    return result
  }
}
