/// Writes bytes as XML by runs: what needs no escape is found by a table and copied at once.
///
/// The escapes are those of libxml2 and lxml (`&amp;`, `&lt;`, `&gt;`, `&quot;`, decimal references), so that bytes
/// written here equal bytes written by the Python server. A configuration travels as an XML document inside an
/// XML-RPC string; the nested contexts escape for both in one pass.
///
/// Input is UTF-8. Characters that XML 1.0 forbids become U+FFFD: there is no way to write them, and left as they are
/// (as Python's xmlrpclib does) they make the whole answer unreadable to the client. Contents that may hold such bytes
/// are sent as base64 by the plugins that know them. Malformed UTF-8 passes through unchanged in UTF-8 output and becomes U+FFFD
/// in ASCII output; `XMLCharacters.firstFlaw` finds it beforehand.
public enum XMLEscape {
  /// Where the bytes are to stand.
  public enum Context: Sendable {
    /// Content of an element, also of an XML-RPC `<string>`: `&`, `<`, `>`, carriage return. Escaping a serialised
    /// XML document with it makes that document the content of a `<string>`.
    case text
    /// Attribute value in double quotes: also `"`, tab, line feed.
    case attribute
    /// Content of an element of a document inside an XML-RPC string.
    case nestedText
    /// Attribute value in a document inside an XML-RPC string.
    case nestedAttribute
  }

  /// Encoding of the document that is written.
  public enum Encoding: Sendable {
    case utf8
    /// Decimal references for all that is not ASCII: lxml's `tostring` without an encoding.
    case ascii
  }

  /// Appends the UTF-8 `bytes`, escaped, to `output`.
  public static func append(
    _ bytes: UnsafeRawBufferPointer, to output: inout [UInt8], as context: Context, encoding: Encoding = .utf8
  ) {
    var buffer = WireBuffer(capacity: bytes.count + 64)
    append(bytes, to: &buffer, as: context, encoding: encoding)
    buffer.withBytes { output.append(contentsOf: $0) }
  }

  /// As above into a buffer that is used again.
  public static func append(
    _ bytes: UnsafeRawBufferPointer, to output: inout WireBuffer, as context: Context, encoding: Encoding = .utf8
  ) {
    guard let source = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    let table = EscapeTable.table(context, encoding)
    let actions = table.actions
    let count = bytes.count
    var index = 0
    while index < count {
      let start = index
      // Eight at a time: nearly all bytes are copied.
      while count - index >= 8, isCopied(source + index, actions) { index += 8 }
      while index < count, actions[Int(source[index])] == EscapeTable.copy { index += 1 }
      output.append(UnsafeBufferPointer(start: source + start, count: index - start))
      guard index < count else { return }
      index += table.appendEscaped(bytes, at: index, action: actions[Int(source[index])], to: &output)
    }
  }

  /// Whether eight bytes need no escape: `EscapeTable.copy` is 0.
  @inline(__always)
  private static func isCopied(_ bytes: UnsafePointer<UInt8>, _ actions: UnsafePointer<UInt8>) -> Bool {
    let first = actions[Int(bytes[0])] | actions[Int(bytes[1])] | actions[Int(bytes[2])] | actions[Int(bytes[3])]
    let second = actions[Int(bytes[4])] | actions[Int(bytes[5])] | actions[Int(bytes[6])] | actions[Int(bytes[7])]
    return first | second == 0
  }

  /// As above for text.
  public static func append(
    _ text: String, to output: inout WireBuffer, as context: Context, encoding: Encoding = .utf8
  ) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0), to: &output, as: context, encoding: encoding) }
  }

  /// As above for an array.
  public static func append(
    _ bytes: [UInt8], to output: inout [UInt8], as context: Context, encoding: Encoding = .utf8
  ) {
    bytes.withUnsafeBytes { append($0, to: &output, as: context, encoding: encoding) }
  }

  /// As above for text.
  public static func append(
    _ text: String, to output: inout [UInt8], as context: Context, encoding: Encoding = .utf8
  ) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0), to: &output, as: context, encoding: encoding) }
  }

  /// The escaped bytes alone.
  public static func escaped(_ bytes: [UInt8], as context: Context, encoding: Encoding = .utf8) -> [UInt8] {
    var buffer = WireBuffer(capacity: bytes.count + 64)
    bytes.withUnsafeBytes { append($0, to: &buffer, as: context, encoding: encoding) }
    // No larger than needed: these are held for long.
    return buffer.withBytes { [UInt8]($0) }
  }

  /// The text of which `escaped` made these bytes, as `.nestedText` in ASCII.
  ///
  /// - Precondition: the text was UTF-8 of characters that XML allows.
  public static func nestedText(_ escaped: [UInt8]) -> [UInt8] {
    let ampersand = UInt8(ascii: "&")
    var text: [UInt8] = []
    text.reserveCapacity(escaped.count)
    var rest = escaped[...]
    while let next = rest.firstIndex(of: ampersand) {
      text.append(contentsOf: rest[..<next])
      // Behind the outer `&amp;` stands the inner reference.
      let reference = rest[(next + 5)...].prefix { $0 != UInt8(ascii: ";") }
      if reference.elementsEqual("lt".utf8) {
        text.append(UInt8(ascii: "<"))
      } else if reference.elementsEqual("gt".utf8) {
        text.append(UInt8(ascii: ">"))
      } else if reference.elementsEqual("amp".utf8) {
        text.append(ampersand)
      } else {
        let scalar = reference.dropFirst().reduce(0 as UInt32) { $0 * 10 + UInt32($1 - UInt8(ascii: "0")) }
        XMLCharacters.append(scalar, to: &text)
      }
      rest = rest[(reference.endIndex + 1)...]
    }
    text.append(contentsOf: rest)
    return text
  }

  /// The escaped bytes of text.
  public static func escaped(_ text: String, as context: Context, encoding: Encoding = .utf8) -> [UInt8] {
    var output: [UInt8] = []
    append(text, to: &output, as: context, encoding: encoding)
    return output
  }
}

/// What to do with each byte in one context and encoding. Made once for each, never freed.
///
/// Unchecked: nothing changes after `init`.
private final class EscapeTable: @unchecked Sendable {
  /// Actions: copy the byte; write a replacement (its index plus one); look at the character that begins here.
  static let copy: UInt8 = 0
  static let character: UInt8 = 0xFF

  /// One for each byte.
  let actions: UnsafePointer<UInt8>
  private let replacements: [StaticString]
  private let isASCII: Bool
  private let isNested: Bool

  init(_ context: XMLEscape.Context, _ encoding: XMLEscape.Encoding) {
    isASCII = encoding == .ascii
    let isAttribute: Bool
    switch context {
    case .text: (isAttribute, isNested) = (false, false)
    case .attribute: (isAttribute, isNested) = (true, false)
    case .nestedText: (isAttribute, isNested) = (false, true)
    case .nestedAttribute: (isAttribute, isNested) = (true, true)
    }
    var escapes: [(byte: UInt8, once: StaticString, twice: StaticString)] = [
      (UInt8(ascii: "&"), "&amp;", "&amp;amp;"),
      (UInt8(ascii: "<"), "&lt;", "&amp;lt;"),
      (UInt8(ascii: ">"), "&gt;", "&amp;gt;"),
      (ASCII.carriageReturn, "&#13;", "&amp;#13;"),
    ]
    if isAttribute {
      escapes += [
        (UInt8(ascii: "\""), "&quot;", "&amp;quot;"),
        (ASCII.tab, "&#9;", "&amp;#9;"),
        (ASCII.lineFeed, "&#10;", "&amp;#10;"),
      ]
    }
    var actions = [UInt8](repeating: Self.copy, count: 256)
    for control in 0..<0x20 where !ASCII.isWhitespace(UInt8(control)) { actions[control] = Self.character }
    if isASCII {
      for byte in 0x80..<0x100 { actions[byte] = Self.character }
    } else {
      // U+FFFE and U+FFFF begin with this byte; other forbidden characters are ASCII or not UTF-8.
      actions[0xEF] = Self.character
    }
    for (index, escape) in escapes.enumerated() { actions[Int(escape.byte)] = UInt8(index + 1) }
    let table = UnsafeMutablePointer<UInt8>.allocate(capacity: actions.count)
    table.update(from: actions, count: actions.count)
    self.actions = UnsafePointer(table)
    replacements = escapes.map { [isNested] in isNested ? $0.twice : $0.once }
  }

  /// Writes the replacement of the character at `index`; returns how many bytes of input it covers.
  func appendEscaped(
    _ bytes: UnsafeRawBufferPointer, at index: Int, action: UInt8, to output: inout WireBuffer
  ) -> Int {
    if action != Self.character {
      output.append(replacements[Int(action) - 1])
      return 1
    }
    guard let (scalar, length) = XMLCharacters.decodeScalar(bytes, at: index) else {
      output.sawForbidden = true
      if isASCII {
        appendReference(0xFFFD, to: &output)
      } else {
        output.append([bytes[index]])
      }
      return 1
    }
    var allowed = scalar
    if !XMLCharacters.isAllowed(scalar) {
      output.sawForbidden = true
      allowed = 0xFFFD
    }
    if isASCII {
      appendReference(allowed, to: &output)
    } else {
      var character: [UInt8] = []
      XMLCharacters.append(allowed, to: &character)
      output.append(character)
    }
    return length
  }

  private func appendReference(_ scalar: UInt32, to output: inout WireBuffer) {
    output.append(isNested ? "&amp;#" as StaticString : "&#")
    output.append(String(scalar))
    output.append(";" as StaticString)
  }

  static func table(_ context: XMLEscape.Context, _ encoding: XMLEscape.Encoding) -> EscapeTable {
    switch (context, encoding) {
    case (.text, .utf8): text
    case (.text, .ascii): textASCII
    case (.attribute, .utf8): attribute
    case (.attribute, .ascii): attributeASCII
    case (.nestedText, .utf8): nestedText
    case (.nestedText, .ascii): nestedTextASCII
    case (.nestedAttribute, .utf8): nestedAttribute
    case (.nestedAttribute, .ascii): nestedAttributeASCII
    }
  }

  private static let text = EscapeTable(.text, .utf8)
  private static let textASCII = EscapeTable(.text, .ascii)
  private static let attribute = EscapeTable(.attribute, .utf8)
  private static let attributeASCII = EscapeTable(.attribute, .ascii)
  private static let nestedText = EscapeTable(.nestedText, .utf8)
  private static let nestedTextASCII = EscapeTable(.nestedText, .ascii)
  private static let nestedAttribute = EscapeTable(.nestedAttribute, .utf8)
  private static let nestedAttributeASCII = EscapeTable(.nestedAttribute, .ascii)
}
