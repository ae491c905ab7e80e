import CoreSupport
import Support
import Testing

@testable import Info

/// `why`: the history of entries.
@Suite struct WhyTests {
  private func why(_ info: InfoFixture, _ line: String) async throws -> String {
    try await info.out("why \(line)").replacing(info.fixture.repository.path, with: "REPO")
  }

  @Test func aFileOfCfg() async throws {
    try await InfoFixture.with { info async throws in
      #expect(
        try await why(info, "one.example.com Path:/etc/motd") == """
          Path:/etc/motd of one.example.com
          in entries, by Bundler
            REPO/Bundler/entries.xml:1, for all clients
            entries is a bundle of group base: REPO/Metadata/groups.xml:2
              in group base: the client's profile: REPO/Metadata/clients.xml
          bound by Cfg
            contents: REPO/Cfg/etc/motd/motd.G10_web, for Group web, priority 10
              lost: contents: REPO/Cfg/etc/motd/motd, for all clients (motd.G10_web is more specific)
            attributes: REPO/Cfg/etc/motd/info.xml:1, for all clients: group=adm mode=0640 owner=root
          result: group=adm important=false mode=0640 owner=root paranoid=true secontext=__default__ sensitive=false type=file

          """)
    }
  }

  @Test func rulesAndPriorities() async throws {
    var files = InfoFixture.files
    files["Rules/s.xml"] = """
      <Rules priority="5">
        <Group name="web"><Package name="ssh" version="2"/></Group>
      </Rules>
      """
    try await InfoFixture.with(files: files) { info async throws in
      let text = try await why(info, "one.example.com Package:ssh")
      #expect(text.contains("bound by Rules\n  rule: REPO/Rules/s.xml:2, for priority 5, Group web: version=2\n"))
      #expect(
        text.contains(
          "    lost: rule: REPO/Rules/r.xml:1, for priority 1, all clients: type=deb version=auto (its priority is lower)\n"
        ))
      #expect(text.hasSuffix("result: version=2\n"))
      // Conditions that do not hold leave nothing behind.
      #expect(try await !why(info, "two.example.com Package:ssh").contains("Rules/s.xml"))
    }
  }

  private func with(
    _ plugin: String, _ more: [String: String], bundle: String, _ body: @escaping (InfoFixture) async throws -> Void
  ) async throws {
    var files = InfoFixture.files
    files["Bundler/entries.xml"] = "<Bundle>\(bundle)</Bundle>"
    try await InfoFixture.with(
      files: files.merging(more) { $1 }, settings: RepositoryFixture.settings(plugin), body)
  }

  @Test func listsOfPkgmgr() async throws {
    let files = [
      "Pkgmgr/a.xml": #"<PackageList priority="1" type="deb"><Package name="ssh" version="1"/></PackageList>"#,
      "Pkgmgr/b.xml": """
      <PackageList priority="5" type="deb">
        <Group name="web"><Package name="ssh" version="2"/></Group>
      </PackageList>
      """,
    ]
    try await with("Pkgmgr", files, bundle: #"<Package name="ssh"/>"#) { info async throws in
      let text = try await why(info, "one.example.com Package:ssh")
      #expect(text.contains("bound by Pkgmgr\n  list: REPO/Pkgmgr/b.xml:2, for priority 5, Group web: "), "\(text)")
      #expect(text.contains("    lost: list: REPO/Pkgmgr/a.xml:1, for priority 1, all clients: "), "\(text)")
      #expect(text.contains(" (its priority is lower)\n"), "\(text)")
      #expect(try await !why(info, "two.example.com Package:ssh").contains("b.xml"))
    }
  }

  @Test func keysOfSSHbase() async throws {
    let files = [
      "SSHbase/ssh_host_rsa_key.H_one.example.com": "secret\n", "SSHbase/ssh_host_rsa_key.G10_web": "all\n",
      "SSHbase/info.xml": #"<FileInfo><Info mode="0640"/></FileInfo>"#,
    ]
    try await with("SSHbase", files, bundle: #"<Path name="/etc/ssh/ssh_host_rsa_key"/>"#) { info async throws in
      let text = try await why(info, "one.example.com Path:/etc/ssh/ssh_host_rsa_key")
      let key = "REPO/SSHbase/ssh_host_rsa_key"
      #expect(text.contains("  contents: \(key).H_one.example.com, for Client one.example.com\n"), "\(text)")
      #expect(text.contains("    lost: contents: \(key).G10_web, for Group web, priority 10 ("), "\(text)")
      #expect(text.contains("  attributes: REPO/SSHbase/info.xml:1, for all clients: mode=0640\n"), "\(text)")
    }
  }

  @Test func optionsOfNagiosGen() async throws {
    let files = [
      "NagiosGen/config.xml": """
      <NagiosGen>
        <Option name="use">first</Option>
        <Group name="web"><Option name="use">second</Option></Group>
      </NagiosGen>
      """
    ]
    try await with("NagiosGen", files, bundle: #"<Path name="/etc/nagiosgen.status"/>"#) { info async throws in
      let text = try await why(info, "one.example.com Path:/etc/nagiosgen.status")
      #expect(text.contains("  option: REPO/NagiosGen/config.xml:3, for this client: use=second\n"), "\(text)")
      #expect(text.contains("    lost: option: REPO/NagiosGen/config.xml:2, for this client: use=first ("), "\(text)")
    }
  }

  @Test func boundEntriesAndGroupsOfGroups() async throws {
    var files = InfoFixture.files
    files["Metadata/groups.xml"] = """
      <Groups>
        <Group name="base" profile="true"><Group name="web"/></Group>
        <Group name="other" profile="true"><Bundle name="entries"/></Group>
        <Group name="web">
          <Client name="one.example.com"><Group name="extra"/></Client>
        </Group>
        <Group name="extra"><Bundle name="entries"/></Group>
      </Groups>
      """
    try await InfoFixture.with(files: files) { info async throws in
      let text = try await why(info, "one.example.com Path:/srv")
      #expect(text.contains("bound in entries, by Bundler\n  REPO/Bundler/entries.xml:2, for Group web\n"))
      #expect(
        text.contains(
          """
            entries is a bundle of group extra: REPO/Metadata/groups.xml:7
              in group extra: for Group web, Client one.example.com: REPO/Metadata/groups.xml:5
              in group web: for Group base: REPO/Metadata/groups.xml:2
              in group base: the client's profile: REPO/Metadata/clients.xml
          """), "\(text)")
      #expect(!text.contains("generator"))
    }
  }

  @Test func entriesThatNobodyHasOrBinds() async throws {
    var files = InfoFixture.files
    files["Bundler/entries.xml"] = """
      <Bundle><RequiredBundle name="needed"/><Path name="/x" altsrc="/nosuch"/></Bundle>
      """
    files["Bundler/needed.xml"] = #"<Bundle><Package name="ssh"/></Bundle>"#
    try await InfoFixture.with(files: files) { info async throws in
      await #expect(throws: InfoProblem.self) { try await info.run("why one.example.com Path:/nosuch") }
      #expect(try await info.run("why one.example.com nosuch").status == 2)
      let text = try await why(info, "one.example.com Path:/x")
      #expect(text.contains("looked up as Path:/nosuch (altsrc)\nno generator has it\n") && text.contains("failure="))
      #expect(
        try await why(info, "one.example.com Package:ssh").contains(
          "  required by REPO/Bundler/entries.xml:1, for all clients\n"))
      #expect(try await info.out("why --json one.example.com Package:ssh").contains(#""generators" : ["#))
    }
  }
}
