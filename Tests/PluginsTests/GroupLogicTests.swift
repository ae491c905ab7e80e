import Core
import CoreSupport
import Support
import Testing
import XMLRPC

@Test func leavesAreGroupsAndOthersConditions() async throws {
  let files = RepositoryFixture.files([
    "GroupLogic/groups.xml": """
    <GroupLogic xmlns:py="http://genshi.edgewall.org/">
      <Group name="web"><Group name="from-web"/><Group name="red" category="colour"/></Group>
      <Client name="two.example.com"><Group name="from-two"/></Client>
    </GroupLogic>
    """
  ])
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("GroupLogic")) {
    fixture async throws in
    let one = try await fixture.metadata()
    #expect(one.groups == ["base", "web", "from-web", "red"] && one.categories == ["colour": "red"])
    #expect(try await fixture.metadata("two.example.com").groups == ["other", "from-two"])
    fixture.edit("GroupLogic/groups.xml", "<GroupLogic><Group name=\"edited\"/></GroupLogic>")
    #expect(try await fixture.metadata("two.example.com").groups == ["other", "edited"])
    // A file without Genshi's namespace is no template.
    fixture.edit("GroupLogic/groups.xml", "<GroupLogic><Group name=\"${metadata.hostname}\"/></GroupLogic>")
    #expect(try await fixture.metadata("two.example.com").groups == ["other", "${metadata.hostname}"])
    fixture.edit(
      "GroupLogic/groups.xml",
      "<GroupLogic xmlns:py=\"http://genshi.edgewall.org/\"><Group name=\"${metadata.hostname}\"/></GroupLogic>")
    #expect(try await fixture.metadata("two.example.com").groups == ["other", "two.example.com"])
  }
}
