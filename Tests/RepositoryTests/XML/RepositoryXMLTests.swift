import Repository
import Support
import Testing

/// Documents and what lxml's parser with `remove_blank_text` makes of them.
@Test(arguments: [
  ("<a>\n  <b/>\n  <!-- c -->\n  <d> </d>\n</a>", "<a><b/><d> </d></a>"),
  ("<a> x <b/> y <c/></a>", "<a> x <b/><c/></a>"),
  ("<a>one<!-- c -->two<b/></a>", "<a>one<b/></a>"),
  ("<a><![CDATA[<raw>]]> &amp; &#233;<b/></a>", "<a>&lt;raw&gt; &amp; &#233;<b/></a>"),
  ("<!DOCTYPE a [<!ENTITY e \"ent\">]><a k=\"&e;\">&e;s</a>", "<a k=\"ent\">ents</a>"),
  ("<a>\n<?pi x?>\n <b>  <c/>  </b></a>", "<a><b><c/></b></a>"),
  ("<a xml:space=\"preserve\">  <b/>  </a>", "<a xml:space=\"preserve\">  <b/></a>"),
  ("<a>text\n  <b/>\n</a>", "<a>text\n  <b/></a>"),
  ("<a k=\" x\ty\n z \"/>", "<a k=\" x y  z \"/>"),
  ("<a></a>", "<a/>"),
  ("<a>  </a>", "<a>  </a>"),
  ("<a>  <!-- only --></a>", "<a/>"),
  ("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a k=\"x\"/>", "<a k=\"x\"/>"),
]) func documentsReadAsLxmlReadsThem(document: String, expected: String) throws {
  #expect(text(of: try tree(document)) == expected)
}

@Test func namespacesAreInNamesAndRecorded() throws {
  let document = "<a xmlns:py=\"http://genshi.edgewall.org/\" py:if=\"x\"><py:b/><c xmlns=\"urn:d\"><e/></c></a>"
  let parsed = try RepositoryXML.parse(Array(document.utf8), path: "t.xml")
  #expect(parsed.namespaces == ["py": "http://genshi.edgewall.org/"])
  #expect(parsed.root["{http://genshi.edgewall.org/}if"] == "x")
  #expect(parsed.root.children.map(\.tag) == ["{http://genshi.edgewall.org/}b", "{urn:d}c"])
  #expect(parsed.root.children[1].children[0].tag == "{urn:d}e")
}

@Test func linesAreThoseOfTheFile() throws {
  let root = try tree("<a>\n  <b\n k='1'/>\n\n  <c/></a>")
  #expect(root.line == 1)
  #expect(root.children.map(\.line) == [3, 5])
}

@Test(arguments: [
  ("", 1), ("<a", 1), ("<a>\n<b>\n</a>", 3), ("<a/><b/>", 1), ("text", 1), ("<a>&unknown;</a>", 1),
  ("<!DOCTYPE a [<!ENTITY e SYSTEM \"/etc/hostname\">]><a>&e;</a>", 1), ("<a k='1' k='2'/>", 1), ("<a>\u{1}</a>", 1),
  ("<a>\n<b py:if='x'/></a>", 2), ("<p:a/>", 1),
]) func brokenDocumentsNameFileAndLine(document: String, line: Int) {
  #expect {
    try RepositoryXML.parse(Array(document.utf8), path: "dir/t.xml")
  } throws: { error in
    guard let error = error as? XMLFileError else { return false }
    return error.path == "dir/t.xml" && error.line == line && !error.message.isEmpty && !error.message.contains("\n")
  }
}

@Test func entityBombsEnd() {
  var document = "<!DOCTYPE a [<!ENTITY e0 \"0123456789\">"
  for level in 1...9 {
    let inner = String(repeating: "&e\(level - 1);", count: 10)
    document += "<!ENTITY e\(level) \"\(inner)\">"
  }
  document += "]><a>&e9;</a>"
  #expect(throws: XMLFileError.self) { try RepositoryXML.parse(Array(document.utf8), path: "bomb.xml") }
}

@Test func clientDocumentsDropBlankTextAndRefuseDocumentTypes() throws {
  #expect(
    text(of: try ClientDocument.parse("<a>\n <b x='1'> t </b>\n <c> </c></a>")) == "<a><b x=\"1\"> t </b><c> </c></a>")
  #expect(text(of: try ClientDocument.parse("<?xml version='1.0'?><a>x&lt;<b/>y</a>")) == "<a>x&lt;<b/></a>")
  #expect(text(of: try ClientDocument.parse("<a>x<!-- c -->y<b><!-- c -->z</b></a>")) == "<a>x<b/></a>")
  #expect(text(of: try ClientDocument.parse("<a><![CDATA[x]]>y<b/><c>z<?pi?></c></a>")) == "<a>xy<b/><c>z</c></a>")
  let namespaces = try ClientDocument.parse("<a xmlns='u' xmlns:p='v'><p:b p:k='1' k='2' xmlns=''><c/></p:b><d/></a>")
  #expect(namespaces.tag == "{u}a" && namespaces.attributes.isEmpty)
  #expect(namespaces.children.map(\.tag) == ["{v}b", "{u}d"] && namespaces.children[0].children[0].tag == "c")
  #expect(namespaces.children[0].attributes.map(\.name) == ["{v}k", "k"])
  let difference = String(repeating: "LSBvbGQ", count: 100_000)
  #expect(try ClientDocument.parse("<a current_bdiff='\(difference)'/>")["current_bdiff"] == difference)
  let deep = String(repeating: "<x>", count: 256) + String(repeating: "</x>", count: 256)
  #expect(try ClientDocument.parse(deep).descendants(tagged: "x").count == 255)
  let broken = ["<!DOCTYPE a []><a/>", "<a>&e;</a>", "<a>", "", "<a/><b/>", "<p:a/>", "<a p:k='1'/>", "<x>\(deep)</x>"]
  for document in broken {
    #expect(throws: (any Error).self) { try ClientDocument.parse(document) }
  }
}

private let xi = "xmlns:xi=\"http://www.w3.org/2001/XInclude\""

@Test func includesStandWhereBcfg2PutsThem() throws {
  let folder = TemporaryDirectory()
  let main = folder.write(
    """
    <B \(xi)>
      <xi:include href="parts/e.inc"/><xi:include href="same.inc"/><xi:include href="../x/s.inc"/>
      <P><xi:include href="parts/e.inc"/></P>
      <xi:include href="none.xml"/><xi:include href="gone.xml"><xi:fallback><F/></xi:fallback></xi:include>
      <xi:include href="globs/*.inc"/>
      <S/>
    </B>
    """, to: "main/b.xml")
  folder.write("<E/>", to: "main/parts/e.inc")
  folder.write("<Same/>", to: "main/same.inc")
  folder.write(
    """
    <X \(xi)><A/><xi:include href="t.inc"/><xi:include href="no.inc"><xi:fallback><N/></xi:fallback></xi:include><Z/></X>
    """, to: "x/s.inc")
  folder.write("<T/>", to: "x/t.inc")
  folder.write("<G2/>", to: "main/globs/2.inc")
  folder.write("<G1/>", to: "main/globs/1.inc")
  folder.write("<Hidden/>", to: "main/globs/.0.inc")
  let read = XIncludedDocument(path: main)
  let root = try read.document.get().root
  #expect(
    text(of: root) == """
      <B><P><E xml:base="parts/e.inc"/></P><S/><E xml:base="parts/e.inc"/><Same/>\
      <X xml:base="../x/s.inc"><A/><T/><N/><Z/></X><G1 xml:base="globs/1.inc"/><G2 xml:base="globs/2.inc"/></B>
      """)
  #expect(read.problems.map(\.description) == ["\(main):4: none.xml does not exist, skipping"])
  #expect(read.watchedPaths.contains(folder.file("main/none.xml")))
  #expect(read.watchedPatterns == [folder.file("main/globs/*.inc")])
  #expect(read.includedFiles.contains(folder.file("main/../x/t.inc")))
  #expect(!read.includedFiles.contains(folder.file("main/none.xml")))
}

@Test func includeLoopsAndBrokenIncludesAreToldOf() throws {
  let folder = TemporaryDirectory()
  let a = folder.write("<A \(xi)><xi:include href=\"a.xml\"/><xi:include href=\"b.xml\"/></A>", to: "a.xml")
  folder.write("<B \(xi)><xi:include href=\"c.xml\"/></B>", to: "b.xml")
  let c = folder.write("<C \(xi)><xi:include href=\"b.xml\"/></C>", to: "c.xml")
  let looping = XIncludedDocument(path: a)
  #expect(text(of: try looping.document.get().root) == "<A><B><C/></B></A>")
  #expect(looping.problems.map(\.path) == [c])
  folder.write("<B>", to: "b.xml")
  let broken = XIncludedDocument(path: a)
  #expect(throws: XMLFileError.self) { try broken.document.get() }
  #expect(broken.watchedPaths.contains(folder.file("b.xml")))
}

@Test func textCanBeIncluded() throws {
  let folder = TemporaryDirectory()
  let main = folder.write("<A \(xi)><P><xi:include href=\"t.txt\" parse=\"text\"/></P></A>", to: "a.xml")
  folder.write("x < y\n", to: "t.txt")
  #expect(text(of: try XIncludedDocument(path: main).document.get().root) == "<A><P>x &lt; y\n</P></A>")
}

@Test func attributesAreToldApartByTheirBytes() {
  let element = Element("Path", ["\u{e9}": "one scalar"])
  #expect(element["e\u{301}"] == nil)
  element["e\u{301}"] = "two scalars"
  #expect(element["\u{e9}"] == "one scalar" && element.attributes.count == 2)
}

/// libxml2 leaves out a reference to an entity that nothing it reads declares: a value would lack a part.
@Test(arguments: [
  (
    "<!DOCTYPE P SYSTEM 'p.dtd'>\n<P>\n<A>a&e;b</A></P>",
    "f.xml:3: in or below element A: the entity e is not in this file"
  ),
  (
    "<!DOCTYPE P SYSTEM 'p.dtd'>\n<P>\n<A><B x='&e;'/></A></P>",
    "f.xml:3: in or below element A: the entity e is not in this file"
  ),
  (
    "<!DOCTYPE P [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>\n<P><A>a&e;b</A></P>",
    "f.xml:2: in or below element A: the entity e is not in this file"
  ),
  ("<!DOCTYPE P [<!ENTITY i 'x'> %p; <!ENTITY % p SYSTEM 'p.ent'> %p;]>\n<P><A>&i;&e;</A></P>", "f.xml"),
])
func referencesWithoutAnEntityAreErrors(_ text: String, _ problem: String) {
  do {
    let root = try RepositoryXML.parse(Array(text.utf8), path: "f.xml").root
    Issue.record("\(root.tag) was read")
  } catch {
    #expect("\(error)".hasPrefix(problem), "\(error)")
  }
}

/// What libxml2 finds not valid for another reason is read.
@Test func identifiersMayBeAnything() throws {
  let root = try RepositoryXML.parse(Array("<P xml:id='1 2'><A xml:id='x'/><A xml:id='x'/></P>".utf8), path: "f.xml")
    .root
  #expect(root.children.count == 2)
}

@Test(arguments: [
  "<!DOCTYPE P SYSTEM 'p.dtd'>", "<!DOCTYPE P [<!ENTITY e 'x'>]>", "<!DOCTYPE P PUBLIC 'a' 'http://127.0.0.1:1/b'>",
])
func declarationsAloneAreNone(_ declaration: String) throws {
  let root = try RepositoryXML.parse(Array("\(declaration)<P><A>&lt;&#65;</A></P>".utf8), path: "f.xml").root
  #expect(root.children[0].text == "<A")
}
