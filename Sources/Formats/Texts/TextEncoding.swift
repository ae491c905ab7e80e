import Glibc

/// `[components] encoding`: the encoding of the repository's files.
public nonisolated enum TextEncoding: Sendable, Equatable {
  case utf8
  case latin1
  /// An encoding of iconv(3).
  case other(String)

  /// Recognises Python's names of the usual encodings; others are passed to iconv.
  public init(_ name: String) {
    let plain = name.lowercased().filter { $0 != "-" && $0 != "_" && $0 != " " }
    switch plain {
    case "utf8", "u8", "utf", "utf8ucs2", "utf8ucs4": self = .utf8
    case "latin1", "iso88591", "88591", "l1", "cp819", "latin": self = .latin1
    default: self = .other(name.uppercased().replacing("_", with: "-").replacing("ISO2022", with: "ISO-2022"))
    }
  }

  /// Whether the encoding exists.
  public var isKnown: Bool {
    guard case .other(let name) = self else { return true }
    guard let converter = iconv_open("UTF-8", name), Int(bitPattern: converter) != -1 else { return false }
    iconv_close(converter)
    return true
  }

  /// Decodes bytes to UTF-8.
  ///
  /// - Throws: `TextEncodingError` with the offset of the first invalid byte.
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

  /// Encodes UTF-8.
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
        // One byte of input becomes four bytes at most.
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
    // Encodings with shift states must return to the first one.
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

/// Bytes are invalid in the encoding.
public nonisolated struct TextEncodingError: Error, CustomStringConvertible {
  /// Offset of the first byte that cannot be converted; nil for an unknown encoding.
  public let offset: Int?
  public let encoding: String

  public var description: String {
    guard let offset else { return "unknown encoding \(encoding) in [components] encoding" }
    return "byte \(offset) is not \(encoding)"
  }
}
