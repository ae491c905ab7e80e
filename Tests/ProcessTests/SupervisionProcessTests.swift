import EventLoop
import Glibc
import Support
import Testing

/// The server process under a service manager, with each core whose connections differ: what it tells, and sockets that
/// another process keeps. `Tests/Systemd/run.py` tries the rest of the protocol.
@Suite(.serialized) struct SupervisionProcessTests {
  @Test(arguments: ServerFixture.backends) func theManagerIsToldOfItsLife(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["server": ["backend = \(backend)", "children = 1"]], on: loop)
      let manager = NotifyReceiver(in: server.folder)
      try await server.start(environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "50000"])
      #expect(try await isTold("READY=1", 1, manager, loop))
      // A turn of each of its threads is behind each but the first.
      #expect(try await isTold("WATCHDOG=1", 4, manager, loop))
      server.signal(SIGHUP)
      #expect(try await isTold("RELOADING=1", 1, manager, loop))
      #expect(try await isTold("READY=1", 2, manager, loop))
      let fed = manager.count(of: "WATCHDOG=1")
      #expect(try await isTold("WATCHDOG=1", fed + 2, manager, loop))
      #expect(await server.stop() == .exited(0))
      #expect(manager.count(of: "STOPPING=1") == 1)
    }
  }

  /// Clients that the kernel keeps, that a server has accepted, and that have shaken hands: none notices the next server.
  @Test(arguments: ServerFixture.connectionBackends) func aRestartDropsNoConnection(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let settings = ["server": ["backend = \(backend)"]]
      let servers = [
        try await ServerFixture(settings: settings, on: loop), try await ServerFixture(settings: settings, on: loop),
      ]
      let port = servers[0].port
      let kept = try Listener.bind(to: try #require(SocketAddress(host: "127.0.0.1", port: port)))
      var waiting = try TestClient(port: port)
      try await servers[0].start(listeners: [kept.rawValue])
      for round in 0..<3 {
        let (old, new) = (servers[round % 2], servers[(round + 1) % 2])
        #expect(old.logText.contains("1 listening sockets of the service manager are used, not [components] bcfg2"))
        #expect(try await status(waiting, loop) == 200)
        waiting.close()
        let shaken = try TestClient(port: port)
        #expect(try await shaken.handshake(on: loop))
        let clients = [shaken] + (try (0..<5).map { _ in try TestClient(port: port) })
        old.signal(SIGTERM)
        #expect(try await old.waitForLog("server_close()"))
        waiting = try TestClient(port: port)
        let answers = clients.map { client in Task { try await status(client, loop) } }
        try await new.start(listeners: [kept.rawValue])
        for answer in answers { #expect(try await answer.value == 200, "round \(round)") }
        for client in clients { client.close() }
        #expect(await old.waitForExit() == .exited(0))
      }
      #expect(try await status(waiting, loop) == 200)
      waiting.close()
      #expect(await servers[1].stop() == .exited(0))
    }
  }

  private func status(_ client: TestClient, _ loop: Reactor) async throws -> Int? {
    guard try await client.handshake(on: loop) else { return nil }
    return try await client.call("GetConfig", on: loop)?.status
  }

  private func isTold(_ line: String, _ count: Int, _ manager: NotifyReceiver, _ loop: Reactor) async throws -> Bool {
    let deadline = MonotonicTime.now() + .seconds(120)
    while manager.count(of: line) < count {
      if MonotonicTime.now() > deadline { return false }
      await loop.nextIteration()
    }
    return true
  }
}
