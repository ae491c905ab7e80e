import XMLRPC

/// Writes elements as XML: as `lxml.etree.tostring` writes them, ASCII with decimal references, no declaration.
///
/// This is the hot path of an answer: bytes by runs into one buffer, escaped for the XML-RPC string around the document
/// in the same pass; long text that answers share goes in as its own segment, uncopied.
///
/// Characters that XML forbids cannot be written. lxml refuses them when a text is set, which fails the entry; here the
/// entry fails when it is written: it keeps its attributes, loses text and children, and its `failure` says why. Above
/// the entries, U+FFFD stands for such a character.
public enum WireWriter {
  /// Shared text of at least this many wire bytes is a segment of its own.
  static let sharedSegmentBytes = 512

  /// The document as it stands inside an XML-RPC string.
  public static func document(_ element: Element) -> ByteSegments {
    var sink = Sink(isNested: true, capacity: 8192)
    sink.write(element, depth: 0)
    return sink.finish()
  }

  /// The document as text of its own: for files, or to be put into other values.
  ///
  /// - Parameter isPretty: children on lines of their own, two spaces a level, a newline at the end, as lxml's
  ///   `pretty_print`; an element with text is left as it is.
  public static func xml(_ element: Element, isPretty: Bool = false) -> [UInt8] {
    var sink = Sink(isNested: false, capacity: 4096)
    sink.isPretty = isPretty
    sink.write(element, depth: 0)
    if isPretty { sink.newline() }
    return sink.finish().bytes()
  }

  /// Entries that `document` would fail for forbidden characters, for the log.
  public static func flawedEntries(_ document: Element) -> [Element] {
    document.children.flatMap { $0.children.filter { Sink.isFlawed($0) } }
  }
}

/// The document being written.
private struct Sink: ~Copyable {
  /// `bind error: ` and the words of the error that lxml raises.
  static let failure =
    "bind error: All strings must be XML compatible: Unicode or ASCII, no NULL bytes or control characters"
  private static let xmlNamespace = "http://www.w3.org/XML/1998/namespace"

  var isPretty = false
  private var bytes: [UInt8] = []
  private var segments = ByteSegments()
  private let isNested: Bool
  private let textContext: XMLEscape.Context
  private let attributeContext: XMLEscape.Context
  private let opening: StaticString
  private let endOpening: StaticString
  private let closing: StaticString
  private let emptyClosing: StaticString

  init(isNested: Bool, capacity: Int) {
    self.isNested = isNested
    textContext = isNested ? .nestedText : .text
    attributeContext = isNested ? .nestedAttribute : .attribute
    opening = isNested ? "&lt;" : "<"
    endOpening = isNested ? "&lt;/" : "</"
    closing = isNested ? "&gt;" : ">"
    emptyClosing = isNested ? "/&gt;" : "/>"
    bytes.reserveCapacity(capacity)
  }

  consuming func finish() -> ByteSegments {
    segments.append(bytes)
    return segments
  }

  mutating func write(_ element: Element, depth: Int) {
    if depth == 2, Self.isFlawed(element) {
      write(Self.failed(element), depth: 3)
      return
    }
    append(opening)
    let tag = name(element.tag)
    append(tag.text)
    if let uri = tag.uri { declare("ns0", uri) }
    var prefixes = tag.uri == nil ? 0 : 1
    for (key, value) in element.attributes {
      if key.utf8.first == UInt8(ascii: "{") {
        attribute(namespaced: key, value, tagURI: tag.uri, &prefixes)
      } else {
        append(" ")
        appendName(key)
        append("=\"")
        XMLEscape.append(value, to: &bytes, as: attributeContext, encoding: .ascii)
        append("\"")
      }
    }
    if case .none = element.content, element.children.isEmpty {
      append(emptyClosing)
      return
    }
    append(closing)
    write(element.content)
    var hasText = false
    if case .none = element.content {} else { hasText = true }
    let isIndented = isPretty && !hasText && !element.children.isEmpty
    for child in element.children {
      if isIndented { newline(indent: depth + 1) }
      write(child, depth: isPretty && !isIndented ? Int.min / 2 : depth + 1)
    }
    if isIndented { newline(indent: depth) }
    append(endOpening)
    append(tag.text)
    append(closing)
  }

  mutating func newline(indent: Int = 0) {
    bytes.append(UInt8(ascii: "\n"))
    for _ in 0..<max(indent, 0) { append("  ") }
  }

  private mutating func write(_ content: Element.Content) {
    switch content {
    case .none: break
    case .string(let string):
      XMLEscape.append(string, to: &bytes, as: textContext, encoding: .ascii)
    case .shared(let shared):
      if !isNested {
        XMLEscape.append(shared.utf8, to: &bytes, as: .text, encoding: .ascii)
      } else if shared.wire.count >= WireWriter.sharedSegmentBytes {
        segments.append(bytes)
        bytes.removeAll()
        segments.append(shared.wire)
      } else {
        bytes.append(contentsOf: shared.wire)
      }
    }
  }

  private mutating func append(_ text: StaticString) {
    bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  private mutating func append(_ name: String) { appendName(name) }

  /// A name, which needs no escape.
  private mutating func appendName(_ name: String) {
    var name = name
    name.withUTF8 { bytes.append(contentsOf: $0) }
  }

  // MARK: Namespaces

  /// `{uri}local` as `ns0:local` with the URI to declare; `xml:` names as such.
  private func name(_ name: String) -> (text: String, uri: Substring?) {
    guard let (uri, local) = Self.split(name) else { return (name, nil) }
    return uri == Self.xmlNamespace ? ("xml:\(local)", nil) : ("ns0:\(local)", uri)
  }

  /// At the last brace: a URI may hold one, a name may not.
  private static func split(_ name: String) -> (uri: Substring, local: Substring)? {
    guard name.utf8.first == UInt8(ascii: "{"), let end = name.utf8.lastIndex(of: UInt8(ascii: "}")) else {
      return nil
    }
    return (name[name.utf8.index(after: name.startIndex)..<end], name[name.utf8.index(after: end)...])
  }

  private mutating func declare(_ prefix: String, _ uri: Substring) {
    append(" xmlns:")
    appendName(prefix)
    append("=\"")
    XMLEscape.append(String(uri), to: &bytes, as: attributeContext, encoding: .ascii)
    append("\"")
  }

  private mutating func attribute(namespaced key: String, _ value: String, tagURI: Substring?, _ prefixes: inout Int) {
    guard let (uri, local) = Self.split(key) else { return }
    var prefix = "xml"
    if uri == tagURI {
      prefix = "ns0"
    } else if uri != Self.xmlNamespace {
      prefix = "ns\(prefixes)"
      prefixes += 1
      declare(prefix, uri)
    }
    appendName(" \(prefix):\(local)=\"")
    XMLEscape.append(value, to: &bytes, as: attributeContext, encoding: .ascii)
    append("\"")
  }

  // MARK: What cannot be written

  /// Whether an entry has a character that XML forbids, or a tag that is none.
  static func isFlawed(_ element: Element) -> Bool {
    if element.tag.isEmpty { return true }
    for (_, value) in element.attributes where isForbidden(value) { return true }
    if case .string(let text) = element.content, isForbidden(text) { return true }
    for child in element.children where isFlawed(child) { return true }
    return false
  }

  private static func isForbidden(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
      // Nearly all text has nothing below a space but line ends and tabs, and no byte 0xEF, which begins U+FFFE.
      var suspects = 0
      for byte in bytes { suspects += (byte < 0x20 ? 1 : 0) + (byte == 0xEF ? 1 : 0) }
      if suspects == 0 { return false }
      return XMLCharacters.firstFlaw(in: UnsafeRawBufferPointer(bytes)) != nil
    }
  }

  /// What is left of an entry that cannot be written.
  private static func failed(_ element: Element) -> Element {
    let failed = Element(element.tag.isEmpty ? "Entry" : element.tag, line: element.line)
    for (name, value) in element.attributes where !isForbidden(value) { failed[name] = value }
    failed["failure"] = failure
    return failed
  }
}
