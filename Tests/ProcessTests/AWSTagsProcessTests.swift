import EventLoop
import Glibc
import Support
import Testing

/// The plugin AWSTags in a server's process, which has `bcfg2-packages` ask a service on loopback.
@Suite(.serialized) struct AWSTagsProcessTests {
  @Test(arguments: ["builtin", "multiprocessing"])
  func configurationsFollowTheTags(_ backend: String) async throws {
    let service = try EC2Program()
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: [
          "server": ["plugins = AWSTags,Bundler,Metadata,Rules", "backend = \(backend)", "children = 2"],
          "awstags": service.options,
        ], on: loop)
      let folder = server.folder
      folder.write(
        """
        <Groups><Group name="base" profile="true" public="true" default="true"><Bundle name="tagged"/></Group></Groups>
        """, to: "repo/Metadata/groups.xml")
      folder.write(
        "<Clients><Client name=\"localhost\" profile=\"base\" address=\"127.0.0.1\"/></Clients>",
        to: "repo/Metadata/clients.xml")
      folder.write(
        """
        <Bundle><Group name="role-web"><BoundPath name="/web" type="directory"/></Group>
        <Group name="role-db"><BoundPath name="/db" type="directory"/></Group></Bundle>
        """, to: "repo/Bundler/tagged.xml")
      folder.write(
        "<AWSTags><Tag name='^role$' value='(.*)'><Group>role-$1</Group></Tag></AWSTags>",
        to: "repo/AWSTags/config.xml")
      try service.instance("localhost", [("role", "web")])
      try await server.start()
      @MainActor func paths() async throws -> [String] {
        let body = try await server.call("GetConfig").body
        return ["/web", "/db"].filter { body.contains("name=&quot;\($0)&quot;") || body.contains("name=\"\($0)\"") }
      }
      #expect(try await paths() == ["/web"])
      #expect(try await paths() == ["/web"])
      try service.instance("localhost", [("role", "db")])
      #expect(try await paths() == ["/db"])
      // EC2 goes away: the client keeps what it had.
      try service.fail(403, "UnauthorizedOperation", times: 1)
      #expect(try await paths() == ["/db"])
      #expect(try await server.waitForLog("AWSTags: EC2 cannot be asked: UnauthorizedOperation: why"))
      try service.instance("localhost", [("role", "web")])
      #expect(try await server.call("AWSTags.expire_cache").status == 200)
      #expect(try await paths() == ["/web"])
      #expect(try await server.waitForLog("AWSTags: EC2 answers again"))
      #expect(!server.logText.contains("wJalrXUtnFEMI"))
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func withoutKeysThePluginIsNotLoaded() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["server": ["plugins = AWSTags,Bundler,Metadata,Rules"]], on: loop)
      try await server.start()
      #expect(
        server.logText.contains(
          "AWSTags is not configured in bcfg2.conf: No option 'access_key_id' in section: 'awstags'"))
      #expect(try await server.call("GetConfig").status == 200)
      #expect(await server.stop() == .exited(0))
    }
  }
}
