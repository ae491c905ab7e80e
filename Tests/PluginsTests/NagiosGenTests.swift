import CoreSupport
import Repository
import ServerSettings
import Support
import Testing

private func line(_ name: String, _ value: String) -> String {
  "\t" + name + String(repeating: " ", count: 32 - name.utf8.count) + " \(value)\n"
}

@Test func hostsAreDefinedAndCollected() async throws {
  let paths = ["/etc/nagiosgen.status", "/etc/nagios/conf.d/bcfg2.cfg", "/etc/nagios/nagiosgen.cfg"]
  let files = RepositoryFixture.files(
    bundle: paths.map { "<Path name=\"\($0)\"/>" }.joined(),
    [
      "NagiosGen/web-group.cfg": "web group\n", "NagiosGen/none-group.cfg": "nobody's\n",
      "NagiosGen/default-group.cfg": "default group\n", "NagiosGen/entries-bundle.cfg": "a bundle\n",
      "NagiosGen/config.xml": """
      <NagiosGen><Group name="web"><Option name="check">ping</Option></Group><Option name="check">again</Option></NagiosGen>
      """,
    ])
  let names = ["192.0.2.1": "one.example.com"]
  try await RepositoryFixture.run(files: files, names: names, settings: RepositoryFixture.settings("NagiosGen")) {
    fixture async throws in
    let host =
      "define host {\n" + line("host_name", "one.example.com") + line("alias", "one.example.com")
      + line("address", "192.0.2.1") + line("hostgroups", "entries,web") + line("check", "again")
      + line("use", "default") + "}\n"
    let own = try #require(try await fixture.entry(paths[0]))
    #expect(own.text == host && own["mode"] == "0400" && own["owner"] == "root")
    #expect(try fixture.text("NagiosGen/one.example.com-host.cfg") == host)
    let server = try #require(try await fixture.entry(paths[1]))
    #expect(server.text == "default group\n\nweb group\n\n\n\(host)" && server["owner"] == "nagios")
    #expect(try fixture.text("NagiosGen/nagiosgen.cfg") == server.text)
    #expect(try await fixture.entry(paths[2])?["failure"] != nil)
    // A client without an address has no definition.
    #expect(try await fixture.entry(paths[0], of: "two.example.com")?["failure"] != nil)
  }
  let older = RepositoryFixture.settings("NagiosGen", compatibility: .v1_3)
  try await RepositoryFixture.run(files: files, names: names, settings: older) { fixture async throws in
    #expect(try await fixture.entry(paths[0])?.text?.contains(line("hostgroups", "web")) ?? false)
    #expect(try await fixture.entry(paths[2])?.text?.hasPrefix("web group\n\n\ndefine host {") ?? false)
    #expect(try await fixture.entry(paths[1])?["failure"] != nil)
  }
}
