/// Why bytes are not a document that `XMLReader` reads.
public struct XMLError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The rule that is broken, or the name of the limit: a bound in `HTTPLimits` or an option.
  public let reason: String
  /// The number of that limit; nil where a rule is broken.
  public let limit: Int?
  /// Where, in bytes from the start of the document as it was given.
  public let offset: Int
  /// Line of that byte, from 1.
  public let line: Int

  /// The limit that the document goes over, where that is the reason.
  public var exceeded: LimitExceeded? { limit.map { LimitExceeded(reason, $0) } }

  public var description: String {
    "\(exceeded?.description ?? reason) at byte \(offset), line \(line)"
  }
}

/// Reads XML token by token from a complete document in memory.
///
/// A small, strict subset: no document type and so no entities but the five, no external reference, bounded depth, text
/// and attributes. UTF-8 and the characters of XML 1.0 are checked before the first token; the declared encoding may be
/// UTF-8, US-ASCII or ISO-8859-1. Line ends are normalised (XML 1.0 section 2.11). Comments and processing instructions
/// are skipped. Names are checked by bytes: every non-ASCII character counts as a letter.
public struct XMLReader: Sendable {
  public struct Attribute: Sendable, Equatable {
    public let name: String
    public let value: String
  }

  /// An empty element gives a start and an end.
  public enum Token: Sendable, Equatable {
    case start(name: String, attributes: [Attribute])
    case end(name: String)
    /// Text of an element up to the next tag, comment or CDATA section, references resolved, as UTF-8.
    case text([UInt8])
  }

  private let limits: HTTPLimits
  private let budget: RequestBudget
  private let bytes: [UInt8]
  /// The next byte to read.
  private var position: Int
  private var open: [String] = []
  private var hasRoot = false
  private var endsAtOnce = false
  /// How many comments and processing instructions were skipped so far.
  public private(set) var skippedCount = 0

  /// Checks encoding and characters of the whole document.
  ///
  /// - Parameter budget: is charged with each element, attribute, comment and section as it is read. What they hold is for
  ///   the caller to charge, who knows what is kept. nil: one of the document's own.
  public init(
    _ document: [UInt8], limits: HTTPLimits = HTTPLimits(), budget: RequestBudget? = nil
  ) throws(XMLError) {
    self.limits = limits
    self.budget = budget ?? RequestBudget(limits: limits, bodyBytes: document.count)
    (bytes, position) = try XMLEncoding.decode(document)
  }

  /// Bytes read so far. For ISO-8859-1 they are counted after conversion to UTF-8.
  public var offset: Int { position }

  /// The next token, nil at the end of a complete document.
  public mutating func next() throws(XMLError) -> Token? {
    if endsAtOnce {
      endsAtOnce = false
      return .end(name: open.removeLast())
    }
    while position < bytes.count {
      if bytes[position] != UInt8(ascii: "<") {
        if let text = try readText() { return text }
        continue
      }
      switch position + 1 < bytes.count ? bytes[position + 1] : 0 {
      case UInt8(ascii: "/"):
        return try readEndTag()
      case UInt8(ascii: "?"):
        try skipInstruction()
      case UInt8(ascii: "!"):
        if let text = try readDeclaration() { return text }
      default:
        return try readStartTag()
      }
    }
    guard open.isEmpty else { throw error("document ends inside an element") }
    guard hasRoot else { throw error("no element") }
    return nil
  }

  /// An error where the reader stands, for what only the caller can judge.
  public func error(_ reason: String) -> XMLError {
    error(reason, at: position)
  }

  /// The same for a limit that the document goes over.
  public func error(_ exceeded: LimitExceeded) -> XMLError {
    XMLError(exceeded.name, limit: exceeded.limit, in: bytes, at: position)
  }

  private func error(_ reason: String, at offset: Int) -> XMLError {
    XMLError(reason, in: bytes, at: offset)
  }

  /// An error for a bound of `HTTPLimits`, which is named as its property.
  private func error(_ limit: Int, _ name: String, at offset: Int? = nil) -> XMLError {
    XMLError(name, limit: limit, in: bytes, at: offset ?? position)
  }

  /// Charges one element, attribute, comment or section: each costs time.
  private func chargeOne() throws(XMLError) {
    do throws(LimitExceeded) {
      try budget.chargeElement(bytes: 0)
    } catch {
      throw self.error(error)
    }
  }

  private func isAt(_ text: StaticString) -> Bool {
    guard bytes.count - position >= text.utf8CodeUnitCount else { return false }
    for index in 0..<text.utf8CodeUnitCount where bytes[position + index] != text.utf8Start[index] { return false }
    return true
  }

  /// Moves behind the next occurrence of `text`; gives where it begins.
  private mutating func skip(to text: StaticString, orFail reason: String) throws(XMLError) -> Int {
    let start = position
    while position < bytes.count {
      if isAt(text) {
        let end = position
        position += text.utf8CodeUnitCount
        return end
      }
      position += 1
    }
    throw error(reason, at: start)
  }

  private mutating func skipWhitespace() -> Bool {
    let start = position
    while position < bytes.count, ASCII.isWhitespace(bytes[position]) { position += 1 }
    return position > start
  }

  private mutating func readName() throws(XMLError) -> String {
    let start = position
    guard position < bytes.count, XMLCharacters.isNameStart(bytes[position]) else { throw error("malformed name") }
    while position < bytes.count, XMLCharacters.isNameByte(bytes[position]) { position += 1 }
    guard position - start <= limits.xmlNameBytes else { throw error(limits.xmlNameBytes, "xmlNameBytes", at: start) }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func readStartTag() throws(XMLError) -> Token {
    if open.isEmpty, hasRoot { throw error("second root element") }
    let start = position
    position += 1
    let name = try readName()
    try chargeOne()
    var attributes: [Attribute] = []
    var names = DistinctNames()
    while true {
      let isSeparated = skipWhitespace()
      if isAt(">") {
        position += 1
        break
      }
      if isAt("/>") {
        position += 2
        endsAtOnce = true
        break
      }
      guard isSeparated else { throw error("malformed start tag") }
      let attribute = try readAttribute()
      try chargeOne()
      guard names.insert(attribute.name, among: attributes) else { throw error("attribute given twice") }
      guard attributes.count < limits.xmlAttributeCount else {
        throw error(limits.xmlAttributeCount, "xmlAttributeCount")
      }
      attributes.append(attribute)
    }
    guard open.count < limits.xmlDepth else { throw error(limits.xmlDepth, "xmlDepth", at: start) }
    open.append(name)
    hasRoot = true
    return .start(name: name, attributes: attributes)
  }

  private mutating func readAttribute() throws(XMLError) -> Attribute {
    let name = try readName()
    _ = skipWhitespace()
    guard isAt("=") else { throw error("attribute without value") }
    position += 1
    _ = skipWhitespace()
    guard isAt("\"") || isAt("'") else { throw error("attribute value without quotes") }
    let quote = bytes[position]
    position += 1
    var value: [UInt8] = []
    while position < bytes.count, bytes[position] != quote {
      guard value.count < limits.xmlAttributeBytes else { throw error(limits.xmlAttributeBytes, "xmlAttributeBytes") }
      switch bytes[position] {
      case UInt8(ascii: "<"):
        throw error("< in an attribute value")
      case UInt8(ascii: "&"):
        try readReference(into: &value)
      case ASCII.carriageReturn:
        position += isAt("\r\n") ? 2 : 1
        value.append(ASCII.space)
      case ASCII.tab, ASCII.lineFeed:
        position += 1
        value.append(ASCII.space)
      default:
        value.append(bytes[position])
        position += 1
      }
    }
    guard position < bytes.count else { throw error("document ends inside an attribute value") }
    guard value.count <= limits.xmlAttributeBytes else { throw error(limits.xmlAttributeBytes, "xmlAttributeBytes") }
    position += 1
    return Attribute(name: name, value: String(decoding: value, as: UTF8.self))
  }

  private mutating func readEndTag() throws(XMLError) -> Token {
    let start = position
    position += 2
    let name = try readName()
    _ = skipWhitespace()
    guard isAt(">") else { throw error("malformed end tag") }
    position += 1
    guard open.last == name else { throw error("end tag does not match its start tag", at: start) }
    open.removeLast()
    return .end(name: name)
  }

  /// Comment, CDATA section or, refused, document type.
  private mutating func readDeclaration() throws(XMLError) -> Token? {
    if isAt("<!--") {
      position += 4
      let end = try skip(to: "--", orFail: "document ends inside a comment")
      guard isAt(">") else { throw error("-- inside a comment", at: end) }
      position += 1
      skippedCount += 1
      try chargeOne()
      return nil
    }
    if isAt("<![CDATA["), !open.isEmpty {
      try chargeOne()
      position += 9
      let start = position
      let end = try skip(to: "]]>", orFail: "document ends inside a CDATA section")
      guard end - start <= limits.xmlTextBytes else { throw error(limits.xmlTextBytes, "xmlTextBytes", at: start) }
      return .text(Self.normalised(bytes[start..<end]))
    }
    throw error(isAt("<!DOCTYPE") ? "document type is not allowed" : "malformed declaration")
  }

  private mutating func skipInstruction() throws(XMLError) {
    let start = position
    position += 2
    let target = try readName()
    guard !ASCII.equalIgnoringCase(target, "xml") else { throw error("misplaced XML declaration", at: start) }
    guard isAt("?>") || (position < bytes.count && ASCII.isWhitespace(bytes[position])) else {
      throw error("malformed processing instruction")
    }
    _ = try skip(to: "?>", orFail: "document ends inside a processing instruction")
    skippedCount += 1
    try chargeOne()
  }

  /// Text up to the next markup; nil for white space outside of the root element.
  private mutating func readText() throws(XMLError) -> Token? {
    guard !open.isEmpty else {
      guard skipWhitespace() else { throw error("text outside of the root element") }
      return nil
    }
    let start = position
    var text: [UInt8] = []
    scan: while position < bytes.count {
      let end = endOfRun()
      if end > position { text.append(contentsOf: bytes[position..<end]) }
      position = end
      // Resolved text is never longer than its source, so the source may be stopped as soon as the text is too long.
      guard text.count <= limits.xmlTextBytes else { throw error(limits.xmlTextBytes, "xmlTextBytes", at: start) }
      guard position < bytes.count else { break }
      switch bytes[position] {
      case UInt8(ascii: "<"):
        break scan
      case UInt8(ascii: "&"):
        try readReference(into: &text)
      case ASCII.carriageReturn:
        position += isAt("\r\n") ? 2 : 1
        text.append(ASCII.lineFeed)
      default:
        if isAt("]]>") { throw error("]]> in text") }
        text.append(bytes[position])
        position += 1
      }
    }
    guard text.count <= limits.xmlTextBytes else { throw error(limits.xmlTextBytes, "xmlTextBytes", at: start) }
    return .text(text)
  }

  /// End of the bytes from `position` on that stand for themselves.
  private func endOfRun() -> Int {
    bytes.withUnsafeBufferPointer { bytes in
      var index = position
      while index < bytes.count {
        switch bytes[index] {
        case UInt8(ascii: "<"), UInt8(ascii: "&"), UInt8(ascii: "]"), ASCII.carriageReturn: return index
        default: index += 1
        }
      }
      return index
    }
  }

  private static func normalised(_ source: ArraySlice<UInt8>) -> [UInt8] {
    guard source.contains(ASCII.carriageReturn) else { return Array(source) }
    var text: [UInt8] = []
    text.reserveCapacity(source.count)
    var previous: UInt8 = 0
    for byte in source {
      if byte == ASCII.carriageReturn {
        text.append(ASCII.lineFeed)
      } else if byte != ASCII.lineFeed || previous != ASCII.carriageReturn {
        text.append(byte)
      }
      previous = byte
    }
    return text
  }

  /// One of the five entities, or a reference to a character that XML allows.
  private mutating func readReference(into text: inout [UInt8]) throws(XMLError) {
    let entities: [(StaticString, StaticString)] = [
      ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"),
    ]
    for (reference, character) in entities where isAt(reference) {
      text.append(character.utf8Start[0])
      position += reference.utf8CodeUnitCount
      return
    }
    let start = position
    guard isAt("&#") else { throw error("unknown entity") }
    position += 2
    var base = 10
    if isAt("x") {
      base = 16
      position += 1
    }
    var scalar: UInt32 = 0
    let firstDigit = position
    while position < bytes.count, let digit = ASCII.hexadecimalValue(bytes[position]), digit < base {
      scalar = scalar * UInt32(base) + UInt32(digit)
      guard scalar <= 0x10FFFF else { throw error("reference to no character", at: start) }
      position += 1
    }
    guard position > firstDigit, isAt(";") else { throw error("malformed character reference", at: start) }
    guard XMLCharacters.isAllowed(scalar) else { throw error("reference to a forbidden character", at: start) }
    position += 1
    XMLCharacters.append(scalar, to: &text)
  }
}

/// The names of one start tag's attributes, so that one given twice is found without comparing each with each.
private struct DistinctNames {
  /// Up to so many are compared one by one.
  private static let fewCount = 8
  private var names: Set<Name> = []

  /// Whether a name is new among the attributes that were inserted before it.
  mutating func insert(_ name: String, among attributes: [XMLReader.Attribute]) -> Bool {
    let name = Name(name)
    guard attributes.count >= Self.fewCount else { return !attributes.contains { Name($0.name) == name } }
    if names.isEmpty { names.formUnion(attributes.lazy.map { Name($0.name) }) }
    return names.insert(name).inserted
  }
}
