import COpenSSL
import EventLoop
import Glibc
import Support
import Testing

/// What the network does to the server as a process: counters, descriptors that run out, a new certificate.
@Suite(.serialized) struct NetworkProcessTests {
  @Test func countersAreWrittenAtSIGUSR1() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: ["server": ["request_line_bytes = 256"]], on: loop)
      try await server.start()
      #expect(try await server.call("GetConfig").status == "200")
      #expect(try await server.call("GetConfig", password: "wrong").status == "401")
      // Plain HTTP is told so in plain text.
      let plain = try await ChildProcess.run(
        ["/usr/bin/curl", "--silent", "--max-time", "30", "--include", "http://127.0.0.1:\(server.port)/"], input: [],
        timeout: .seconds(120), outputLimitBytes: 1 << 16, on: loop)
      let text = String(decoding: plain.standardOutput, as: UTF8.self)
      #expect(text.hasPrefix("HTTP/1.0 400 ") || text.hasPrefix("HTTP/1.1 400 "))
      #expect(text.hasSuffix("This port speaks HTTPS.\n"))
      // A line that is too long, by a client that goes on to the end.
      let peer = try ProcessPeer(server)
      try await peer.handshake()
      #expect(peer.client.send(Array("GET /\(String(repeating: "x", count: 300)) HTTP/1.1\r\n\r\n".utf8)))
      #expect(try await peer.answer().hasPrefix("HTTP/1.1 414 "))
      server.signal(SIGUSR1)
      #expect(try await server.waitForLog("Requests refused, by status: 401 1, 414 1"))
      #expect(
        server.logText.contains("Network: accepted 4, handshakes 3, failed handshakes 0, plain HTTP 1, requests 2,"))
      #expect(server.logText.contains("authenticated 1, responses 3, failed authentications 1, delayed refusals 0,"))
      #expect(server.logText.contains("Limits reached: request_line_bytes 1"))
      #expect(
        server.logText.contains("limit request_line_bytes = 256 bytes reached: the request is larger; answered 414"))
      peer.client.close()
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func descriptorsRunOutAndComeBack() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      try await server.start()
      #expect(try await server.call("GetConfig").status == "200")
      let existing = try ProcessPeer(server)
      try await existing.handshake()
      #expect(try await existing.ask("GetConfig").contains("&lt;Configuration"))
      let process = try #require(server.process).processID
      let open = descriptorCount(of: process)
      try await limitDescriptors(of: process, to: "\(open + 3):", on: loop)
      // Three of these have room, the others wait in the kernel's queue.
      var silent = try (0..<8).map { _ in try ProcessPeer(server) }
      #expect(try await server.waitForLog("Too many open files"))
      #expect(server.logText.contains("new clients wait until connections end"))
      #expect(descriptorCount(of: process) == open + 3)
      // Who is connected is answered all the while.
      for _ in 0..<3 { #expect(try await existing.ask("GetConfig").contains("&lt;Configuration")) }
      // One that ends makes room for one, and when all have gone a new client is served, still within the few.
      silent.removeAll()
      #expect(try await server.call("GetConfig").status == "200")
      #expect(try await existing.ask("GetConfig").contains("&lt;Configuration"))
      try await limitDescriptors(of: process, to: "1024:", on: loop)
      #expect(try await existing.waits { descriptorCount(of: process) == open })
      server.signal(SIGUSR1)
      #expect(try await server.waitForLog("Requests refused, by status: none"))
      #expect(!server.logText.contains("out of descriptors 0,"))
      existing.client.close()
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func aNewCertificateIsUsedWithoutEndingConnections() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      try await server.start()
      let existing = try ProcessPeer(server)
      try await existing.handshake()
      #expect(try await existing.ask("GetConfig").contains("&lt;Configuration"))
      let certificates = TestCertificates()
      let files = certificates.write(certificates.makeIdentity(["renewed"]), as: "renewed")
      for (from, to) in [(files.key, "key"), (files.certificate, "crt")] {
        try AtomicFile.writeOver(server.folder.file(to), AtomicFile.readFile(from, limitBytes: 1 << 16))
      }
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("Reading configuration, certificates and repository again"))
      let fresh = try ProcessPeer(server)
      try await fresh.handshake()
      #expect(fresh.serverName == "renewed" && existing.serverName == "localhost")
      #expect(try await fresh.ask("GetConfig").contains("&lt;Configuration"))
      #expect(try await existing.ask("GetConfig").contains("&lt;Configuration"))
      for peer in [existing, fresh] { peer.client.close() }
      #expect(await server.stop() == .exited(0))
    }
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

/// One TLS connection to a server process, driven by hand.
private final class ProcessPeer {
  let client: TLSTestClient
  private let loop: Reactor

  /// Connects: the kernel completes that even while the server accepts nothing.
  init(_ server: ServerFixture) throws {
    loop = server.loop
    client = TLSTestClient(.init(), pair: (-1, try server.connect()))
  }

  var serverName: String? {
    guard let certificate = SSL_get1_peer_certificate(client.session) else { return nil }
    defer { X509_free(certificate) }
    var name = [CChar](repeating: 0, count: 64)
    let count = X509_NAME_get_text_by_NID(
      X509_get_subject_name(certificate), NID_commonName, &name, CInt(name.count))
    return count < 0 ? nil : String(decoding: name.prefix(Int(count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Waits for a condition, two minutes at most.
  func waits(_ condition: () -> Bool) async throws -> Bool {
    let deadline = MonotonicTime.now() + .seconds(120)
    while !condition() {
      if MonotonicTime.now() > deadline { return false }
      try await loop.sleep(for: .milliseconds(2))
    }
    return true
  }

  func handshake() async throws {
    #expect(try await waits { client.handshake() }, "\(client.failure ?? "no handshake")")
  }

  /// What the server sends until it has nothing more to say: a whole answer, or the end.
  func answer() async throws -> String {
    var bytes: [UInt8] = []
    _ = try await waits {
      bytes += client.receive()
      return client.sawCloseNotify || client.failure != nil || isWhole(bytes)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  func ask(_ method: String) async throws -> String {
    let body = "<methodCall><methodName>\(method)</methodName><params></params></methodCall>"
    let head =
      "POST /RPC2 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic cm9vdDpzZWNyZXQ=\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    #expect(client.send(Array((head + body).utf8)), "\(client.failure ?? "nothing sent")")
    return try await answer()
  }

  private func isWhole(_ bytes: [UInt8]) -> Bool {
    bytes.suffix(17).elementsEqual("</methodResponse>".utf8)
      || bytes.suffix(18).elementsEqual("</methodResponse>\n".utf8)
  }
}
