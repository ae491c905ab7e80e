import CoreSupport
import Repository
import Support
import Testing

@testable import Plugins

@Test(
  arguments: [
    ("a", "a", nil), ("a:x86_64", "a", ["x86_64"]), ("a:b:i386,x86_64", "a:b", ["i386", "x86_64"]), ("a:", "a:", nil),
    ("a: b", "a: b", nil), ("a:b ", "a", ["b"]),
  ] as [(String, String, [String]?)])
func packageNamesChooseArchitectures(_ text: String, name: String, architectures: [String]?) {
  let split = PkgmgrPlugin.split(text)
  #expect(split?.name ?? text == name)
  #expect(split?.architectures.map { String($0) } == architectures)
}

private let list = """
  <PackageList uri="http://p" priority="5" type="rpm">
    <Package name="plain" version="1.0"/>
    <Package name="simple" simplefile="simple-2.deb" type="deb"/>
    <Package file="sub/tool-1.2-3.noarch.rpm"/>
    <Package name="multi" multiarch="i386 x86_64" srcs="a b" file="%(src)s/multi-4-5.%(arch)s.rpm"/>
    <Package name="inst" type="yum"><Instance arch="x86_64"/><Instance arch="i386"/></Package>
    <Package name="over" version="outer"/>
    <Group name="web" uri="http://web"><Package name="over" version="inner"/></Group>
    <Package file="nonsense.rpm"/>
    <Package name="unsplit" file="unsplit.rpm" version="1"><Instance arch="noarch"/></Package>
    <Package name="listed-as" file="really-1-2.noarch.rpm"/>
    <Package version="nameless"/>
    <Service name="listed" status="on"/>
  </PackageList>
  """

@Test func packageListsGiveAttributes() async throws {
  let bundle = ["plain", "simple", "tool", "multi", "inst:i386", "over", "none", "none:i386", "unsplit", "listed-as"]
    .map {
      "<Package name=\"\($0)\"/>"
    }.joined()
  let files = RepositoryFixture.files(bundle: bundle + "<Service name=\"listed\"/>", ["Pkgmgr/a.xml": list])
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Pkgmgr")) {
    fixture async throws in
    let expected: [(name: String, attributes: [String: String])] = [
      ("plain", ["version": "1.0", "uri": "http://p", "priority": "5", "type": "rpm"]),
      ("simple", ["url": "http://p/simple-2.deb", "type": "deb"]),
      ("tool", ["url": "http://p/sub/tool-1.2-3.noarch.rpm", "version": "1.2-3", "arch": "noarch"]),
      ("multi", ["url": "http://p/a/multi-4-5.i386.rpm http://p/b/multi-4-5.x86_64.rpm", "version": "4-5"]),
      ("over", ["version": "inner", "uri": "http://web"]),
      ("listed", ["status": "on", "type": "rpm"]),
    ]
    for (name, attributes) in expected {
      let entry = try #require(try await fixture.entry(name))
      for (attribute, value) in attributes { #expect(entry[attribute] == value, "\(name) \(attribute)") }
    }
    #expect(try await fixture.entry("over", of: "two.example.com")?["version"] == "outer")
    // A file name without a match, and a name that differs from the attribute: both are bound without contents.
    for name in ["unsplit", "listed-as"] {
      #expect(try await fixture.entry(name)?.attributes.map(\.name) == ["name"])
    }
    #expect(try await fixture.entry("unsplit")?.children.compactMap { $0["arch"] } == ["noarch"])
    #expect(try await fixture.entry("inst")?.children.compactMap { $0["arch"] } == ["i386"])
    let failed = try await fixture.entries().filter { $0.hasSuffix("!") }
    #expect(failed == ["Package:none!", "Package:none:i386!"])
    fixture.edit("Pkgmgr/b.xml", "<PackageList priority=\"9\"><Package name=\"plain\" version=\"2.0\"/></PackageList>")
    #expect(try await fixture.entry("plain")?["version"] == "2.0")
    fixture.edit("Pkgmgr/b.xml", "<PackageList priority=\"5\"><Package name=\"plain\" version=\"2.0\"/></PackageList>")
    #expect(try await fixture.entry("plain")?["failure"] != nil)
  }
}
