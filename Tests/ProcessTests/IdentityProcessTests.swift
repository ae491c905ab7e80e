import EventLoop
import Support
import Testing

/// Requests with the right password, and names that no client can have.
@Suite struct IdentityProcessTests {
  private static let settings = [
    "server": [
      "plugins = Bundler,Cfg,Metadata,NagiosGen,Ohai,Probes,Rules,SSHbase", "authentication_delay = 0",
    ]
  ]

  private static func files(_ folder: TemporaryDirectory, below path: String) -> [String] {
    let names = folder.names(in: path)
    if names.isEmpty { return [path] }
    return names.flatMap { files(folder, below: "\(path)/\($0)") }
  }

  @Test func aHostileNameIsRefusedOnTheWireAndLeavesNothing() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let server = try await ServerFixture(settings: Self.settings, on: loop)
      try await server.start()
      // A client with a valid name, so that files of a good request exist before the others.
      #expect(try await server.call("GetConfig", user: "good.example.com").status == 200)
      let before = Self.files(server.folder, below: "repo")
      let names = [
        "a\nCN = secure.example.com", "a\r\n2026-01-01 00:00:00,000 bcfg2-server[1]: forged", "\u{202E}evil",
        "db.example.com.", "localhost.", ".x", "", "*", ".", "..", "../../../x/daemon", "/etc/passwd",
        "GetProbes victim", "cafe\u{301}", "caf\u{E9}", "-rf",
        String(repeating: "x", count: 4000), "$(id)", "a;b",
      ]
      let upload = """
        <param><value><string>&lt;probe-data&gt;&lt;probe-data name="Ohai" source="Ohai"&gt;{}&lt;/probe-data&gt;\
        &lt;/probe-data&gt;</string></value></param>
        """
      for name in names {
        for (method, parameters) in [("GetConfig", ""), ("RecvProbeData", upload)] {
          let answer = try await server.call(method, parameters, user: name)
          #expect(answer.status == 401 && !answer.body.contains("methodResponse"), "\(name.debugDescription)")
        }
      }
      #expect(Self.files(server.folder, below: "repo") == before)
      let clients = try String(
        decoding: AtomicFile.readFile(server.folder.file("repo/Metadata/clients.xml"), limitBytes: 1 << 20),
        as: UTF8.self)
      #expect(clients.contains("good.example.com") && !clients.contains("daemon") && !clients.contains("name=\"\""))
      await server.stop()
      // One line with the reason for each, up to the limit of an address, and none that imitates another.
      let said = server.logText.split(separator: "\n").filter { $0.contains("no client's name") }
      #expect(said.count >= 8 && said.count <= 2 * names.count, "\(said.count)")
      #expect(said.contains { $0.contains("it has the byte 0a: a\\nCN = secure.example.com") })
      #expect(!server.logText.split(separator: "\n").contains { $0.hasPrefix("2026-01-01") })
      #expect(server.logText.contains("\\u{202e}evil"))
    }
  }

  /// A request with many bad parts writes a few lines, and their number.
  @Test func whatOneRequestWritesIntoTheLogIsBounded() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let server = try await ServerFixture(settings: Self.settings, on: loop)
      try await server.start()
      let long = String(repeating: "n", count: 800)
      for (attributes, count) in [
        ("name='%\(long)' source='Probes'", 900), ("source='Probes'", 900), ("name='a' source='%\(long)'", 900),
      ] {
        let items = (0..<count).map { "<probe-data \(attributes.replacing("%", with: String($0)))/>" }.joined()
        let text = "<p>\(items)</p>".replacing("<", with: "&lt;")
        let answer = try await server.call(
          "RecvProbeData", "<param><value><string>\(text)</string></value></param>", user: "good.example.com")
        #expect(answer.status == 200 && !answer.body.contains("fault"), "\(answer.body)")
      }
      await server.stop()
      let lines = server.logText.split(separator: "\n")
      for (text, count) in [
        ("Got null response to probe", 10), ("Probe data without a name from", 10),
        ("Got 890 more probes without a name or a response from good.example.com", 2), ("Failed to locate plugin", 10),
        ("Failed to locate 890 more plugins", 1),
      ] {
        let said = lines.filter { $0.contains(text) }
        #expect(said.count == count && said.allSatisfy { $0.utf8.count < 600 }, "\(text): \(said.count)")
      }
    }
  }
}
