import CLinux
import EventLoop
import Glibc
import Networking
import ServerSettings
import Support
import Testing
import XMLRPC

/// The whole way of a request: TLS over a socket pair, a loop over epoll, the connection, a handler.
@Suite struct ConnectionTLSTests {
  let certificates = TestCertificates()
  let loop: Reactor
  let handler = ScriptedHandler()
  let table: ConnectionTable

  init() throws {
    loop = try Reactor()
    let files = certificates.write(certificates.makeIdentity(["server"]), as: "server")
    table = ConnectionTable(on: loop, handler: handler, context: try TLSContext(files: files, floor: .tls12))
  }

  private func connect(_ pair: (CInt, CInt) = makeSocketPair(), isPlain: Bool = false) -> TestClient {
    var options = TestClient.Options()
    options.isPlain = isPlain
    let client = TestClient(options, pair: pair)
    table.admit(client.makeServerDescriptor(), from: SocketAddress(host: "127.0.0.1", port: 1)!)
    return client
  }

  /// Sends a request and reads until the answer ends so.
  private func ask(_ client: TestClient, _ body: [UInt8], until end: [UInt8]) -> [UInt8] {
    #expect(LoopDriver.run(loop) { client.handshake() })
    #expect(
      client.send(Array("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.count)\r\n\r\n".utf8))
        && client.send(body))
    var answer: [UInt8] = []
    #expect(
      LoopDriver.run(loop) {
        answer += client.receive()
        return answer.suffix(end.count).elementsEqual(end)
      })
    return answer
  }

  @Test func largeAnswerArrivesWholeTwice() {
    let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 251) }
    handler.respond = { _ in .xml(ByteSegments(large)) }
    let client = connect()
    for count in 1...2 {
      let answer = ask(client, Array("<call/>".utf8), until: Array(large.suffix(600)))
      #expect(answer.starts(with: "HTTP/1.1 200 OK\r\n".utf8) && answer.suffix(large.count).elementsEqual(large))
      #expect(handler.requests.count == count)
    }
    client.sendCloseNotify()
    #expect(LoopDriver.run(loop) { table.count == 0 })
    #expect(loop.shutDown().isEmpty)
  }

  /// The kernel would keep some 2.5 MB for each.
  @Test func aPeerThatStopsReadingCostsTheKernelLittle() throws {
    let large = [UInt8](repeating: 7, count: 8_000_000)
    handler.respond = { _ in .xml(ByteSegments(large)) }
    let client = connect(try makeTCPPair())
    #expect(LoopDriver.run(loop) { client.handshake() })
    #expect(client.send(Array("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".utf8)))
    #expect(LoopDriver.run(loop) { handler.requests.count == 1 })
    for _ in 0..<20 { loop.runOnce(wait: .zero) }
    var queued: CInt = 0
    #expect(ioctl(client.serverDescriptor, UInt(TIOCOUTQ), &queued) == 0)
    #expect(queued > 0 && Int(queued) < 4 * table.limits[.unsentBytes], "\(queued) bytes")
    // Who reads on gets the rest.
    var count = 0
    #expect(
      LoopDriver.run(loop) {
        count += client.receive().count
        return count > large.count
      })
  }

  @Test func largeBodyInManyRecordsIsReadWhole() {
    let body = (0..<150_000).map { UInt8(truncatingIfNeeded: $0 / 31) }
    handler.respond = { .xml(ByteSegments("\($0.body.count) bytes")) }
    _ = ask(connect(), body, until: Array("150000 bytes".utf8))
    #expect(handler.requests.first?.body == body)
  }

  @Test func plainHTTPGetsItsAnswerInClearAndTheEnd() {
    let client = connect(isPlain: true)
    #expect(client.send(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)))
    var text = ""
    #expect(
      LoopDriver.run(loop) {
        text += String(decoding: client.receive(), as: UTF8.self)
        return client.hasEnded
      })
    #expect(client.failure == nil)
    #expect(text.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && text.hasSuffix("This port speaks HTTPS.\n"))
    client.close()
    #expect(LoopDriver.run(loop) { table.count == 0 })
  }

  @Test func idleConnectionsAreSmallAndSilentOnesDelayNobody() {
    let connections = 100
    _ = ask(connect(), [1], until: [1])
    let before = Int(clinux_heap_bytes_in_use())
    let silent = (0..<connections).map { _ in makeSocketPair() }
    for pair in silent { table.admit(FileDescriptor(owning: pair.0), from: SocketAddress(host: "127.0.0.1", port: 1)!) }
    #expect((Int(clinux_heap_bytes_in_use()) - before) / connections < 4 * 1024)
    let answer = ask(connect(), Array("body".utf8), until: Array("body".utf8))
    #expect(answer.starts(with: "HTTP/1.1 200".utf8))
    for pair in silent { close(pair.1) }
    #expect(LoopDriver.run(loop) { table.count <= 2 })
  }
}
