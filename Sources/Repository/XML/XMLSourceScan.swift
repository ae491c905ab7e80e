/// The byte offsets of elements and attributes in a well-formed XML text.
struct XMLSourceScan {
  struct Attribute {
    let name: String
    /// The white space before it, and the rest of it up to the value's quote.
    let space: Range<Int>
    /// The value between its quotes.
    let value: Range<Int>
    let quote: UInt8
    let text: String
  }

  struct Element {
    let tag: String
    /// Position of its parent in `elements`; nil for the root.
    let parent: Int?
    /// Offset of the `<` of its start tag.
    let start: Int
    let nameEnd: Int
    let attributes: [Attribute]
    /// Offset after its start tag.
    let contentStart: Int
    /// Offset of the `<` of its end tag; nil for `<x/>`.
    var contentEnd: Int?
    /// Offset after the element.
    var end: Int

    func value(_ name: String) -> String? { attributes.first { $0.name == name }?.text }
  }

  /// In document order; the root first.
  private(set) var elements: [Element] = []
  private let bytes: [UInt8]
  private let path: String
  private var at = 0
  private var open: [Int] = []

  /// - Parameter bytes: text that a parser has read without an error.
  init(_ bytes: [UInt8], path: String) throws(XMLFileError) {
    self.bytes = bytes
    self.path = path
    guard String(validating: bytes, as: UTF8.self) != nil else { throw error("is not UTF-8, cannot be edited") }
    while at < bytes.count {
      guard bytes[at] == UInt8(ascii: "<") else {
        at += 1
        continue
      }
      if isAt("<!--") {
        try skip(4, to: "-->")
      } else if isAt("<![CDATA[") {
        try skip(9, to: "]]>")
      } else if isAt("<?") {
        try skip(2, to: "?>")
      } else if isAt("<!") {
        try skipDocumentType()
      } else if isAt("</") {
        try endTag()
      } else {
        try startTag()
      }
    }
    guard open.isEmpty, !elements.isEmpty else { throw error("ends inside an element") }
  }

  private func error(_ message: String) -> XMLFileError {
    let line = 1 + bytes.prefix(at).count { $0 == 0x0A }
    return XMLFileError(path: path, line: line, message: message)
  }

  private func isAt(_ text: StaticString) -> Bool {
    guard bytes.count - at >= text.utf8CodeUnitCount else { return false }
    for index in 0..<text.utf8CodeUnitCount where bytes[at + index] != text.utf8Start[index] { return false }
    return true
  }

  private mutating func skip(_ start: Int, to end: StaticString) throws(XMLFileError) {
    at += start
    while at < bytes.count {
      if isAt(end) {
        at += end.utf8CodeUnitCount
        return
      }
      at += 1
    }
    throw error("ends inside markup")
  }

  private mutating func skipDocumentType() throws(XMLFileError) {
    var depth = 0
    while at < bytes.count {
      if isAt("<!--") {
        try skip(4, to: "-->")
        continue
      }
      if isAt("<?") {
        try skip(2, to: "?>")
        continue
      }
      switch bytes[at] {
      case UInt8(ascii: "<"): depth += 1
      case UInt8(ascii: ">"):
        depth -= 1
        if depth == 0 {
          at += 1
          return
        }
      case UInt8(ascii: "\""), UInt8(ascii: "'"):
        let quote = bytes[at]
        at += 1
        while at < bytes.count, bytes[at] != quote { at += 1 }
      default: break
      }
      at += 1
    }
    throw error("ends inside its document type")
  }

  private mutating func endTag() throws(XMLFileError) {
    guard let index = open.popLast() else { throw error("end tag without a start tag") }
    elements[index].contentEnd = at
    try skip(2, to: ">")
    elements[index].end = at
  }

  private mutating func startTag() throws(XMLFileError) {
    let start = at
    at += 1
    let tag = name()
    let nameEnd = at
    var attributes: [Attribute] = []
    while true {
      let space = at
      skipSpace()
      guard at < bytes.count else { throw error("ends inside a tag") }
      if bytes[at] == UInt8(ascii: ">") || isAt("/>") { break }
      attributes.append(try attribute(space))
    }
    let isEmpty = isAt("/>")
    at += isEmpty ? 2 : 1
    elements.append(
      Element(
        tag: tag, parent: open.last, start: start, nameEnd: nameEnd, attributes: attributes, contentStart: at,
        contentEnd: nil, end: at))
    if !isEmpty { open.append(elements.count - 1) }
  }

  private mutating func attribute(_ space: Int) throws(XMLFileError) -> Attribute {
    let name = name()
    skipSpace()
    guard !name.isEmpty, at < bytes.count, bytes[at] == UInt8(ascii: "=") else { throw error("malformed attribute") }
    at += 1
    skipSpace()
    guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") || bytes[at] == UInt8(ascii: "'") else {
      throw error("malformed attribute")
    }
    let quote = bytes[at]
    at += 1
    let start = at
    while at < bytes.count, bytes[at] != quote { at += 1 }
    guard at < bytes.count else { throw error("ends inside an attribute") }
    let value = start..<at
    at += 1
    return Attribute(
      name: name, space: space..<start, value: value, quote: quote, text: Self.unescaped(bytes[value]))
  }

  private mutating func name() -> String {
    let start = at
    while at < bytes.count, !bytes[at].isXMLSpace, !Self.endsName(bytes[at]) { at += 1 }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  private static func endsName(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "=") || byte == UInt8(ascii: ">") || byte == UInt8(ascii: "/")
  }

  private mutating func skipSpace() {
    while at < bytes.count, bytes[at].isXMLSpace { at += 1 }
  }

  /// The UTF-8 of an attribute's value as a parser returns it, except for the document's own entities.
  static func value(_ raw: Slice<UnsafeBufferPointer<UInt8>>) -> [UInt8] {
    let isAsItIs = raw.allSatisfy { $0 != UInt8(ascii: "&") && ($0 == 0x20 || !$0.isXMLSpace) }
    return isAsItIs ? Array(raw) : Array(unescaped(Array(raw)[...]).utf8)
  }

  /// An attribute's value as a parser returns it, except for the document's own entities.
  private static func unescaped(_ raw: ArraySlice<UInt8>) -> String {
    var out = String.UnicodeScalarView()
    var rest = Substring(decoding: raw, as: UTF8.self).unicodeScalars[...]
    while let scalar = rest.popFirst() {
      if scalar == "&", let end = rest.firstIndex(of: ";"), let value = entity(String(Substring(rest[..<end]))) {
        out.append(value)
        rest = rest[rest.index(after: end)...]
      } else {
        out.append(scalar == "\n" || scalar == "\t" || scalar == "\r" ? " " : scalar)
      }
    }
    return String(out)
  }

  private static func entity(_ name: String) -> Unicode.Scalar? {
    switch name {
    case "amp": "&"
    case "lt": "<"
    case "gt": ">"
    case "quot": "\""
    case "apos": "'"
    default:
      if name.hasPrefix("#x") {
        UInt32(name.dropFirst(2), radix: 16).flatMap { Unicode.Scalar($0) }
      } else if name.hasPrefix("#") {
        UInt32(name.dropFirst()).flatMap { Unicode.Scalar($0) }
      } else {
        nil
      }
    }
  }
}

extension UInt8 {
  /// White space of XML: space, tab, line feed, carriage return.
  package var isXMLSpace: Bool { self == 0x20 || self == 0x09 || self == 0x0A || self == 0x0D }
}
