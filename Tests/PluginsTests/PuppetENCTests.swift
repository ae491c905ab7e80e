import Core
import CoreSupport
import Formats
import Plugins
import Support
import Testing

@Test func classifiersGiveGroupsAndParameters() async throws {
  let files = RepositoryFixture.files(
    bundle: ["a", "b", "two"].map { "<Group name=\"\($0)\"><BoundAction name=\"\($0)\"/></Group>" }.joined())
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("PuppetENC")) {
    fixture async throws in
    @MainActor func write(_ body: String) {
      fixture.repository.write("#!/bin/sh\n\(body)\n", to: "PuppetENC/enc", mode: 0o755)
    }
    #expect(try await fixture.entries() == [])
    write("echo 'classes: [a]'; if [ $1 = two.example.com ]; then echo '# \\n'; echo 'groups: [two]'; fi")
    #expect(try await fixture.entries() == ["Action:a"])
    write("echo 'classes: {a: {x: 1}, b: }'; echo 'parameters: {y: 2}'; echo 'environment: e'")
    #expect(try await fixture.entries() == ["Action:a", "Action:b"])
    let data = try await fixture.metadata()[connector: "PuppetENC"] as? PuppetENCData
    #expect(data?.parameters.map(\.name) == ["x", "y"])
    for (body, message) in [
      ("echo broken >&2; exit 2", "PuppetENC: Error running ENC enc for one.example.com: broken\n (rv: 2)"),
      ("exit 3", "PuppetENC: Error running ENC enc for one.example.com: No output or error; return value 3"),
      (
        "printf 'classes: [\\351]'", "Error decoding YAML from enc for one.example.com: it is not UTF-8"
      ),
      (
        "echo '[a'",
        "Error decoding YAML from enc for one.example.com: line 2: "
          + "while parsing a flow sequence: did not find expected ',' or ']'"
      ),
      ("true", "'NoneType' object has no attribute 'get'"),
    ] {
      write(body)
      for plugin in fixture.core.interfaces.caching { plugin.expireCache(key: nil) }
      let error = await #expect(throws: PluginExecutionError.self) { try await fixture.metadata() }
      #expect(error?.description == message)
    }
  }
}
