import Repository
import Support
import Testing
import XMLRPC

/// What lxml writes for the same tree.
@Test func elementsAreWrittenAsLxmlWritesThem() {
  let root = Element("a", ["x": "é\t\n\r\"'<>&"], content: .string("é€😀\t\n\r\"<>&"))
  root.append("b").text = ""
  root.append("{u}c", ["{v}d": "1"])
  root.append("d", ["{http://www.w3.org/XML/1998/namespace}base": "q"])
  #expect(
    text(of: root) == """
      <a x="&#233;&#9;&#10;&#13;&quot;'&lt;&gt;&amp;">&#233;&#8364;&#128512;\t\n&#13;"&lt;&gt;&amp;<b></b>\
      <ns0:c xmlns:ns0="u" xmlns:ns1="v" ns1:d="1"/><d xml:base="q"/></a>
      """)
}

@Test func prettyLayoutIsLxmls() throws {
  let root = try tree("<a><b><c/><d>t</d></b><e>t<f/></e><g><h><i/></h></g></a>")
  #expect(
    String(decoding: WireWriter.xml(root, isPretty: true), as: UTF8.self) == """
      <a>
        <b>
          <c/>
          <d>t</d>
        </b>
        <e>t<f/></e>
        <g>
          <h>
            <i/>
          </h>
        </g>
      </a>

      """)
}

@Test func theNestedDocumentIsTheDocumentEscapedOnceMore() {
  let root = Element("Configuration", ["revision": "1 & <2>"])
  let bundle = root.append("Bundle", ["name": "b\"é"])
  let small = SharedText("x < y\n")
  let large = SharedText(String(repeating: "é&", count: 400))
  for (name, content) in [("s", small), ("l", large)] {
    bundle.append("Path", ["name": name]).content = .shared(content)
  }
  let segments = WireWriter.document(root)
  #expect(segments.bytes() == XMLEscape.escaped(WireWriter.xml(root), as: .text))
  #expect(segments.segments.contains(large.wire) && !segments.segments.contains(small.wire))
}

@Test func anEntryThatCannotBeWrittenFailsAlone() throws {
  let root = Element("Configuration")
  let bundle = root.append("Bundle", ["name": "b\u{1}"])
  bundle.append("Path", ["name": "/bad", "owner": "r\u{FFFE}"]).append("ACL").text = "x"
  bundle.append("Path", ["name": "/text"]).text = "a\u{0}b"
  bundle.append("Path", ["name": "/child"]).append("ACL", ["user": "\u{8}"])
  bundle.append("Path", ["name": "/good"]).text = "tab\t\u{FFFD}"
  bundle.append("", ["name": "no tag"])
  let wire = String(decoding: WireWriter.document(root).bytes(), as: UTF8.self)
  let document = try ClientDocument.parse(
    wire.replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&amp;", with: "&"))
  let entries = document.children[0].children
  #expect(entries.map { $0["failure"] != nil } == [true, true, true, false, true])
  #expect(entries.map(\.name) == ["/bad", "/text", "/child", "/good", "no tag"])
  #expect(entries[0].attributes.count == 2 && entries[0].children.isEmpty && entries[1].text == nil)
  #expect(entries[3].text == "tab\t\u{FFFD}")
  #expect(WireWriter.flawedEntries(root).count == 4)
}
