import CLibXML2
import Glibc

/// Reads XML that arrives in pieces, without a tree: libxml2's SAX interface in push mode.
///
/// A subclass overrides what it wants to see. No DTD is loaded, no entity is defined or expanded but the five of XML,
/// nothing is fetched. The text is UTF-8, whatever it says of itself, as all metadata are. Names are given without their prefix; metadata use different prefixes for one namespace.
class XMLPushParser {
  let file: String
  private var context: xmlParserCtxtPtr?
  private var failure: FormatError?
  private(set) var depth = 0
  /// The first bytes, until there are enough to know the encoding; nil afterwards.
  private var firstBytes: [UInt8]? = []
  private var isRootEnded = false

  /// Most nested elements: primary.xml has 5.
  private static let depthLimit = 32

  init(file: String) throws(FormatError) {
    self.file = file
    var handler = xmlSAXHandler()
    handler.initialized = UInt32(XML_SAX2_MAGIC)
    handler.startElementNs = startElement
    handler.endElementNs = endElement
    handler.characters = characters
    handler.cdataBlock = characters
    handler.entityDecl = { data, _, _, _, _, _ in receiver(data).refuseEntity() }
    handler.reference = { data, _ in receiver(data).refuseEntity() }
    // libxml2 copies the handler.
    context = xmlCreatePushParserCtxt(&handler, Unmanaged.passUnretained(self).toOpaque(), nil, 0, nil)
    guard let context else { throw FormatError(file: file, "no memory for an XML parser") }
    let options = [
      XML_PARSE_NONET, XML_PARSE_NOENT, XML_PARSE_IGNORE_ENC, XML_PARSE_NOERROR, XML_PARSE_NOWARNING,
      XML_PARSE_BIG_LINES,
    ]
    xmlCtxtUseOptions(context, CInt(options.reduce(0) { $0 | $1.rawValue }))
  }

  deinit {
    guard let context else { return }
    // Exists only if a document type came.
    if let document = context.pointee.myDoc { xmlFreeDoc(document) }
    xmlFreeParserCtxt(context)
  }

  // MARK: For subclasses

  /// An element begins; `depth` counts it, 1 for the root.
  func start(_ name: XMLName, _ attributes: XMLAttributes) throws(FormatError) {}

  /// Text of the element that is open, in pieces.
  func text(_ text: ByteText) throws(FormatError) {}

  /// An element ends; `depth` still counts it.
  func end(_ name: XMLName) throws(FormatError) {}

  /// The line of the text that is being read.
  final var line: Int { context?.pointee.input.map { Int($0.pointee.line) } ?? 0 }

  final func error(_ message: String) -> FormatError { FormatError(file: file, line: line, message) }

  // MARK: Input

  final func write(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
    guard let begun = firstBytes else { return try feed(bytes, isLast: false) }
    let start = begun + bytes
    firstBytes = start
    if start.count >= 4 { try begin(start) }
  }

  /// Ends the document, which must be complete.
  final func finish() throws(FormatError) {
    if let firstBytes { try begin(firstBytes) }
    try feed(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true)
    guard isRootEnded else { throw FormatError(file: file, "is no complete XML document") }
  }

  private final func begin(_ start: [UInt8]) throws(FormatError) {
    firstBytes = nil
    guard !start.isEmpty else { throw FormatError(file: file, "is empty, which is no XML") }
    // libxml2 would take these for UTF-16, UCS-4 or EBCDIC, and write its errors to stderr: XML 1.0, appendix F.
    let others: [[UInt8]] = [[0xFE, 0xFF], [0xFF, 0xFE], [0x4C, 0x6F, 0xA7, 0x94]]
    guard !start.prefix(4).contains(0), !others.contains(where: { start.starts(with: $0) }) else {
      throw FormatError(file: file, "is no XML in UTF-8")
    }
    try withBytes(of: start) { start throws(FormatError) in
      try feed(UnsafeRawBufferPointer(start), isLast: false)
    }
  }

  private final func feed(_ bytes: UnsafeRawBufferPointer, isLast: Bool) throws(FormatError) {
    guard isLast || !bytes.isEmpty else { return }
    let text = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
    let result = xmlParseChunk(context, text, CInt(clamping: bytes.count), isLast ? 1 : 0)
    if let failure { throw failure }
    // Namespace errors, as undeclared prefixes, do not make it return an error.
    guard result == 0 || context?.pointee.wellFormed == 1 else { throw syntaxError }
  }

  private final var syntaxError: FormatError {
    guard let error = context?.pointee.lastError else { return FormatError(file: file, "is no XML") }
    let message = error.message.map { Array(UnsafeBufferPointer(start: $0, count: strlen($0))).map(UInt8.init) } ?? []
    let text = ByteText.withTrimmed(message) { shown($0) }
    return FormatError(file: file, line: Int(error.line), "is no well-formed XML: \(text)")
  }

  // MARK: Calls of libxml2

  fileprivate final func attempt(_ body: () throws(FormatError) -> Void) {
    guard failure == nil else { return }
    do throws(FormatError) {
      try body()
    } catch {
      failure = error
      xmlStopParser(context)
    }
  }

  fileprivate final func started(_ name: XMLName, _ attributes: XMLAttributes) {
    depth += 1
    attempt { () throws(FormatError) in
      guard depth <= Self.depthLimit else { throw error("more than \(Self.depthLimit) nested elements, the limit") }
      try start(name, attributes)
    }
  }

  fileprivate final func ended(_ name: XMLName) {
    attempt { () throws(FormatError) in try end(name) }
    depth -= 1
    if depth == 0 { isRootEnded = true }
  }

  fileprivate final func read(_ text: ByteText) {
    attempt { () throws(FormatError) in try self.text(text) }
  }

  fileprivate final func refuseEntity() {
    attempt { () throws(FormatError) in throw error("entities are not read in package metadata") }
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// Calls `body` with an array's bytes without the blanks around them.
  fileprivate static func withTrimmed<Value>(_ array: [UInt8], _ body: (ByteText) -> Value) -> Value {
    array.withUnsafeBufferPointer { body($0.trimmed) }
  }
}

/// The local name of an element or attribute, in place.
struct XMLName {
  fileprivate let pointer: UnsafePointer<xmlChar>

  static func == (name: XMLName, literal: StaticString) -> Bool {
    // A static string ends with a zero too.
    strcmp(
      UnsafeRawPointer(name.pointer).assumingMemoryBound(to: CChar.self),
      UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)) == 0
  }

  static func ~= (literal: StaticString, name: XMLName) -> Bool { name == literal }
}

/// The attributes of an element, in place: libxml2's array of name, prefix, namespace, start and end of the value.
struct XMLAttributes {
  fileprivate let pointer: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
  fileprivate let count: Int

  /// The value of an attribute without a prefix; nil if there is none.
  subscript(_ name: StaticString) -> ByteText? { value(name, hasPrefix: false) }

  /// The value of an attribute with some prefix, as `xml:base`.
  subscript(prefixed name: StaticString) -> ByteText? { value(name, hasPrefix: true) }

  private func value(_ name: StaticString, hasPrefix: Bool) -> ByteText? {
    guard let pointer else { return nil }
    for index in 0..<count {
      let attribute = pointer + index * 5
      guard let local = attribute[0], (attribute[1] != nil) == hasPrefix, XMLName(pointer: local) == name,
        let start = attribute[3], let end = attribute[4]
      else { continue }
      return ByteText(start: start, count: end - start)
    }
    return nil
  }
}

private func receiver(_ data: UnsafeMutableRawPointer?) -> XMLPushParser {
  Unmanaged<XMLPushParser>.fromOpaque(data!).takeUnretainedValue()
}

private let startElement: startElementNsSAX2Func = { data, name, _, _, _, _, count, _, attributes in
  guard let name else { return }
  receiver(data).started(XMLName(pointer: name), XMLAttributes(pointer: attributes, count: Int(count)))
}

private let endElement: endElementNsSAX2Func = { data, name, _, _ in
  guard let name else { return }
  receiver(data).ended(XMLName(pointer: name))
}

private let characters: charactersSAXFunc = { data, text, count in
  guard let text, count > 0 else { return }
  receiver(data).read(ByteText(start: text, count: Int(count)))
}
