import CoreSupport
import Repository
import Support
import Testing

private let bundle = "<Package name=\"app\"/><BoundPackage name=\"bound\"/><Package name=\"grouped\"/>"
private let rules = [
  "Rules/r.xml": "<Rules priority=\"1\">"
    + ["app", "grouped", "lib", "deep", "for-bound", "web-lib", "high"].map { "<Package name=\"\($0)\"/>" }.joined()
    + "</Rules>"
]

@Test func prerequisitesOfPrerequisitesAreAdded() async throws {
  let deps = """
    <Dependencies priority="1">
      <Package name="app"><Package name="lib"/><Package name="grouped"/></Package>
      <Package name="lib"><Package name="deep"/></Package>
      <Package name="bound"><Package name="for-bound"/></Package>
      <Group name="web"><Package name="grouped"><Package name="web-lib"/></Package></Group>
    </Dependencies>
    """
  let files = RepositoryFixture.files(bundle: bundle, rules.merging(["Deps/d.xml": deps]) { $1 })
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Deps", "Rules")) {
    fixture async throws in
    let structure = try #require(try await fixture.configuration(of: "one.example.com").children.first)
    #expect(structure.tag == "Independent" && structure.attributes.isEmpty)
    #expect(structure.children.compactMap(\.name) == ["deep", "for-bound", "lib", "web-lib"])
    #expect(try await !fixture.entries(of: "two.example.com").contains("Package:web-lib"))
    // As in 1.3.4, a condition within an entry is an entry.
    fixture.edit(
      "Deps/d.xml",
      "<Dependencies priority='1'><Package name='app'><Group name='web'><Package name='lib'/></Group></Package></Dependencies>"
    )
    #expect(try await fixture.entries().contains("Group:web!"))
    fixture.edit("Deps/d.xml", "<Dependencies priority=\"1\"/>")
    #expect(try await fixture.entries() == ["Package:app", "Package:bound", "Package:grouped"])
  }
}

@Test func anEntryInSeveralDepsFilesBringsNothing() async throws {
  func deps(_ priority: Int, _ name: String) -> String {
    "<Dependencies priority=\"\(priority)\"><Package name=\"app\"><Package name=\"\(name)\"/></Package></Dependencies>"
  }
  let files = RepositoryFixture.files(
    bundle: bundle, rules.merging(["Deps/a.xml": deps(1, "lib"), "Deps/b.xml": deps(2, "high")]) { $1 })
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Deps", "Rules")) {
    fixture async throws in
    // 1.3.4 chooses one by its priority, and then ignores its contents.
    #expect(try await fixture.entries() == ["Package:app", "Package:bound", "Package:grouped"])
    #expect(try await fixture.configuration(of: "one.example.com").children.count == 2)
    fixture.edit("Deps/a.xml", deps(2, "lib"))
    // The whole validator fails: the configuration is sent without its structure.
    #expect(try await fixture.entries() == ["Package:app", "Package:bound", "Package:grouped"])
    #expect(try await fixture.configuration(of: "one.example.com").children.count == 1)
    fixture.edit("Deps/a.xml", "<Dependencies priority=\"2\"/>")
    #expect(try await fixture.entries().contains("Package:high"))
  }
}
