import XMLRPC

/// Text from outside, shown: it must neither control a terminal nor look like a line of its own.
public nonisolated enum VisibleText {
  /// The text with invisible characters written as escapes, as in the log. Applied a second time, it changes nothing.
  ///
  /// - Parameter keepsLines: leaves line feeds as they are.
  public static func escaped(_ text: String, keepsLines: Bool = false) -> String {
    var line: [UInt8] = []
    for scalar in text.unicodeScalars {
      if keepsLines, scalar == "\n" { line.append(0x0A) } else { append(scalar, to: &line) }
    }
    return String(decoding: line, as: UTF8.self)
  }

  static func append(_ scalar: Unicode.Scalar, to line: inout [UInt8]) {
    switch scalar.value {
    case 0x0A: line += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
    case 0x09, 0x20..<0x7F: line.append(UInt8(scalar.value))
    case 0..<0x80:
      line += [UInt8(ascii: "\\"), UInt8(ascii: "x")]
      line += [hexadecimal(UInt8(scalar.value >> 4)), hexadecimal(UInt8(scalar.value & 15))]
    default:
      if scalar.isInvisible {
        line += "\\u{\(String(scalar.value, radix: 16))}".utf8
      } else {
        line += Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      }
    }
  }

  private static func hexadecimal(_ digit: UInt8) -> UInt8 {
    digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
  }
}
