import Core
import CoreSupport
import Repository
import Support
import Testing

@testable import Info

/// What differs between two configurations, and for whom.
@Suite struct ComparisonTests {
  private func changes(_ old: String, _ new: String) throws -> [ConfigurationChange] {
    func document(_ text: String) throws -> Element {
      try RepositoryXML.parse(
        Array("<Configuration><Bundle name=\"b\">\(text)</Bundle></Configuration>".utf8), path: "x"
      ).root
    }
    return ConfigurationComparison.changes(
      from: try document(old), to: try document(new), renaming: ["/tmp/old": "/repo"])
  }

  @Test func entriesComeAndGo() throws {
    let found = try changes(
      #"<Package name="a"/><Package name="b"/><Service name="b"/>"#, #"<Service name="b"/><Package name="c"/>"#)
    #expect(found.map { "\($0.kind) \($0.entry)" } == ["removed Package:a", "removed Package:b", "added Package:c"])
    #expect(try changes(#"<Package name="a"/><Package name="b"/>"#, #"<Package name="b"/><Package name="a"/>"#).isEmpty)
    // Of two entries of one name the second is gone.
    #expect(try changes(#"<Package name="a"/><Package name="a"/>"#, #"<Package name="a"/>"#).map(\.kind) == [.removed])
  }

  @Test func attributesAndTextsChange() throws {
    let found = try changes(
      "<Path name='/a' mode='0644' owner='root'>one\ntwo\nthree\n</Path>",
      "<Path name='/a' mode='0600' group='adm'>one\n2\nthree\nfour\n</Path>")
    #expect(found.count == 1)
    let change = try #require(found.first)
    #expect(
      change.attributes == [
        "mode": .init(before: "0644", after: "0600"), "owner": .init(before: "root", after: nil),
        "group": .init(before: nil, after: "adm"),
      ])
    #expect(change.lines == ["-two", "+2", "+four"])
    #expect(try changes("<Path name='/a'>x</Path>", "<Path name='/a'>x\n</Path>").first?.lines == ["+"])
    let binary = try changes(
      "<Path name='/a' encoding='base64'>AA==</Path>", "<Path name='/a' encoding='base64'>AAAA</Path>")
    #expect(binary.first?.note?.hasPrefix("binary contents differ") == true)
    #expect(
      try changes(
        "<Package name='a'><Instance version='1'/></Package>", "<Package name='a'><Instance version='2'/></Package>"
      )
      .first?.lines == ["-<Instance version=\"1\"/>", "+<Instance version=\"2\"/>"])
  }

  /// To Swift's characters CR LF is one, and no line feed.
  @Test func linesMayEndWithCarriageReturns() throws {
    let found = try changes(
      "<Path name='/a'>one&#13;\ntwo&#13;\nthree&#13;\n</Path>", "<Path name='/a'>one&#13;\n2&#13;\nthree&#13;\n</Path>"
    )
    #expect(found.first?.lines == ["-two\r", "+2\r"])
    let ends = try changes("<Path name='/a'>one&#13;\ntwo\n</Path>", "<Path name='/a'>one\ntwo\n</Path>")
    #expect(ends.first?.lines == ["-one\r", "+one"])
  }

  /// Names and texts of a repository neither control a terminal nor make lines of their own.
  @Test func controlCharactersAreShown() throws {
    var groups = ChangeGroups()
    var change = ConfigurationChange(kind: .changed, entry: "Path:/a\u{1B}[2J\n/b", bundle: "b")
    change.attributes["owner"] = .init(before: "x\ny", after: nil)
    change.lines = ["+c\r"]
    groups.add(["h"], [change])
    #expect(
      ChangeText(isColoured: false, lineLimit: nil).text(groups)
        == "h:\n  ~ Path:/a\\x1b[2J\\n/b in b\n      owner: x\\ny -> none\n      +c\\x0d\n\n1 of 1 clients change\n")
    var table = TextTable(["Name"])
    table.add(["a\u{1B}\n"])
    #expect(table.text.split(separator: "\n").last == " a\\x1b\\n  ")
    let history = EntryHistory(host: "h", type: "Path", name: "/a\u{1B}\nb")
    #expect(HistoryText.text(history).hasPrefix("Path:/a\\x1b\\nb of h\n"))
  }

  /// The places of the two repositories are none of the changes.
  @Test func pathsInFailuresAreThoseOfTheRepository() throws {
    #expect(
      try changes("<Path name='/a' failure='/tmp/old/x: bad'/>", "<Path name='/a' failure='/repo/x: bad'/>").isEmpty)
  }

  @Test func clientsAreGroupedByWhatChanges() async throws {
    let old = InfoFixture.files
    var new = old
    new["Cfg/etc/motd/motd.G10_web"] = "other\n"
    new["Metadata/clients.xml"] = """
      <Clients>
        <Client name="one.example.com" profile="base"/><Client name="three.example.com" profile="base"/>
        <Client name="four.example.com" profile="base"/>
      </Clients>
      """
    try await InfoFixture.with(files: old) { one async throws in
      try await InfoFixture.with(files: new) { other async throws in
        let comparison = TreeComparison(old: one.fixture.core, new: other.fixture.core, names: [:])
        var groups = ChangeGroups()
        for client in try await comparison.clients([]) { groups.add([client], try await comparison.changes(client)) }
        #expect(
          groups.groups.map(\.hosts) == [
            ["four.example.com", "three.example.com"], ["one.example.com"], ["two.example.com"],
          ])
        let text = ChangeText(isColoured: false, lineLimit: 20).text(groups)
        #expect(
          text == """
            these 2 clients (four.example.com, three.example.com):
              + Client

            one.example.com:
              ~ Path:/etc/motd in entries
                  -web
                  +other

            two.example.com:
              - Client

            4 of 4 clients change

            """)
        #expect(try await comparison.clients(["t*"]) == ["three.example.com", "two.example.com"])
        #expect(
          ChangeText(isColoured: true, lineLimit: 1).text(groups).contains(
            "\u{1B}[31m-web\u{1B}[0m\n      ... 1 more lines"))
      }
    }
  }
}
