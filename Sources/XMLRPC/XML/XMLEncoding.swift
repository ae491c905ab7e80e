extension XMLError {
  /// Counts the line of `offset`; done when an error is made, so that reading counts none.
  init(_ reason: String, limit: Int? = nil, in bytes: [UInt8], at offset: Int) {
    self.reason = reason
    self.limit = limit
    self.offset = offset
    line = 1 + bytes.prefix(offset).count { $0 == ASCII.lineFeed }
  }
}

/// From the bytes of a document to UTF-8 that is known to hold only characters of XML.
enum XMLEncoding {
  /// - Returns: the document in UTF-8 and where its content begins, behind byte order mark and XML declaration.
  static func decode(_ document: [UInt8]) throws(XMLError) -> (bytes: [UInt8], start: Int) {
    let wideMarks: [[UInt8]] = [[0xFE, 0xFF], [0xFF, 0xFE], [0x00, 0x3C], [0x3C, 0x00]]
    if wideMarks.contains(where: document.starts(with:)) {
      throw XMLError("encoding other than UTF-8, US-ASCII, ISO-8859-1", in: document, at: 0)
    }
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    var start = document.starts(with: mark) ? mark.count : 0
    var encoding = "UTF-8"
    if let declaration = try XMLDeclaration(document, at: start) {
      start = declaration.end
      encoding = declaration.encoding ?? encoding
    }
    switch encoding.uppercased() {
    case "UTF-8", "UTF8":
      try check(document)
      return (document, start)
    case "US-ASCII", "ASCII":
      if let offset = document.firstIndex(where: { $0 >= 0x80 }), offset >= mark.count {
        throw XMLError("not US-ASCII as declared", in: document, at: offset)
      }
      try check(document)
      return (document, start)
    case "ISO-8859-1", "LATIN1", "LATIN-1":
      // The declaration is ASCII, so that offsets in it stay.
      var converted: [UInt8] = []
      converted.reserveCapacity(document.count + document.count / 8)
      for byte in document { XMLCharacters.append(UInt32(byte), to: &converted) }
      try check(converted)
      return (converted, start)
    default:
      throw XMLError("encoding other than UTF-8, US-ASCII, ISO-8859-1", in: document, at: 0)
    }
  }

  private static func check(_ bytes: [UInt8]) throws(XMLError) {
    switch XMLCharacters.firstFlaw(in: bytes) {
    case nil: break
    case .malformed(let offset): throw XMLError("not UTF-8", in: bytes, at: offset)
    case .forbidden(let offset): throw XMLError("character that XML forbids", in: bytes, at: offset)
    }
  }
}

/// `<?xml version="1.0" encoding="..." standalone="..."?>`, XML 1.0 section 2.8.
private struct XMLDeclaration {
  var encoding: String?
  /// The byte behind the declaration.
  var end: Int

  /// Nil if the document begins with something else.
  init?(_ document: [UInt8], at start: Int) throws(XMLError) {
    let opening = Array("<?xml".utf8)
    let rest = document[start...]
    guard rest.starts(with: opening), rest.count > opening.count, ASCII.isWhitespace(rest[start + opening.count]) else {
      return nil
    }
    // A declaration is short: a longer one is not searched for its end.
    let window = rest.prefix(256)
    guard let question = window.indices.dropLast().first(where: { window[$0...].starts(with: "?>".utf8) }) else {
      throw XMLError("malformed XML declaration", in: document, at: start)
    }
    end = question + 2
    var body = document[(start + opening.count)..<question]
    var names: [String] = []
    while true {
      let trimmed = body.drop(while: ASCII.isWhitespace)
      if trimmed.isEmpty { break }
      guard trimmed.startIndex > body.startIndex, let (name, value, after) = Self.pseudoAttribute(trimmed) else {
        throw XMLError("malformed XML declaration", in: document, at: trimmed.startIndex)
      }
      if name == "encoding" { encoding = value }
      if name == "version", !value.hasPrefix("1.") {
        throw XMLError("XML version is not 1.x", in: document, at: trimmed.startIndex)
      }
      names.append(name)
      body = after
    }
    let orders = [
      ["version"], ["version", "encoding"], ["version", "standalone"], ["version", "encoding", "standalone"],
    ]
    guard orders.contains(names) else { throw XMLError("malformed XML declaration", in: document, at: start) }
  }

  /// `name = "value"` at the start of `body`, and what follows.
  private static func pseudoAttribute(_ body: ArraySlice<UInt8>) -> (String, String, ArraySlice<UInt8>)? {
    let name = body.prefix(while: ASCII.isLetter)
    var rest = body[name.endIndex...].drop(while: ASCII.isWhitespace)
    guard !name.isEmpty, rest.popFirst() == UInt8(ascii: "=") else { return nil }
    rest = rest.drop(while: ASCII.isWhitespace)
    guard let quote = rest.popFirst(), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"),
      let end = rest.firstIndex(of: quote)
    else { return nil }
    let value = rest[..<end]
    return (String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self), rest[(end + 1)...])
  }
}
