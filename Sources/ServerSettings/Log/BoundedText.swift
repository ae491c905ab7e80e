import XMLRPC

/// Text of the log: on one line, of bounded length, with nothing in it that cannot be seen.
///
/// Text from outside must neither control a terminal, nor look like a line of its own, nor fill the log by itself. Every
/// destination uses it.
nonisolated enum BoundedText {
  /// Bytes that are reserved for the note on what is left out.
  private static let noteBytes = 48

  /// Appends text as `VisibleText` shows it, at most `LogRecord.messageBytes`. Applied a second time, it changes nothing.
  static func appendVisible(_ text: String, to line: inout [UInt8]) {
    append(
      text, to: &line, limitBytes: LogRecord.messageBytes, isPlain: { $0 >= 0x20 && $0 < 0x7F },
      escape: { VisibleText.append($0, to: &$1) })
  }

  /// Appends text as the inside of a JSON string, at most so many bytes.
  static func appendJSON(_ text: String, to line: inout [UInt8], limitBytes: Int = LogRecord.messageBytes) {
    append(
      text, to: &line, limitBytes: limitBytes,
      isPlain: { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") },
      escape: { appendJSON($0, to: &$1) })
  }

  private static func appendJSON(_ scalar: Unicode.Scalar, to line: inout [UInt8]) {
    switch scalar.value {
    case 0x22, 0x5C: line += [UInt8(ascii: "\\"), UInt8(scalar.value)]
    case 0x0A: line += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
    case 0x09: line += [UInt8(ascii: "\\"), UInt8(ascii: "t")]
    case 0x0D: line += [UInt8(ascii: "\\"), UInt8(ascii: "r")]
    case 0x20..<0x7F: line.append(UInt8(scalar.value))
    default:
      if scalar.value < 0x80 || scalar.isInvisible {
        for unit in String(scalar).utf16 { appendUnit(unit, to: &line) }
      } else {
        line += Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      }
    }
  }

  /// `\u` and four digits.
  private static func appendUnit(_ unit: UInt16, to line: inout [UInt8]) {
    line += [UInt8(ascii: "\\"), UInt8(ascii: "u")]
    for shift in stride(from: 12, through: 0, by: -4) {
      let digit = UInt8((unit >> UInt16(shift)) & 15)
      line.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }
  }

  /// - Parameters:
  ///   - isPlain: whether a byte of ASCII stands for itself.
  ///   - escape: appends a character.
  private static func append(
    _ text: String, to line: inout [UInt8], limitBytes: Int, isPlain: (UInt8) -> Bool,
    escape: (Unicode.Scalar, inout [UInt8]) -> Void
  ) {
    var text = text
    let start = line.count
    let isDone = text.withUTF8 { bytes in
      guard bytes.count <= limitBytes, bytes.allSatisfy(isPlain) else { return false }
      line.append(contentsOf: bytes)
      return true
    }
    if isDone { return }
    // Where the text would end if it had to be cut, in the line and in bytes of the text.
    var cut = (line: start, text: 0)
    var position = 0
    for scalar in text.unicodeScalars {
      escape(scalar, &line)
      if line.count - start > limitBytes {
        line.removeSubrange(cut.line...)
        line += " [\(text.utf8.count - cut.text) more bytes are left out]".utf8
        return
      }
      position += UTF8.width(scalar)
      if line.count - start <= limitBytes - noteBytes { cut = (line.count, position) }
    }
  }
}
