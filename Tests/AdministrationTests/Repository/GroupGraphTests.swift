import Administration
import Repository
import Testing

@Suite struct GroupGraphTests {
  private func graph(_ groups: String, _ clients: [(String, [String])] = [], hosts: Bool = false, bundles: Bool = false)
    throws -> [String]
  {
    var choice = GroupGraph.Choice()
    (choice.hosts, choice.bundles) = (hosts, bundles)
    let root = try RepositoryXML.parse(Array("<Groups>\(groups)</Groups>".utf8), path: "groups.xml").root
    return GroupGraph(root, memberships: clients.map { (client: $0.0, groups: $0.1) }, choice).text
      .split(separator: "\n").map { String($0).replacing("\t", with: "") }
  }

  @Test func groupsHaveColoursByCategoryAndArrows() throws {
    let lines = try graph(
      """
      <Group name="web" profile="true" category="role"><Group name="deb"/><Bundle name="b"/></Group>
      <Groups><Group name="os" category="os"/></Groups><Group name="plain"/>
      """)
    #expect(
      lines == [
        "digraph groups {", "rankdir=\"LR\";",
        "\"group-web\" [label=\"web\", style=\"filled, bold\", fillcolor=steelblue1];",
        "\"group-plain\" [label=\"plain\", style=\"filled\", fillcolor=grey83];",
        "\"group-os\" [label=\"os\", style=\"filled\", fillcolor=chartreuse];",
        "\"group-deb\" [label=\"deb\", style=\"filled\", fillcolor=\"grey83\"];", "\"group-web\" -> \"group-deb\";",
        "}",
      ])
  }

  @Test func bundlesAndHostsAreDrawnIfAskedFor() throws {
    let lines = try graph(
      "<Group name=\"a\"><Bundle name=\"x\"/></Group>", [("h2", ["a"]), ("h1", ["a"])], hosts: true, bundles: true)
    #expect(lines.contains("\"a-instances\" [ label=\"h1|h2\", shape=\"record\" ];"))
    #expect(lines.contains("\"a-instances\" -> \"group-a\";"))
    #expect(lines.contains("\"bundle-x\" [ label=\"x\", shape=\"septagon\"];"))
    #expect(lines.contains("\"group-a\" -> \"bundle-x\";"))
  }

  @Test func namesCannotEndTheirQuotes() throws {
    #expect(try graph("<Group name='a\"b\\c'/>")[2].hasPrefix(#""group-a\"b\\c" [label="a\"b\\c""#))
  }

  @Test func extraEntriesAreInTheGroupsOfTheCommandLine() {
    let document = MinedStructure.document([("Package", "p"), ("Path", "/x")], groups: ["a", "b"])
    #expect(
      String(decoding: WireWriter.xml(document), as: UTF8.self)
        == "<Base><Group name=\"a\"><Group name=\"b\"><Package name=\"p\"/><Path name=\"/x\"/></Group></Group></Base>")
  }
}
