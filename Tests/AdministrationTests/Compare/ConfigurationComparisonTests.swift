import Repository
import Support
import Testing

@testable import Administration

@Suite struct ConfigurationComparisonTests {
  private func document(_ bundles: String) throws -> Element {
    try RepositoryXML.parse(Array("<Configuration>\(bundles)</Configuration>".utf8), path: "c.xml").root
  }

  private func findings(_ old: String, _ new: String, quiet: Bool = false, lines: Int? = nil) throws -> [String] {
    ConfigurationComparison(
      old: try document(old), new: try document(new), isQuiet: quiet, diffLines: lines
    ).findings().flatMap { ["\($0.kind.rawValue) \($0.text)"] + $0.lines }
  }

  private let old = """
    <Bundle name="a"><Path name="/f" mode="0644" type="file">a\nb\n</Path><Package name="gone"/><Package name="same"/></Bundle>
    <Bundle name="lost"><Package name="z"/></Bundle>
    """
  private let new = """
    <Bundle name="a"><Path name="/f" mode="0600" type="file">a\nc\n</Path><Package name="come"/><Package name="same"/></Bundle>
    <Bundle name="fresh"><Package name="z"/></Bundle>
    """

  @Test func additionsAndAttributesAreTold() throws {
    #expect(
      try findings(old, new) == [
        "removed Bundle lost", "added Bundle fresh", "changed Element Path:/f has different attributes",
        "-mode=\"0644\"", "+mode=\"0600\"", "changed Element Path:/f has different content", "-b", "+c",
        "removed Element Package:gone", "changed Element Package:z was in bundle lost, now in bundle fresh",
        "added Element Package:come",
      ])
    #expect(try findings(old, old).isEmpty)
  }

  @Test func quietOnesHaveNoLines() throws {
    #expect(try findings(old, new, quiet: true).allSatisfy { !$0.hasPrefix("+") && !$0.hasPrefix("-") })
    #expect(try findings(old, new, lines: 0).filter { $0 == "-b" || $0 == "+c" }.isEmpty)
  }

  @Test func longDiffsEndWithDots() throws {
    let one = "<Bundle name=\"a\"><Path name=\"/f\">1\n2\n3\n</Path></Bundle>"
    let two = "<Bundle name=\"a\"><Path name=\"/f\">4\n5\n6\n</Path></Bundle>"
    #expect(
      try findings(one, two, lines: 1) == ["changed Element Path:/f has different content", "-1", "-2", "..."])
  }

  @Test(arguments: [
    ("", "x", "content was added"), ("x", "", "content was removed"),
  ])
  func contentsComeAndGo(_ one: String, _ two: String, _ text: String) throws {
    func bundle(_ content: String) -> String { "<Bundle name=\"a\"><Path name=\"/f\">\(content)</Path></Bundle>" }
    #expect(try findings(bundle(one), bundle(two)) == ["changed Element Path:/f \(text)"])
  }

  @Test func childrenAreCompared() throws {
    func bundle(_ acl: String) -> String {
      "<Bundle name=\"a\"><Path name=\"/f\"><ACL perms=\"\(acl)\" scope=\"user\"/></Path></Bundle>"
    }
    let found = try findings(bundle("rw"), bundle("r"))
    #expect(found.count == 3 && found[0] == "changed Element Path:/f has different children", "\(found)")
    #expect(found[1].hasPrefix("-<ACL perms=\"rw\"") && found[2].hasPrefix("+<ACL perms=\"r\""), "\(found)")
  }

  @Test func severalEntriesOfANameHavePartners() throws {
    let one = "<Bundle name=\"a\"><Package name=\"p\"/></Bundle><Bundle name=\"b\"><Package name=\"p\"/></Bundle>"
    let two = "<Bundle name=\"a\"/><Bundle name=\"b\"><Package name=\"p\"/></Bundle>"
    #expect(try findings(two, one) == ["added Element Package:p"])
    // The first of the old ones takes the only partner that is left to it.
    #expect(try findings(one, two).filter { $0.hasPrefix("removed") } == ["removed Element Package:p"])
  }

  @Test func theListIsThatOf13() throws {
    let lines = ConfigurationComparison(old: try document(old), new: try document(new)).summary()
    #expect(
      lines == [
        " Bundle lost only in old configuration", "  Path /f in bundle a:", "   contents and attributes (mode) differ",
        "  Package come in bundle a:", "   only in new configuration", "  Package gone in bundle a:",
        "   only in old configuration", " Bundle fresh only in new configuration",
      ])
  }

  @Test(arguments: [
    (["foo1.example.com", "foo2.example.com", "foo3.example.com", "foo6.example.com"], ["foo[1-3,6].example.com"]),
    (["h1", "h2"], ["h[1-2]"]), (["web"], ["web"]), (["db7.x", "web"], ["db7.x", "web"]),
    (["n09", "n10", "n8"], ["n[8,09-10]"]), (["a-1.x", "a-2.x", "b1.x"], ["a-[1-2].x", "b1.x"]),
    (["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2"]),
  ])
  func hostsAreRanges(_ names: [String], _ ranges: [String]) {
    #expect(HostRanges.texts(names) == ranges)
  }

  @Test func equalDifferencesAreToldOnce() throws {
    var report = ComparisonReport()
    let finding = ConfigurationComparison.Finding(kind: .removed, text: "Bundle a")
    report.add([finding], of: "h1.x")
    report.add([finding], of: "h2.x")
    #expect(
      report.lines(namesHosts: true, isColored: false) == ["===== h[1-2].x =====", "Removed: Bundle a", ""])
    #expect(
      report.lines(namesHosts: false, isColored: true) == ["\u{1b}[91mRemoved: Bundle a\u{1b}[0m"])
  }

  @Test func foldersHavePairsAndRemains() throws {
    let folder = TemporaryDirectory()
    for name in ["old/a.xml", "old/b.xml", "new/b.xml", "new/c.xml"] { folder.write("<Configuration/>", to: name) }
    let files = try ComparedFiles(folder.file("old"), folder.file("new"))
    #expect(files.pairs.map(\.host) == ["b"] && files.removed == ["a"] && files.added == ["c"])
    #expect(throws: ComparedFiles.Problem.self) { try ComparedFiles(folder.file("old"), folder.file("new/b.xml")) }
    #expect(throws: ComparedFiles.Problem.self) { _ = try ComparedFiles.read(folder.file("nothing.xml")) }
  }
}
