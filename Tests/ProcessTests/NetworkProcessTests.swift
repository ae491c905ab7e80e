import EventLoop
import Glibc
import Support
import Testing

/// The server process on a network: counters, exhausted descriptors, a new certificate.
@Suite(.serialized) struct NetworkProcessTests {
  @Test(arguments: ServerFixture.connectionBackends) func countersAreWrittenAtSIGUSR1(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["server": ["backend = \(backend)", "request_line_bytes = 256"]], on: loop)
      try await server.start()
      #expect(try await server.call("GetConfig").status == 200)
      #expect(try await server.call("GetConfig", password: "wrong").status == 401)
      // A client that speaks plain HTTP is told about HTTPS, in plain text.
      var options = TestClient.Options()
      options.isPlain = true
      let plain = try TestClient(port: server.port, options)
      let told = try await plain.exchange(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), on: loop)
      #expect(told?.status == 400 && told?.text == "This port speaks HTTPS.\n")
      plain.close()
      // The request line is too long.
      let peer = try await connect(to: server)
      let long = "GET /\(String(repeating: "x", count: 300)) HTTP/1.1\r\n\r\n"
      #expect(try await peer.exchange(Array(long.utf8), on: loop)?.status == 414)
      server.signal(SIGUSR1)
      #expect(try await server.waitForLog("Requests refused, by status: 401 1, 414 1"))
      #expect(
        server.logText.contains("Network: accepted 4, handshakes 3, failed handshakes 0, plain HTTP 1, requests 2,"))
      #expect(server.logText.contains("authenticated 1, responses 3, failed authentications 1, delayed refusals 0,"))
      #expect(server.logText.contains("Limits reached: request_line_bytes 1"))
      #expect(
        server.logText.contains("limit request_line_bytes = 256 bytes reached: the request is larger; answered 414"))
      peer.close()
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test(arguments: ServerFixture.connectionBackends) func descriptorsRunOutAndComeBack(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: ["server": ["backend = \(backend)"]], on: loop)
      try await server.start()
      #expect(try await server.call("GetConfig").status == 200)
      let existing = try await connect(to: server)
      #expect(try await isServed(existing, on: loop))
      let process = try #require(server.process).processID
      let open = descriptorCount(of: process)
      try await limitDescriptors(of: process, to: "\(open + 3):", on: loop)
      // Three of these have room, the others wait in the kernel's queue.
      var silent = try (0..<8).map { _ in try TestClient(port: server.port) }
      #expect(try await server.waitForLog("Too many open files"))
      #expect(server.logText.contains("new clients wait until connections end"))
      #expect(descriptorCount(of: process) == open + 3)
      // The client that is connected is answered all the time.
      for _ in 0..<3 { #expect(try await isServed(existing, on: loop)) }
      // Their ends make room: a new client is served while the limit is still low.
      silent.removeAll()
      #expect(try await server.call("GetConfig").status == 200)
      #expect(try await isServed(existing, on: loop))
      try await limitDescriptors(of: process, to: "1024:", on: loop)
      let deadline = MonotonicTime.now() + .seconds(120)
      while descriptorCount(of: process) != open, MonotonicTime.now() < deadline { await loop.nextIteration() }
      #expect(descriptorCount(of: process) == open)
      server.signal(SIGUSR1)
      #expect(try await server.waitForLog("Requests refused, by status: none"))
      #expect(!server.logText.contains("out of descriptors 0,"))
      existing.close()
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test(arguments: ServerFixture.connectionBackends)
  func aNewCertificateIsUsedWithoutEndingConnections(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: ["server": ["backend = \(backend)"]], on: loop)
      try await server.start()
      let existing = try await connect(to: server)
      #expect(try await isServed(existing, on: loop))
      let certificates = TestCertificates()
      let files = certificates.write(certificates.makeIdentity(["renewed"]), as: "renewed")
      for (from, to) in [(files.key, "key"), (files.certificate, "crt")] {
        try AtomicFile.writeOver(server.folder.file(to), AtomicFile.readFile(from, limitBytes: 1 << 16))
      }
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("Reading configuration, certificates and repository again"))
      let fresh = try await connect(to: server)
      #expect(fresh.serverName == "renewed" && existing.serverName == "localhost")
      #expect(try await isServed(fresh, on: loop))
      #expect(try await isServed(existing, on: loop))
      for peer in [existing, fresh] { peer.close() }
      #expect(await server.stop() == .exited(0))
    }
  }

  private func connect(to server: ServerFixture) async throws -> TestClient {
    let client = try TestClient(port: server.port)
    #expect(try await client.handshake(on: server.loop), "\(client.failure ?? "no handshake")")
    return client
  }

  private func isServed(_ client: TestClient, on loop: Reactor) async throws -> Bool {
    try await client.call("GetConfig", on: loop)?.text.contains("&lt;Configuration") ?? false
  }

  /// Sets the soft limit of another process.
  private func limitDescriptors(of process: pid_t, to limit: String, on loop: Reactor) async throws {
    let result = try await ChildProcess.run(
      ["/usr/bin/prlimit", "--pid", "\(process)", "--nofile=\(limit)"], input: [], timeout: .seconds(120),
      outputLimitBytes: 1 << 16, on: loop)
    #expect(result.status.isSuccess, "\(String(decoding: result.standardError, as: UTF8.self))")
  }

  private func descriptorCount(of process: pid_t) -> Int {
    guard let directory = opendir("/proc/\(process)/fd") else { return 0 }
    defer { closedir(directory) }
    var count = -2  // . and ..
    while readdir(directory) != nil { count += 1 }
    return count
  }
}
