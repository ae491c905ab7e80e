import Core
import CoreSupport
import Glibc
import Identity
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

/// The worked example of docs/plugins.md.
@Suite struct ExamplePluginTests {
  @Test func theExampleDoesWhatItsPageSays() async throws {
    let files = [
      "Metadata/groups.xml": RepositoryFixture.twoClients["Metadata/groups.xml"]!,
      "Metadata/clients.xml": RepositoryFixture.twoClients["Metadata/clients.xml"]!,
      "Notices/notices.xml": """
      <Notices><Notice>All</Notice><Client name="one"><Notice>Reboot &amp; rest</Notice></Client>
      <Group name="absent"><Notice>Nobody</Notice></Group></Notices>
      """,
    ]
    try await RepositoryFixture.run(files: files, names: ["10.0.0.1": "one"]) {
      (fixture: RepositoryFixture) async throws in
      fixture.core.initPlugin(NoticesPlugin.self)
      let metadata = try await fixture.core.buildMetadata("one")
      #expect((metadata[connector: "Notices"] as? Notices)?.texts == ["All", "Reboot & rest"])
      let entry = Element("Path", ["name": "/etc/motd.d/notices"])
      try await fixture.core.bind(entry, metadata)
      #expect(
        text(of: entry)
          == "<Path name=\"/etc/motd.d/notices\" type=\"file\" owner=\"root\" group=\"root\" mode=\"0644\">"
          + "All\nReboot &amp; rest\n</Path>")
      var settings = fixture.core.settings
      settings[NoticesOptions.standard.lines] = 1
      fixture.core.settingsChanged(settings)
      let short = try await fixture.core.buildMetadata("one")
      #expect((short[connector: "Notices"] as? Notices)?.texts == ["All"])
      fixture.edit("Notices/notices.xml", "<Notices><Notice")
      #expect(try await fixture.core.buildMetadata("one")[connector: "Notices"] is Notices)
      fixture.edit("Notices/notices.xml", "<Notices/>")
      await #expect(throws: PluginExecutionError.self) {
        try await fixture.core.bind(Element("Path", ["name": "/etc/motd.d/notices"]), metadata)
      }
      let local = Caller("localhost")
      let outcome = await fixture.core.dispatch(MethodCall(method: "Notices.Show", params: ["two"]), from: local)
      #expect(outcome.line == "[]")
    }
  }
}
