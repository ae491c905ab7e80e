import Testing
import XMLRPC

/// Tokens in one line: `<a b=c>`, `</a>`, and text in quotes.
private func tokens(_ bytes: [UInt8], limits: HTTPLimits = HTTPLimits()) throws(XMLError) -> String {
  var reader = try XMLReader(bytes, limits: limits)
  var all: [String] = []
  while let token = try reader.next() {
    switch token {
    case .start(let name, let attributes):
      all.append("<" + name + attributes.map { " \($0.name)=\($0.value)" }.joined() + ">")
    case .end(let name): all.append("</\(name)>")
    case .text(let text): all.append("\"" + String(decoding: text, as: UTF8.self) + "\"")
    }
  }
  return all.joined(separator: " ")
}

private func error(_ bytes: [UInt8], limits: HTTPLimits = HTTPLimits()) -> XMLError? {
  do throws(XMLError) {
    _ = try tokens(bytes, limits: limits)
    return nil
  } catch {
    return error
  }
}

@Test func wellFormedDocumentsGiveTheirTokens() throws {
  let table: [(String, String)] = [
    ("<a/>", "<a> </a>"),
    ("<a></a >", "<a> </a>"),
    ("<?xml version='1.0'?>\n<a>x</a>\n", "<a> \"x\" </a>"),
    ("<?xml version=\"1.0\" encoding='utf-8' standalone=\"yes\" ?><a/>", "<a> </a>"),
    ("\u{FEFF}<a/>", "<a> </a>"),
    ("<a b='1' c = \"2\"\n/>", "<a b=1 c=2> </a>"),
    ("<a b='x &amp; \"y\"\t\r\nz'/>", "<a b=x & \"y\"  z> </a>"),
    ("<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x42;&#x1F600;&#13;</a>", "<a> \"&<>\"'AB\u{1F600}\r\" </a>"),
    ("<a>1\r\n2\r3\n4</a>", "<a> \"1\n2\n3\n4\" </a>"),
    ("<a>x]]y]</a>", "<a> \"x]]y]\" </a>"),
    ("<a><![CDATA[<b>&amp;]]\r\n>]]></a>", "<a> \"<b>&amp;]]\n>\" </a>"),
    ("<a>x<!-- <b> -->y<?pi ?>z</a>", "<a> \"x\" \"y\" \"z\" </a>"),
    ("<!-- a --><?pi?><a><b>1</b><c/></a><!----> ", "<a> <b> \"1\" </b> <c> </c> </a>"),
    ("<ex:a xmlns:ex='u'/>", "<ex:a xmlns:ex=u> </ex:a>"),
    ("<\u{E9} \u{E8}='\u{20AC}'>\u{1F600}</\u{E9}>", "<\u{E9} \u{E8}=\u{20AC}> \"\u{1F600}\" </\u{E9}>"),
    ("<a>\u{85}\u{2028}\u{7F}</a>", "<a> \"\u{85}\u{2028}\u{7F}\" </a>"),
    ("<a><![CDATA[]]></a>", "<a> \"\" </a>"),
  ]
  for (text, expected) in table {
    #expect(try tokens(Array(text.utf8)) == expected, "\(text.debugDescription)")
  }
}

@Test func declaredEncodingsAreHonoured() throws {
  let latin = latin1("<?xml version='1.0' encoding='ISO-8859-1'?><a>\u{E9}\u{A4}</a>")
  #expect(try tokens(latin) == "<a> \"\u{E9}\u{A4}\" </a>")
  #expect(try tokens(latin1("<?xml version='1.0' encoding='us-ascii'?><a>e</a>")) == "<a> \"e\" </a>")
  #expect(error(latin1("<?xml version='1.0' encoding='us-ascii'?><a>\u{E9}</a>"))?.reason == "not US-ASCII as declared")
  let unknown = "encoding other than UTF-8, US-ASCII, ISO-8859-1"
  #expect(error(latin1("<?xml version='1.0' encoding='utf-16'?><a/>"))?.reason == unknown)
  for start in ["\u{FE}\u{FF}\0<", "\u{FF}\u{FE}<\0", "<\0?\0", "\0<\0?"] {
    #expect(error(latin1(start))?.reason == unknown)
  }
}

@Test func malformedDocumentsAreRefusedWithTheirPlace() {
  let table: [(String, String, offset: Int, line: Int)] = [
    ("", "no element", 0, 1),
    (" \n", "no element", 2, 2),
    ("x", "text outside of the root element", 0, 1),
    ("<a/>x", "text outside of the root element", 4, 1),
    ("<a/><b/>", "second root element", 4, 1),
    ("<a>", "document ends inside an element", 3, 1),
    ("<a>\n</b>", "end tag does not match its start tag", 4, 2),
    ("</a>", "end tag does not match its start tag", 0, 1),
    ("<a", "malformed start tag", 2, 1),
    ("<a b='1'c='2'/>", "malformed start tag", 8, 1),
    ("<a b/>", "attribute without value", 4, 1),
    ("<a b=1/>", "attribute value without quotes", 5, 1),
    ("<a b='<'/>", "< in an attribute value", 6, 1),
    ("<a b='1", "document ends inside an attribute value", 7, 1),
    ("<a b='1' b='2'/>", "attribute given twice", 14, 1),
    ("<1/>", "malformed name", 1, 1),
    ("< a/>", "malformed name", 1, 1),
    ("<a>&b;</a>", "unknown entity", 3, 1),
    ("<a>&amp</a>", "unknown entity", 3, 1),
    ("<a>& </a>", "unknown entity", 3, 1),
    ("<a>&#;</a>", "malformed character reference", 3, 1),
    ("<a>&#x;</a>", "malformed character reference", 3, 1),
    ("<a>&#6A;</a>", "malformed character reference", 3, 1),
    ("<a>&#65</a>", "malformed character reference", 3, 1),
    ("<a>&#0;</a>", "reference to a forbidden character", 3, 1),
    ("<a>&#xD800;</a>", "reference to a forbidden character", 3, 1),
    ("<a>&#xFFFF;</a>", "reference to a forbidden character", 3, 1),
    ("<a>&#x110000;</a>", "reference to no character", 3, 1),
    ("<a>&#99999999999999999999;</a>", "reference to no character", 3, 1),
    ("<a>]]></a>", "]]> in text", 3, 1),
    ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type is not allowed", 0, 1),
    ("<![CDATA[x]]><a/>", "malformed declaration", 0, 1),
    ("<a><!ELEMENT b></a>", "malformed declaration", 3, 1),
    ("<a><![CDATA[x]]</a>", "document ends inside a CDATA section", 12, 1),
    ("<a><!-- x</a>", "document ends inside a comment", 7, 1),
    ("<a><!-- -- --></a>", "-- inside a comment", 8, 1),
    ("<a><!-->x</a>", "document ends inside a comment", 7, 1),
    ("<a/><?pi", "malformed processing instruction", 8, 1),
    ("<a/><?pi x", "document ends inside a processing instruction", 8, 1),
    (" <?xml version='1.0'?><a/>", "misplaced XML declaration", 1, 1),
    ("<?xml?><a/>", "misplaced XML declaration", 0, 1),
    ("<?xml encoding='utf-8'?><a/>", "malformed XML declaration", 0, 1),
    ("<?xml version='1.0' x='y'?><a/>", "malformed XML declaration", 0, 1),
    ("<?xml version='1.0'encoding='utf-8'?><a/>", "malformed XML declaration", 19, 1),
    ("<?xml version='2.0'?><a/>", "XML version is not 1.x", 6, 1),
    ("<?xml version='1.0'", "malformed XML declaration", 0, 1),
    ("<a>\n\n\u{1}</a>", "character that XML forbids", 5, 3),
    ("<a>\0</a>", "character that XML forbids", 3, 1),
  ]
  for (text, reason, offset, line) in table {
    let found = error(Array(text.utf8))
    #expect(found?.reason == reason, "\(text.debugDescription): \(String(describing: found))")
    #expect(found?.offset == offset && found?.line == line, "\(text.debugDescription): \(String(describing: found))")
  }
}

@Test func bytesThatAreNotUTF8AreRefused() {
  let table: [[UInt8]] = [
    [0x80], [0xC3], [0xC3, 0x28], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80],
    [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80], [0xFF],
  ]
  for bytes in table {
    let found = error(Array("<a>".utf8) + bytes + Array("</a>".utf8))
    #expect(found?.reason == "not UTF-8" && found?.offset == 3, "\(bytes): \(String(describing: found))")
  }
  for bytes: [UInt8] in [[0xEF, 0xBF, 0xBE], [0xEF, 0xBF, 0xBF], [0x0B], [0x1F]] {
    #expect(XMLCharacters.firstFlaw(in: [0x41] + bytes) == .forbidden(offset: 1))
  }
}

@Test func aFlawIsFoundWhereverItStands() {
  // Bytes are looked at eight at a time where that goes.
  let plain = Array("0123456789 ~\u{7F}abc\tdefgh\nijklmnopqrstuvw".utf8)
  #expect(XMLCharacters.firstFlaw(in: plain) == nil)
  for length in 0..<plain.count {
    let before = Array(plain[..<length])
    for rest in [[], plain] {
      for flaw: UInt8 in [0x00, 0x08, 0x0B, 0x1F] {
        #expect(XMLCharacters.firstFlaw(in: before + [flaw] + rest) == .forbidden(offset: length))
      }
      for flaw: UInt8 in [0x80, 0xC3, 0xFF] {
        #expect(XMLCharacters.firstFlaw(in: before + [flaw] + rest) == .malformed(offset: length))
      }
      for text in ["\u{E9}", "\u{20AC}", "\u{1F600}", "\r\n"] {
        #expect(XMLCharacters.firstFlaw(in: before + Array(text.utf8) + rest) == nil)
        #expect(XMLCharacters.firstFlaw(in: before + Array(text.utf8) + rest + [1]) != nil)
      }
    }
  }
}

@Test func everyPrefixOfADocumentIsRefused() {
  let text = "<?xml version='1.0'?><a b='&lt;'>x&#65;<![CDATA[y]]><!-- z --><?pi p?><b/></a>"
  let bytes = Array(text.utf8)
  #expect(error(bytes) == nil)
  for count in 0..<bytes.count { #expect(error(Array(bytes[..<count])) != nil, "\(count)") }
}

@Test func readerLimitsPassExactlyAndRefuseOneMore() {
  var limits = HTTPLimits()
  limits.xmlDepth = 3
  limits.xmlTextBytes = 4
  limits.xmlAttributeBytes = 3
  limits.xmlAttributeCount = 2
  limits.xmlNameBytes = 5
  let table: [(fits: String, exceeds: String, reason: String)] = [
    ("<a><b><c/></b></a>", "<a><b><c><d/></c></b></a>", "xmlDepth"),
    ("<a>1234</a>", "<a>12345</a>", "xmlTextBytes"),
    ("<a>&amp;&amp;&amp;&amp;</a>", "<a>&amp;&amp;&amp;&amp;&amp;</a>", "xmlTextBytes"),
    ("<a><![CDATA[1234]]></a>", "<a><![CDATA[12345]]></a>", "xmlTextBytes"),
    ("<a b='123'/>", "<a b='1234'/>", "xmlAttributeBytes"),
    ("<a b='12&#65;'/>", "<a b='12&#x20AC;'/>", "xmlAttributeBytes"),
    ("<a b='' c=''/>", "<a b='' c='' d=''/>", "xmlAttributeCount"),
    ("<abcde/>", "<abcdef/>", "xmlNameBytes"),
    ("<a bcdef=''/>", "<a bcdefg=''/>", "xmlNameBytes"),
  ]
  for (fits, exceeds, reason) in table {
    #expect(error(Array(fits.utf8), limits: limits) == nil, "\(fits)")
    #expect(error(Array(exceeds.utf8), limits: limits)?.reason == reason, "\(exceeds)")
  }
}
