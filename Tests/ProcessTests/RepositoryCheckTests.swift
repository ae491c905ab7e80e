import EventLoop
import Support
import Testing

/// `bcfg2-server --check`.
struct RepositoryCheckTests {
  private let folder = TemporaryDirectory()

  init() {
    folder.write(
      """
      [server]
      repository = \(folder.file("none"))
      plugins = Bundler,Cfg,Metadata,Rules
      [communication]
      password = x

      """, to: "bcfg2.conf")
    folder.write(
      """
      <Groups>
        <Group name='basic' profile='true'><Bundle name='b'/></Group>
        <Group name='other' profile='true'><Bundle name='b'/></Group>
      </Groups>
      """, to: "repo/Metadata/groups.xml")
    folder.write(
      """
      <Clients>
        <Client name='one.example.com' profile='basic'/><Client name='two.example.com' profile='basic'/>
        <Client name='three.example.com' profile='other'/>
      </Clients>
      """, to: "repo/Metadata/clients.xml")
    folder.write("<Bundle><Path name='/etc/motd'/></Bundle>", to: "repo/Bundler/b.xml")
    folder.write("hello\n", to: "repo/Cfg/etc/motd/motd")
  }

  private func check(
    _ arguments: [String] = []
  ) async throws -> (status: ChildProcess.ExitStatus, lines: [String], error: String) {
    try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        [Project.server, "-C", folder.file("bcfg2.conf"), "--check", folder.file("repo")] + arguments, input: [],
        timeout: .seconds(60), outputLimitBytes: 1 << 20, on: loop)
      return (
        result.status, String(decoding: result.standardOutput, as: UTF8.self).split(separator: "\n").map(String.init),
        String(decoding: result.standardError, as: UTF8.self)
      )
    }
  }

  @Test func goodRepositoriesPass() async throws {
    let result = try await check()
    #expect(result.status == .exited(0) && result.error.isEmpty, "\(result)")
    #expect(
      result.lines == [
        "3 clients, 3 entries: 0 entries fail, 0 clients are concerned; 0 errors, 0 warnings"
      ])
    let one = try await check(["--client", "two.example.com"])
    #expect(one.lines.first?.hasPrefix("1 client, 1 entry: 0 entries fail, ") == true, "\(one)")
    folder.write("<Bundle><Path name='/etc/none'/></Bundle>", to: "repo/Bundler/b.xml")
    let failing = try await check(["--client", "two.example.com"])
    #expect(
      failing.lines.last == "1 client, 1 entry: 1 entry fails, 1 client is concerned; 1 error, 0 warnings", "\(failing)"
    )
    let nobody = try await check(["--client", "nobody"])
    #expect(nobody.status == .exited(1) && nobody.error.contains("there is no client nobody"), "\(nobody)")
  }

  @Test func messagesAreToldOnceForAllClients() async throws {
    folder.write(
      "<Bundle><Path name='/etc/none'/><Group name='other'><Path name='/etc/more'/></Group></Bundle>",
      to: "repo/Bundler/b.xml")
    folder.write("<Rules priority='1'>", to: "repo/Rules/r.xml")
    let result = try await check()
    #expect(result.status == .exited(1), "\(result)")
    #expect(result.lines.contains { $0.hasPrefix("error: ") && $0.contains("repo/Rules/r.xml:1: ") })
    #expect(result.lines.contains { $0.contains("Path:/etc/none") && $0.hasSuffix(" and 2 more)") }, "\(result)")
    #expect(result.lines.contains { $0.contains("Path:/etc/more") && $0.hasSuffix("(for three.example.com)") })
    #expect(
      result.lines.last?.hasPrefix("3 clients, 4 entries: 4 entries fail, 3 clients are concerned; ") == true,
      "\(result)")
  }

  /// The server loads them at its start.
  @Test func templatesAndModulesOfNoClientAreLoaded() async throws {
    folder.write("x = = 1\n", to: "repo/TemplateHelper/bad.py")
    folder.write("{% if %}x\n", to: "repo/Cfg/etc/unused/unused.jinja2")
    folder.write(
      """
      [server]
      repository = \(folder.file("none"))
      plugins = Bundler,Cfg,Metadata,TemplateHelper
      [communication]
      password = x

      """, to: "bcfg2.conf")
    let result = try await check()
    #expect(result.status == .exited(1), "\(result)")
    for text in ["repo/TemplateHelper/bad.py: SyntaxError: ", "repo/Cfg/etc/unused/unused.jinja2: Failed to load"] {
      #expect(result.lines.count { $0.hasPrefix("error: ") && $0.contains(text) } == 1, "\(result)")
    }
    #expect(result.lines.last?.hasSuffix("0 clients are concerned; 2 errors, 0 warnings") == true, "\(result)")
  }

  @Test func aBackendWithWhichNoServerStartsIsRefused() async throws {
    folder.write("[server]\nrepository = \(folder.file("none"))\nbackend = cherrypy\n", to: "bcfg2.conf")
    for command in ["--check", "--check-templates"] {
      let result = try await LoopDriver.withLoop { loop in
        try await ChildProcess.run(
          [Project.server, "-C", folder.file("bcfg2.conf"), command], timeout: .seconds(60), outputLimitBytes: 1 << 20,
          on: loop)
      }
      let error = String(decoding: result.standardError, as: UTF8.self)
      #expect(result.status == .exited(1) && error.contains("bcfg2.conf:3: [server] backend: wrong value"), "\(error)")
    }
  }

  @Test func keysAreNotMade() async throws {
    folder.write("<PrivateKey/>", to: "repo/Cfg/etc/key/privkey.xml")
    folder.write("<PublicKey/>", to: "repo/Cfg/etc/key.pub/pubkey.xml")
    folder.write("<Bundle><Path name='/etc/key'/></Bundle>", to: "repo/Bundler/b.xml")
    let result = try await check()
    #expect(result.status == .exited(0), "\(result)")
    #expect(result.lines.last?.hasSuffix("; 3 entries need keys that the server will make") == true, "\(result)")
    #expect(folder.names(in: "repo/Cfg/etc/key") == ["privkey.xml"])
  }
}
