public import XMLRPC

/// Writes elements as XML, as `lxml.etree.tostring` does: ASCII with decimal references, no declaration.
///
/// This is the hot path of an answer. It writes runs of bytes into one reused buffer and escapes them for the XML-RPC
/// string around the document in the same pass; long shared text becomes a segment of its own, uncopied.
///
/// Characters that XML forbids cannot be written. lxml refuses them when a text is set, which fails the entry; here the
/// entry fails when it is written: it keeps its attributes, loses text and children, and its `failure` says why. Above
/// the entries, U+FFFD replaces such a character.
public enum WireWriter {
  /// Shared text of at least this many wire bytes becomes a segment of its own.
  static let sharedSegmentBytes = 512
  /// A buffer larger than this is not reused.
  static let keptBufferBytes = 256 << 10

  /// The buffer of the last answer, for the next.
  private static var spare: StructureDraft?

  /// The document, escaped for an XML-RPC string.
  public static func document(_ element: Element) -> ByteSegments {
    var sink = Sink(isNested: true, acquireDraft())
    sink.write(element, depth: 0)
    let draft = sink.finish()
    var segments = ByteSegments()
    for segment in draft.segments() { segments.append(segment) }
    releaseDraft(draft)
    return segments
  }

  /// A configuration, escaped for an XML-RPC string, each structure as a run of its own.
  ///
  /// - Parameter known: finds an existing run with the same bytes.
  package static func configuration(
    _ root: Element, like known: (borrowing StructureDraft) -> SharedSegments?
  ) -> ByteSegments {
    configuration(root, root.children.map { structure($0, like: known) })
  }

  /// A configuration with the attributes of `root` and structures that are written already.
  package static func configuration(_ root: Element, _ structures: [SharedSegments]) -> ByteSegments {
    guard !structures.isEmpty else { return document(Element(root.tag, root.attributes)) }
    var segments = ByteSegments()
    segments.reserveCapacity(structures.count + 2)
    var sink = Sink(isNested: true, acquireDraft())
    sink.writeStart(root)
    segments.append(sink.draft.buffer.withBytes { Array($0) })
    for structure in structures { segments.append(structure) }
    sink.draft.removeAll()
    sink.writeEnd(root)
    segments.append(sink.draft.buffer.withBytes { Array($0) })
    var draft = sink.finish()
    draft.removeAll()
    releaseDraft(draft)
    return segments
  }

  /// One structure of a configuration, escaped for an XML-RPC string.
  ///
  /// - Parameter known: finds an existing run with the same bytes.
  package static func structure(
    _ structure: Element, like known: (borrowing StructureDraft) -> SharedSegments?
  ) -> SharedSegments {
    var sink = Sink(isNested: true, acquireDraft())
    sink.write(structure, depth: 1)
    let segments = known(sink.draft) ?? sink.draft.shared()
    var draft = sink.finish()
    draft.removeAll()
    releaseDraft(draft)
    return segments
  }

  /// The document unescaped: for files and other values.
  ///
  /// - Parameter isPretty: indents children by two spaces a level on lines of their own and ends with a newline, as
  ///   lxml's `pretty_print`; elements with text stay as they are.
  public static func xml(_ element: Element, isPretty: Bool = false) -> [UInt8] {
    var sink = Sink(isNested: false, acquireDraft())
    sink.isPretty = isPretty
    sink.write(element, depth: 0)
    if isPretty { sink.newline() }
    let draft = sink.finish()
    let bytes = draft.buffer.withBytes { Array($0) }
    releaseDraft(draft)
    return bytes
  }

  /// Entries that `document` fails for forbidden characters.
  public static func flawedEntries(_ document: Element) -> [Element] {
    document.children.flatMap { $0.children.filter { Sink.isFlawed($0) } }
  }

  private static func acquireDraft() -> StructureDraft {
    guard var draft = spare.take() else { return StructureDraft() }
    draft.removeAll()
    return draft
  }

  private static func releaseDraft(_ draft: consuming StructureDraft) {
    if draft.buffer.count <= keptBufferBytes { spare = consume draft }
  }
}

/// Writes one document.
private struct Sink: ~Copyable {
  /// `bind error: ` and the text of lxml's error.
  static let failure =
    "bind error: All strings must be XML compatible: Unicode or ASCII, no NULL bytes or control characters"
  private static let xmlNamespace = "http://www.w3.org/XML/1998/namespace"

  var isPretty = false
  var draft: StructureDraft
  private let isNested: Bool
  private let textContext: XMLEscape.Context
  private let attributeContext: XMLEscape.Context
  private let opening: StaticString
  private let endOpening: StaticString
  private let closing: StaticString
  private let emptyClosing: StaticString

  init(isNested: Bool, _ draft: consuming StructureDraft) {
    self.draft = draft
    self.isNested = isNested
    textContext = isNested ? .nestedText : .text
    attributeContext = isNested ? .nestedAttribute : .attribute
    opening = isNested ? "&lt;" : "<"
    endOpening = isNested ? "&lt;/" : "</"
    closing = isNested ? "&gt;" : ">"
    emptyClosing = isNested ? "/&gt;" : "/>"
  }

  consuming func finish() -> StructureDraft { draft }

  mutating func write(_ element: Element, depth: Int) {
    guard depth == 2 else {
      writeWhole(element, depth: depth)
      return
    }
    // Flaws are rare: write the entry, and roll back if it has one.
    let start = draft.buffer.count
    let cuts = draft.cuts.count
    draft.buffer.sawForbidden = element.tag.isEmpty
    if !element.tag.isEmpty { writeWhole(element, depth: depth) }
    guard draft.buffer.sawForbidden else { return }
    draft.buffer.truncate(to: start)
    draft.cuts.removeLast(draft.cuts.count - cuts)
    writeWhole(Self.failed(element), depth: 3)
  }

  private mutating func writeWhole(_ element: Element, depth: Int) {
    if case .none = element.content, element.children.isEmpty {
      writeTag(element)
      append(emptyClosing)
      return
    }
    writeStart(element)
    write(element.content)
    var hasText = false
    if case .none = element.content {} else { hasText = true }
    let isIndented = isPretty && !hasText && !element.children.isEmpty
    for child in element.children {
      if isIndented { newline(indent: depth + 1) }
      write(child, depth: isPretty && !isIndented ? Int.min / 2 : depth + 1)
    }
    if isIndented { newline(indent: depth) }
    writeEnd(element)
  }

  mutating func writeStart(_ element: Element) {
    writeTag(element)
    append(closing)
  }

  mutating func writeEnd(_ element: Element) {
    append(endOpening)
    append(name(element.tag).text)
    append(closing)
  }

  private mutating func writeTag(_ element: Element) {
    append(opening)
    let tag = name(element.tag)
    append(tag.text)
    if element.tag.isEmpty { draft.buffer.sawForbidden = true }
    if let uri = tag.uri { declare("ns0", uri) }
    var prefixes = tag.uri == nil ? 0 : 1
    for (key, value) in element.attributes {
      if key.utf8.first == UInt8(ascii: "{") {
        attribute(namespaced: key, value, tagURI: tag.uri, &prefixes)
      } else {
        append(" " as StaticString)
        append(key)
        append("=\"" as StaticString)
        XMLEscape.append(value, to: &draft.buffer, as: attributeContext, encoding: .ascii)
        append("\"" as StaticString)
      }
    }
  }

  mutating func newline(indent: Int = 0) {
    append("\n" as StaticString)
    for _ in 0..<max(indent, 0) { append("  " as StaticString) }
  }

  private mutating func write(_ content: Element.Content) {
    switch content {
    case .none: break
    case .string(let string):
      XMLEscape.append(string, to: &draft.buffer, as: textContext, encoding: .ascii)
    case .shared(let shared):
      if !isNested {
        shared.utf8.withUnsafeBytes { XMLEscape.append($0, to: &draft.buffer, as: .text, encoding: .ascii) }
      } else if shared.wire.count >= WireWriter.sharedSegmentBytes {
        draft.cuts.append((draft.buffer.count, shared.wire))
      } else {
        draft.buffer.append(shared.wire)
      }
    }
  }

  private mutating func append(_ text: StaticString) { draft.buffer.append(text) }

  /// Appends a name, which needs no escape.
  private mutating func append(_ name: String) { draft.buffer.append(name) }

  // MARK: Namespaces

  /// `{uri}local` as `ns0:local` with the URI to declare; `xml:` names unchanged.
  private func name(_ name: String) -> (text: String, uri: Substring?) {
    guard let (uri, local) = Self.split(name) else { return (name, nil) }
    return uri == Self.xmlNamespace ? ("xml:\(local)", nil) : ("ns0:\(local)", uri)
  }

  /// Splits at the last brace: a URI may contain one, a name may not.
  private static func split(_ name: String) -> (uri: Substring, local: Substring)? {
    guard name.utf8.first == UInt8(ascii: "{"), let end = name.utf8.lastIndex(of: UInt8(ascii: "}")) else {
      return nil
    }
    return (name[name.utf8.index(after: name.startIndex)..<end], name[name.utf8.index(after: end)...])
  }

  private mutating func declare(_ prefix: String, _ uri: Substring) {
    append(" xmlns:" as StaticString)
    append(prefix)
    append("=\"" as StaticString)
    XMLEscape.append(String(uri), to: &draft.buffer, as: attributeContext, encoding: .ascii)
    append("\"" as StaticString)
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
    append(" \(prefix):\(local)=\"")
    XMLEscape.append(value, to: &draft.buffer, as: attributeContext, encoding: .ascii)
    append("\"" as StaticString)
  }

  // MARK: What cannot be written

  /// Whether an entry has a character that XML forbids, or an invalid tag.
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
      // Nearly all text has no byte below a space except line ends and tabs, and no 0xEF, which begins U+FFFE.
      var suspects = 0
      for byte in bytes { suspects += (byte < 0x20 ? 1 : 0) + (byte == 0xEF ? 1 : 0) }
      if suspects == 0 { return false }
      return XMLCharacters.firstFlaw(in: UnsafeRawBufferPointer(bytes)) != nil
    }
  }

  /// An entry that cannot be written: its attributes and a `failure`.
  private static func failed(_ element: Element) -> Element {
    let failed = Element(element.tag.isEmpty ? "Entry" : element.tag, line: element.line)
    for (name, value) in element.attributes where !isForbidden(value) { failed[name] = value }
    failed["failure"] = failure
    return failed
  }
}
