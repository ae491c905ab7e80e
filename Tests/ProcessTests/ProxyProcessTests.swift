import EventLoop
import Glibc
import Support
import Testing

/// The server process behind a proxy: who a client is where only its address tells.
@Suite(.serialized) struct ProxyProcessTests {
  /// A server whose clients have addresses of their own and no names.
  @MainActor private func serve(_ lines: [String], on loop: Reactor) async throws -> ServerFixture {
    let server = try await ServerFixture(settings: ["server": lines, "logging": ["verbose = true"]], on: loop)
    server.folder.write(
      "<Clients><Client name='far' profile='basic' address='198.51.100.7'/>"
        + "<Client name='six' profile='basic' address='2001:db8::7'/>"
        + "<Client name='proxy' profile='basic' address='127.0.0.1'/></Clients>", to: "repo/Metadata/clients.xml")
    try await server.start()
    return server
  }

  /// Whom the server takes a client for that does not name itself; nil where the connection ends.
  @MainActor private func client(
    after header: [UInt8] = [], headers: String = "", method: String = "GetConfig", _ server: ServerFixture
  ) async throws -> Int? {
    let client = try TestClient(port: server.port)
    defer { client.close() }
    if !header.isEmpty { #expect(send(client.descriptor, header, header.count, Int32(MSG_NOSIGNAL)) == header.count) }
    guard try await client.handshake(on: server.loop) else { return nil }
    return try await client.call(method, headers: headers, on: server.loop)?.status
  }

  @Test(arguments: ServerFixture.backends)
  func theClientOfTheHeaderIsServed(_ backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await serve(
        ["backend = \(backend)", "children = 2", "proxy_protocol = yes", "trusted_proxies = 127.0.0.0/8, ::1"], on: loop
      )
      let far = ProxyHeaderBytes.make(client: (198, 51, 100, 7), port: 4711)
      #expect(try await client(after: far, server) == 200)
      #expect(try await server.waitForLog("Generated config for far"))
      let six = ProxyHeaderBytes.make(
        family: 0x21,
        body: [0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 0, count: 15) + [1]
          + [0, 80, 0, 90])
      #expect(try await client(after: six, server) == 200)
      #expect(try await server.waitForLog("Generated config for six"))
      // Calls of administrators are for this machine.
      #expect(try await client(after: far, method: "get_statistics", server) == 401)
      let own = ProxyHeaderBytes.make(command: 0, family: 0, body: [])
      #expect(try await client(after: own, method: "get_statistics", server) == 200)
      // Nobody has this address.
      #expect(try await client(after: ProxyHeaderBytes.make(client: (198, 51, 100, 8), port: 1), server) == 401)
      #expect(try await server.waitForLog("198.51.100.8"))
      #expect(try await client(server) == nil)
      #expect(try await server.waitForLog("connection refused: the first bytes are no PROXY header"))
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func aHeaderOfAnyoneElseIsRefused() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await serve(["proxy_protocol = yes", "trusted_proxies = 192.0.2.1"], on: loop)
      let far = ProxyHeaderBytes.make(client: (198, 51, 100, 7), port: 4711)
      #expect(try await client(after: far, server) == nil)
      #expect(try await server.waitForLog("connection refused: it sends a PROXY header and is not in trusted_proxies"))
      #expect(try await client(server) == 200)
      #expect(try await server.waitForLog("Generated config for proxy"))
      #expect(!server.logText.contains("Generated config for far"))
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func theClientOfAForwardedRequestIsServed() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await serve(["forwarded = yes", "trusted_proxies = 127.0.0.1"], on: loop)
      let far = "Forwarded: for=127.0.0.1, for=198.51.100.7\r\n"
      #expect(try await client(headers: far, server) == 200)
      #expect(try await server.waitForLog("Generated config for far"))
      #expect(try await client(headers: far, method: "get_statistics", server) == 401)
      #expect(try await client(headers: "Forwarded: for=unknown\r\n", server) == 400)
      #expect(try await client(headers: "X-Forwarded-For: 198.51.100.8\r\n", server) == 200)
      #expect(try await server.waitForLog("Generated config for proxy"))
      #expect(await server.stop() == .exited(0))
    }
  }
}
