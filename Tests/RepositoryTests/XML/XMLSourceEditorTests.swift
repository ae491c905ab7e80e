import Repository
import Testing

private let clients = """
  <?xml version="1.0"?>
  <!-- <Client name="one"/> -->
  <Clients version="3.0">
    <Client name='one'   profile="p"
            address="1.2.3.4"/> <!-- keep -->
  \t<Client name="two"><Alias name="deux"/></Client>
    <!-- end -->
  </Clients>
  <!-- after -->

  """

private func edited(
  _ source: String, _ edit: (inout XMLSourceEditor) throws -> Void
) throws -> String {
  var editor = try XMLSourceEditor(Array(source.utf8), path: "clients.xml")
  try edit(&editor)
  return String(decoding: try editor.contents(), as: UTF8.self)
}

/// Compares outside of `#expect`, which cannot hold a closure that throws.
private func isTrue(_ value: Bool, at place: SourceLocation = #_sourceLocation) {
  #expect(value, sourceLocation: place)
}

@Test func attributesChangeInPlace() throws {
  let changed = try edited(clients) {
    try isTrue($0.setAttribute("profile", to: "a'b\"<&é", of: "Client", where: "name", is: "one"))
  }
  #expect(changed == clients.replacing("profile=\"p\"", with: "profile=\"a'b&quot;&lt;&amp;é\""))
  let added = try edited(clients) {
    try isTrue($0.setAttribute("version", to: "1.4", of: "Client", where: "name", is: "one"))
    try isTrue($0.setAttribute("version", to: "1.3", of: "Client", where: "name", is: "two"))
  }
  #expect(
    added
      == clients.replacing("\"1.2.3.4\"", with: "\"1.2.3.4\" version=\"1.4\"")
      .replacing("name=\"two\"", with: "name=\"two\" version=\"1.3\""))
  let single = try edited(clients) { try $0.setAttribute("name", to: "o'n", of: "Client", where: "name", is: "one") }
  #expect(single == clients.replacing("'one'", with: "'o&apos;n'"))
  let removed = try edited(clients) { try $0.setAttribute("profile", to: nil, of: "Client", where: "name", is: "one") }
  #expect(removed == clients.replacing("   profile=\"p\"", with: ""))
}

@Test func whatIsNotThereIsNotChanged() throws {
  let unchanged = try edited(clients) {
    try isTrue(!$0.setAttribute("x", to: "1", of: "Client", where: "name", is: "three"))
    try isTrue(!$0.removeElement("Client", where: "name", is: "three"))
    try isTrue(!$0.removeElement("Clients", where: "version", is: "3.0"))
    try isTrue($0.setAttribute("x", to: nil, of: "Client", where: "name", is: "two"))
    #expect($0.count(tag: "Client", where: "name", is: "one") == 1)
  }
  #expect(unchanged == clients)
}

@Test(arguments: [
  ("<C>\n    <X/>\n</C>\n", "<C>\n    <X/>\n    <N a=\"1\"/>\n</C>\n"),
  ("<C>\n\t<X>\n\t\t<Y/></X>\n</C>", "<C>\n\t<X>\n\t\t<Y/></X>\n\t<N a=\"1\"/>\n</C>"),
  ("<C><X/></C>", "<C><X/><N a=\"1\"/></C>"), ("<C/>", "<C>\n  <N a=\"1\"/>\n</C>"),
  ("<C v='1' />\n", "<C v='1'>\n  <N a=\"1\"/>\n</C>\n"), ("<C></C>", "<C>\n  <N a=\"1\"/>\n</C>"),
  ("<C>\n</C>", "<C>\n  <N a=\"1\"/>\n</C>"), ("<C>\r\n <X/>\r\n</C>", "<C>\r\n <X/>\r\n <N a=\"1\"/>\r\n</C>"),
  ("<C>\n  <X/>\n  <!-- e -->\n</C>", "<C>\n  <X/>\n  <!-- e -->\n  <N a=\"1\"/>\n</C>"),
]) func newChildrenAreLaidOutAsTheirSiblings(source: String, expected: String) throws {
  #expect(try edited(source) { try $0.appendChild(Element("N", ["a": "1"])) } == expected)
}

@Test func severalEditsFollowEachOther() throws {
  let result = try edited("<C/>") {
    try $0.appendChild(Element("N", ["n": "1"]))
    try $0.appendChild(Element("N", ["n": "2"]))
    try $0.setAttribute("x", to: "y", of: "N", where: "n", is: "1")
    try $0.removeElement("N", where: "n", is: "2")
  }
  #expect(result == "<C>\n  <N n=\"1\" x=\"y\"/>\n</C>")
}

@Test func editsOfOneElementAndOfItsNeighboursMeet() throws {
  let source = "<C>\n  <X n='1' a='1'/>\n  <X n='2'/>\n</C>\n"
  let result = try edited(source) {
    try $0.setAttribute("a", to: nil, of: "X", where: "n", is: "1")
    try $0.setAttribute("b", to: "1", of: "X", where: "n", is: "1")
    try $0.setAttribute("c", to: "2", of: "X", where: "n", is: "1")
    try $0.setAttribute("b", to: "3", of: "X", where: "n", is: "1")
    try isTrue($0.removeElement("X", where: "n", is: "2"))
    try isTrue(!$0.setAttribute("b", to: "1", of: "X", where: "n", is: "2"))
    try $0.appendChild(Element("N"))
    // Later edits find the element by its new name.
    try isTrue($0.setAttribute("n", to: "one", of: "X", where: "n", is: "1"))
    try isTrue(!$0.setAttribute("d", to: "1", of: "X", where: "n", is: "1"))
    try isTrue($0.setAttribute("d", to: "1", of: "X", where: "n", is: "one"))
  }
  #expect(result == "<C>\n  <X n='one' c='2' b='3' d='1'/>\n  <N/>\n</C>\n")
}

@Test func theLastChildIsReplacedByAnother() throws {
  for source in ["<C>\n  <X n='1'/>\n</C>\n", "<C>\n  <X n='1'><Y n='2'/></X>\n</C>\n"] {
    let result = try edited(source) {
      try $0.setAttribute("a", to: "1", of: "X", where: "n", is: "1")
      try isTrue($0.removeElement("X", where: "n", is: "1"))
      try isTrue(!$0.removeElement("Y", where: "n", is: "2"))
      try $0.appendChild(Element("N"))
    }
    #expect(result == "<C>\n  <N/>\n</C>\n")
  }
}

@Test func elementsGoWithTheirLine() throws {
  let second = try edited(clients) { try isTrue($0.removeElement("Client", where: "name", is: "two")) }
  #expect(second == clients.replacing("\t<Client name=\"two\"><Alias name=\"deux\"/></Client>\n", with: ""))
  let first = try edited(clients) { try $0.removeElement("Client", where: "name", is: "one") }
  #expect(first == clients.replacing("<Client name='one'   profile=\"p\"\n          address=\"1.2.3.4\"/>", with: ""))
  #expect(
    try edited("<C><X n='1'/><X n='2'/></C>") { try $0.removeElement("X", where: "n", is: "1") } == "<C><X n='2'/></C>")
}

@Test func oddMarkupIsNotTakenForElements() throws {
  let source = """
    <!DOCTYPE C [<!-- > --><!ENTITY q "<X n='1'>"> <?pi > ?>]>
    <C a=">" b='<'><![CDATA[<X n="1"/>]]><?pi <X n="1"/>?><X n = "&#49;" /></C>
    """.replacing(" b='<'", with: "")
  let result = try edited(source) { try $0.setAttribute("n", to: "2", of: "X", where: "n", is: "1") }
  #expect(result == source.replacing("\"&#49;\"", with: "\"2\""))
}

@Test(arguments: ["<C>", "", "<C>\u{1}</C>", "<!DOCTYPE C [<!ENTITY e \"<X/>\">]><C>&e;</C>"])
func whatCannotBeEditedIsRefused(source: String) {
  #expect(throws: XMLFileError.self) { try XMLSourceEditor(Array(source.utf8), path: "clients.xml") }
}
