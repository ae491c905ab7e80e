import Glibc

/// `[components] encoding`: how the bytes of the repository's files become characters.
public nonisolated enum TextEncoding: Sendable, Equatable {
  case utf8
  case latin1
  /// One of iconv(3)'s.
  case other(String)

  /// Takes the names that Python takes for the usual ones; iconv is asked for the rest when it is used.
  public init(_ name: String) {
    let plain = name.lowercased().filter { $0 != "-" && $0 != "_" && $0 != " " }
    switch plain {
    case "utf8", "u8", "utf", "utf8ucs2", "utf8ucs4": self = .utf8
    case "latin1", "iso88591", "88591", "l1", "cp819", "latin": self = .latin1
    default: self = .other(name.uppercased().replacing("_", with: "-").replacing("ISO2022", with: "ISO-2022"))
    }
  }

  /// Whether text can be read in it.
  public var isKnown: Bool {
    guard case .other(let name) = self else { return true }
    guard let converter = iconv_open("UTF-8", name), Int(bitPattern: converter) != -1 else { return false }
    iconv_close(converter)
    return true
  }

  /// The bytes as UTF-8.
  ///
  /// - Throws: `TextEncodingError` with the offset of the first byte that is no character.
  public func decode(_ bytes: [UInt8]) throws(TextEncodingError) -> [UInt8] {
    switch self {
    case .utf8: return bytes
    case .latin1:
      var text: [UInt8] = []
      text.reserveCapacity(bytes.count + bytes.count / 8)
      for byte in bytes {
        if byte < 0x80 {
          text.append(byte)
        } else {
          text.append(0xC0 | byte >> 6)
          text.append(0x80 | byte & 0x3F)
        }
      }
      return text
    case .other(let name): return try Self.convert(bytes, from: name, to: "UTF-8")
    }
  }

  /// UTF-8 as bytes of the encoding.
  public func encode(_ text: [UInt8]) throws(TextEncodingError) -> [UInt8] {
    switch self {
    case .utf8: text
    case .latin1: try Self.convert(text, from: "UTF-8", to: "ISO-8859-1")
    case .other(let name): try Self.convert(text, from: "UTF-8", to: name)
    }
  }

  private static func convert(
    _ bytes: [UInt8], from source: String, to target: String
  ) throws(TextEncodingError) -> [UInt8] {
    guard let converter = iconv_open(target, source), Int(bitPattern: converter) != -1 else {
      throw TextEncodingError(offset: nil, encoding: source == "UTF-8" ? target : source)
    }
    defer { iconv_close(converter) }
    var input = bytes
    var output: [UInt8] = []
    var flaw: Int?
    input.withUnsafeMutableBytes { buffer in
      var next = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
      var left = buffer.count
      while left > 0, flaw == nil {
        // Four bytes are the most that one byte of input becomes.
        let room = max(64, min(left, 65536) * 4)
        output += [UInt8](unsafeUninitializedCapacity: room) { part, count in
          var end: UnsafeMutablePointer<CChar>? = UnsafeMutableRawPointer(part.baseAddress!)
            .assumingMemoryBound(to: CChar.self)
          var free = room
          let result = iconv(converter, &next, &left, &end, &free)
          let code = errno
          count = room - free
          if result == -1, code != E2BIG { flaw = buffer.count - left }
        }
      }
    }
    if let flaw { throw TextEncodingError(offset: flaw, encoding: source) }
    // Encodings with shift states end in their first one.
    output += [UInt8](unsafeUninitializedCapacity: 16) { part, count in
      var end: UnsafeMutablePointer<CChar>? = UnsafeMutableRawPointer(part.baseAddress!)
        .assumingMemoryBound(to: CChar.self)
      var free = 16
      iconv(converter, nil, nil, &end, &free)
      count = 16 - free
    }
    return output
  }
}

/// Bytes are no text of the encoding.
public nonisolated struct TextEncodingError: Error, CustomStringConvertible {
  /// Of the first byte that cannot be converted; nil where the encoding is unknown.
  public let offset: Int?
  public let encoding: String

  public var description: String {
    guard let offset else { return "unknown encoding \(encoding) in [components] encoding" }
    return "byte \(offset) is not \(encoding)"
  }
}
