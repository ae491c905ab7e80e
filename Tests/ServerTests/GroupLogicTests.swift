import Support
import Testing

@testable import Server

@Test func leavesAreGroupsAndOthersConditions() async throws {
  let files = PluginRepository.files([
    "GroupLogic/groups.xml": """
    <GroupLogic xmlns:py="http://genshi.edgewall.org/">
      <Group name="web"><Group name="from-web"/><Group name="red" category="colour"/></Group>
      <Client name="two.example.com"><Group name="from-two"/></Client>
    </GroupLogic>
    """
  ])
  try await CoreBench.run(files: files, settings: PluginRepository.settings("GroupLogic")) { bench async throws in
    let one = try await bench.metadata()
    #expect(one.groups == ["base", "web", "from-web", "red"] && one.categories == ["colour": "red"])
    #expect(try await bench.metadata("two.example.com").groups == ["other", "from-two"])
    bench.edit("GroupLogic/groups.xml", "<GroupLogic><Group name=\"edited\"/></GroupLogic>")
    #expect(try await bench.metadata("two.example.com").groups == ["other", "edited"])
    // Nothing renders templates here: one line says so.
    bench.edit("GroupLogic/groups.xml", "<GroupLogic><Group name=\"${metadata.hostname}\"/></GroupLogic>")
    let error = await #expect(throws: PluginExecutionError.self) { try await bench.metadata() }
    #expect(error?.description.hasSuffix("groups.xml is a template, and nothing renders templates") ?? false)
  }
}
