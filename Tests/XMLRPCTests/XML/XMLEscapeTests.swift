import Testing
import XMLRPC

@Test func escapesAreThoseOfLxml() {
  // Text and attribute from lxml: tostring(element) and tostring(element, encoding="UTF-8").
  let text = "\u{E9}\u{1F600}\"'<>&\t\n\r]]>\u{7F}\u{85}"
  let table: [(XMLEscape.Context, XMLEscape.Encoding, String)] = [
    (.text, .utf8, "\u{E9}\u{1F600}\"'&lt;&gt;&amp;\t\n&#13;]]&gt;\u{7F}\u{85}"),
    (.text, .ascii, "&#233;&#128512;\"'&lt;&gt;&amp;\t\n&#13;]]&gt;\u{7F}&#133;"),
    (.attribute, .utf8, "\u{E9}\u{1F600}&quot;'&lt;&gt;&amp;&#9;&#10;&#13;]]&gt;\u{7F}\u{85}"),
    (.attribute, .ascii, "&#233;&#128512;&quot;'&lt;&gt;&amp;&#9;&#10;&#13;]]&gt;\u{7F}&#133;"),
  ]
  for (context, encoding, expected) in table {
    let escaped = XMLEscape.escaped(text, as: context, encoding: encoding)
    #expect(String(decoding: escaped, as: UTF8.self) == expected, "\(context) \(encoding)")
    #expect(XMLEscape.escaped(Array(text.utf8), as: context, encoding: encoding) == escaped)
  }
}

@Test func nestedEscapeIsTheEscapeOfTheEscape() {
  let samples = [
    "", "plain", "<a b=\"c\">&amp;\r\n\t</a>", "\u{E9}<\u{20AC}>\u{1F600}", "\u{1}\u{FFFE}\u{FFFD}\u{FEFF}x", "&&&<<<",
    String(repeating: "0123456789<", count: 1000),
  ]
  for sample in samples {
    for encoding in [XMLEscape.Encoding.utf8, .ascii] {
      for (once, twice) in [(XMLEscape.Context.text, XMLEscape.Context.nestedText), (.attribute, .nestedAttribute)] {
        let inner = XMLEscape.escaped(sample, as: once, encoding: encoding)
        let expected = XMLEscape.escaped(inner, as: .text, encoding: encoding)
        #expect(XMLEscape.escaped(sample, as: twice, encoding: encoding) == expected, "\(sample.prefix(20)) \(once)")
      }
    }
  }
}

@Test func everyByteIsLookedAtWhereverItStands() {
  for byte in UInt8.min...UInt8.max {
    for place in 0..<17 {
      var bytes = [UInt8](repeating: place % 2 == 0 ? UInt8(ascii: "x") : 0x0A, count: 17)
      bytes[place] = byte
      let flaw: XMLCharacters.Flaw? =
        byte >= 0x80
        ? .malformed(offset: place)
        : byte < 0x20 && ![0x09, 0x0A, 0x0D].contains(byte) ? .forbidden(offset: place) : nil
      #expect(XMLCharacters.firstFlaw(in: bytes) == flaw, "\(byte) at \(place)")
      guard byte < 0x80, flaw == nil else { continue }
      let one = XMLEscape.escaped([byte], as: .nestedAttribute, encoding: .ascii)
      let around = XMLEscape.escaped([UInt8](repeating: UInt8(ascii: "x"), count: 16), as: .text)
      var text = around
      text.insert(byte, at: place)
      var expected = around
      expected.insert(contentsOf: one, at: place)
      #expect(XMLEscape.escaped(text, as: .nestedAttribute, encoding: .ascii) == expected, "\(byte) at \(place)")
    }
  }
}

@Test func nestedTextIsFoundAgain() {
  var random = SystemRandomNumberGenerator()
  for _ in 0..<500 {
    let scalars = (0..<Int.random(in: 0...20, using: &random)).map { _ in
      Bool.random(using: &random)
        ? "&<>;#lt\r\u{E9}\u{85}\u{1F600}".unicodeScalars.randomElement(using: &random)!
        : Unicode.Scalar(UInt8.random(in: 0x20...0x7E, using: &random))
    }
    let text = Array(String(String.UnicodeScalarView(scalars)).utf8)
    let escaped = XMLEscape.escaped(text, as: .nestedText, encoding: .ascii)
    #expect(XMLEscape.nestedText(escaped) == text, "\(text)")
  }
}

@Test func forbiddenCharactersBecomeReplacementCharacters() {
  let table: [([UInt8], utf8: String, ascii: String)] = [
    ([0x41, 0x00, 0x42], "A\u{FFFD}B", "A&#65533;B"),
    ([0x1B, 0x0C], "\u{FFFD}\u{FFFD}", "&#65533;&#65533;"),
    ([0xEF, 0xBF, 0xBE], "\u{FFFD}", "&#65533;"),
    ([0xEF, 0xBF, 0xBD], "\u{FFFD}", "&#65533;"),
    ([0xEF, 0xBC, 0xA1], "\u{FF21}", "&#65313;"),
  ]
  for (bytes, utf8, ascii) in table {
    #expect(XMLEscape.escaped(bytes, as: .text) == Array(utf8.utf8), "\(bytes)")
    #expect(XMLEscape.escaped(bytes, as: .text, encoding: .ascii) == Array(ascii.utf8), "\(bytes)")
  }
}

@Test func malformedUTF8IsKeptOrReplaced() {
  for bytes: [UInt8] in [[0xFF], [0xEF], [0xEF, 0xBF], [0xC3, 0x28], [0xF0, 0x9F, 0x98]] {
    #expect(XMLEscape.escaped(bytes, as: .attribute) == bytes)
    let ascii = String(decoding: XMLEscape.escaped(bytes, as: .text, encoding: .ascii), as: UTF8.self)
    #expect(ascii.hasPrefix("&#65533;"), "\(ascii)")
  }
}

@Test func escapedTextIsReadBack() throws {
  let samples = ["a&b<c>\"d'\r\n\t", "\u{E9}\u{20AC}\u{1F600}]]>", "  x  "]
  for sample in samples {
    for encoding in [XMLEscape.Encoding.utf8, .ascii] {
      var document = Array("<a b=\"".utf8)
      XMLEscape.append(sample, to: &document, as: .attribute, encoding: encoding)
      document += Array("\">".utf8)
      XMLEscape.append(sample, to: &document, as: .text, encoding: encoding)
      document += Array("</a>".utf8)
      var reader = try XMLReader(document)
      let start = try reader.next()
      let text = try reader.next()
      guard case .start(_, let attributes) = start else { return #expect(Bool(false), "\(String(describing: start))") }
      #expect(attributes.map(\.value) == [sample])
      #expect(text == .text(Array(sample.utf8)))
    }
  }
}
