import EventLoop
import Glibc
import Logging
import Monitoring
import Support
import Testing
import XMLRPC

/// The server of pages, on real sockets of loopback.
@Suite struct PageServerTests {
  /// A server and what it was asked.
  private final class Fixture {
    let loop: Reactor
    let server: PageServer
    var port: UInt16 = 0
    var asked: [PageRequest] = []
    /// What an answer waits for; nil: nothing.
    var held: [CheckedContinuation<Void, Never>]?
    var body = "page"

    init(_ loop: Reactor, limits: PageServer.Limits = PageServer.Limits()) throws {
      self.loop = loop
      let box = Box()
      server = PageServer(on: loop, logger: Logger(label: "test"), limits: limits) {
        box.fixture?.answer($0) ?? .now(.error(status: 500))
      }
      box.fixture = self
      let any = try #require(SocketAddress(host: "127.0.0.1", port: 0))
      port = try server.serve(Listener.bind(to: any)).port
    }

    private func answer(_ request: PageRequest) -> Answer<HTTPResponse> {
      asked.append(request)
      let response = HTTPResponse(
        status: request.path == "/" ? 200 : 404, headers: [HTTPField("Content-Type", "text/plain")],
        body: ByteSegments(body))
      guard held != nil else { return .now(response) }
      return .later { [self] in
        await withCheckedContinuation { held?.append($0) }
        return response
      }
    }

    func makeClient() throws -> TestClient {
      var options = TestClient.Options()
      options.isPlain = true
      return try TestClient(port: port, options)
    }

    func ask(_ text: String) async throws -> TestResponse? {
      let client = try makeClient()
      defer { client.close() }
      return try await client.exchange(Array(text.utf8), on: loop)
    }

    /// Lets the loop go on until something is so.
    func wait(until condition: () -> Bool) async -> Bool {
      let deadline = MonotonicTime.now() + .seconds(60)
      while !condition() {
        if MonotonicTime.now() > deadline { return false }
        await loop.nextIteration()
      }
      return true
    }
  }

  private final class Box {
    weak var fixture: Fixture?
  }

  private static let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

  private func withServer(
    _ limits: PageServer.Limits = PageServer.Limits(), _ body: (Fixture) async throws -> Void
  ) async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try Fixture(loop, limits: limits)
      try await body(fixture)
      fixture.server.close()
      #expect(fixture.server.count == 0)
      await loop.nextIteration()
    }
  }

  @Test func pagesAreServedAndConnectionsKept() async throws {
    try await withServer { fixture in
      let client = try fixture.makeClient()
      for _ in 0..<3 {
        let answer = try await client.exchange(Array(Self.get.utf8), on: fixture.loop)
        #expect(answer?.status == 200 && answer?.text == "page")
        #expect(answer?.head.contains("Connection") == false)
      }
      let query = "GET /?a=b HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\naccept: */*\r\n\r\n"
      _ = try await client.exchange(Array(query.utf8), on: fixture.loop)
      #expect(fixture.asked.last == PageRequest(path: "/", accept: ["text/plain", "*/*"]))
      #expect(fixture.server.count == 1 && fixture.server.answers == [200: 4])
      client.close()
      #expect(await fixture.wait { fixture.server.count == 0 })
    }
  }

  @Test func headHasTheLengthAndNoBody() async throws {
    try await withServer { fixture in
      let client = try fixture.makeClient()
      _ = client.send(Array("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8))
      var bytes: [UInt8] = []
      #expect(
        await fixture.wait {
          bytes += client.receive()
          return client.hasEnded
        })
      let text = String(decoding: bytes, as: UTF8.self)
      #expect(text.hasPrefix("HTTP/1.1 200 ") && text.contains("Content-Length: 4\r\n") && text.hasSuffix("\r\n\r\n"))
      client.close()
    }
  }

  @Test(arguments: [
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 405), ("PUT / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413),
    ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
    ("GET / HTTP/1.1\r\n\r\n", 400), ("\u{1}\u{2}\r\n\r\n", 400), ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    ("GET /\(String(repeating: "x", count: 2000)) HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: \(String(repeating: "x", count: 9000))\r\n\r\n", 431),
    ("GET / HTTP/1.1\r\nHost: x\r\n\(String(repeating: "A: b\r\n", count: 60))\r\n", 431),
    ("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404), ("GET / HTTP/1.0\r\n\r\n", 200),
  ])
  func hostileRequestsAreRefused(_ row: (request: String, status: Int)) async throws {
    try await withServer { fixture in
      let answer = try await fixture.ask(row.request)
      #expect(answer?.status == row.status, "\(row.request.prefix(60))")
      // The next one is served.
      #expect(try await fixture.ask(Self.get)?.status == 200)
      if row.status >= 405 { #expect(fixture.asked.count == 1) }
    }
  }

  @Test func requestsThatComeTogetherAreAnsweredInTheirOrder() async throws {
    try await withServer { fixture in
      let client = try fixture.makeClient()
      let count = 300
      let all = (0..<count).map { "GET \($0 % 2 == 0 ? "/" : "/no") HTTP/1.1\r\nHost: x\r\n\r\n" }.joined()
      _ = client.send(Array(all.utf8))
      var text = ""
      #expect(
        await fixture.wait {
          text += String(decoding: client.receive(), as: UTF8.self)
          return text.split(separator: "HTTP/1.1 ").count == count && text.hasSuffix("page")
        })
      let statuses = text.split(separator: "HTTP/1.1 ").map { String($0.prefix(3)) }
      #expect(statuses == (0..<count).map { $0 % 2 == 0 ? "200" : "404" })
      client.close()
    }
  }

  @Test func aByteAtATimeIsOneRequest() async throws {
    try await withServer { fixture in
      let client = try fixture.makeClient()
      for byte in Self.get.utf8.dropLast() {
        _ = client.send([byte])
        await fixture.loop.nextIteration()
      }
      #expect(fixture.asked.isEmpty)
      let last = Array(Self.get.utf8.suffix(1))
      #expect(try await client.exchange(last, on: fixture.loop)?.status == 200)
      client.close()
    }
  }

  @Test func whoeverIsSilentMakesRoom() async throws {
    var limits = PageServer.Limits()
    limits.connections = 4
    try await withServer(limits) { fixture in
      let silent = try (0..<40).map { _ in try fixture.makeClient() }
      let half = try fixture.makeClient()
      _ = half.send(Array("GET / HT".utf8))
      #expect(try await fixture.ask(Self.get)?.status == 200)
      #expect(fixture.server.count <= 4)
      for client in silent + [half] { client.close() }
      #expect(await fixture.wait { fixture.server.count == 0 })
    }
  }

  @Test func whoeverDoesNotTakeAnAnswerMakesRoom() async throws {
    var limits = PageServer.Limits()
    limits.connections = 3
    try await withServer(limits) { fixture in
      fixture.body = String(repeating: "x", count: 16 << 20)
      let descriptors = try (0..<3).map { _ in try connectOnLoopback(to: fixture.port, receiveBufferBytes: 4096) }
      let request = Array("\(Self.get)\(Self.get)\(Self.get)".utf8)
      for descriptor in descriptors { #expect(write(descriptor, request, request.count) == request.count) }
      #expect(await fixture.wait { fixture.asked.count == 3 })
      fixture.body = "page"
      for _ in 0..<5 { #expect(try await fixture.ask(Self.get)?.status == 200) }
      #expect(fixture.server.count <= 3)
      for descriptor in descriptors { close(descriptor) }
      #expect(await fixture.wait { fixture.server.count == 0 })
    }
  }

  @Test func whoeverWaitsForAnAnswerKeepsTheConnection() async throws {
    var limits = PageServer.Limits()
    limits.connections = 2
    try await withServer(limits) { fixture in
      fixture.held = []
      let waiting = try (0..<2).map { _ in try fixture.makeClient() }
      for client in waiting { _ = client.send(Array(Self.get.utf8)) }
      #expect(await fixture.wait { fixture.held?.count == 2 })
      // There is no room for a third.
      #expect(try await fixture.ask(Self.get)?.status == nil)
      let held = fixture.held ?? []
      fixture.held = nil
      for continuation in held { continuation.resume() }
      for client in waiting {
        #expect(try await client.exchange([], on: fixture.loop)?.status == 200)
        client.close()
      }
    }
  }

  @Test func slowPeersHaveTheirTime() async throws {
    var limits = PageServer.Limits()
    limits.requestTime = .milliseconds(30)
    limits.idleTime = .milliseconds(30)
    try await withServer(limits) { fixture in
      // A part of a request is told so, silence is not answered.
      #expect(try await fixture.ask("GET / HTTP/1.1\r\n")?.status == 408)
      #expect(try await fixture.ask("")?.status == nil)
      let client = try fixture.makeClient()
      #expect(try await client.exchange(Array(Self.get.utf8), on: fixture.loop)?.status == 200)
      #expect(await fixture.wait { fixture.server.count == 0 })
      client.close()
    }
  }

  @Test func anAnswerThatNobodyTakesIsGivenUp() async throws {
    var limits = PageServer.Limits()
    limits.answerTime = .milliseconds(50)
    try await withServer(limits) { fixture in
      fixture.body = String(repeating: "x", count: 16 << 20)
      let descriptor = try connectOnLoopback(to: fixture.port, receiveBufferBytes: 4096)
      let request = Array(Self.get.utf8)
      #expect(write(descriptor, request, request.count) == request.count)
      #expect(await fixture.wait { !fixture.asked.isEmpty })
      #expect(await fixture.wait { fixture.server.count == 0 })
      close(descriptor)
    }
  }

  @Test func aLargeAnswerIsWhole() async throws {
    try await withServer { fixture in
      fixture.body = String(repeating: "0123456789", count: 300_000)
      let answer = try await fixture.ask(Self.get)
      #expect(answer?.text == fixture.body)
    }
  }

  @Test func onlyWhoIsAllowedIsAnswered() async throws {
    try await withServer { fixture in
      var refused: [SocketAddress] = []
      fixture.server.allows = { _ in false }
      fixture.server.onRefused = { refused.append($0) }
      let answer = try await fixture.ask(Self.get)
      #expect(answer?.status == nil)
      #expect(refused.count == 1 && refused.first?.host == "127.0.0.1")
      #expect(fixture.asked.isEmpty)
    }
  }

  @Test func aPeerThatGoesWhileItsAnswerIsMadeLeavesNothing() async throws {
    try await withServer { fixture in
      fixture.held = []
      let client = try fixture.makeClient()
      _ = client.send(Array(Self.get.utf8))
      #expect(await fixture.wait { fixture.held?.count == 1 })
      client.close()
      let held = fixture.held ?? []
      fixture.held = nil
      for continuation in held { continuation.resume() }
      #expect(await fixture.wait { fixture.server.count == 0 })
    }
  }
}
