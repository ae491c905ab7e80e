import EventLoop
import Identity
import Network
import ServerSettings
import Support
import Testing
import XMLRPC

nonisolated private let body = "<methodCall/>"
nonisolated private let request = post(body)

nonisolated private func post(_ body: String, _ headers: String = "") -> String {
  "POST /RPC2 HTTP/1.1\r\nHost: x\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

extension ScriptedTransport {
  /// Status lines of all answers, in order.
  fileprivate var statuses: [Int] {
    receivedText.split(separator: "HTTP/1.1 ").compactMap { Int($0.prefix(3)) }
  }
  fileprivate var answersBody: Bool { receivedText.hasSuffix("\r\n\r\n\(body)") }
}

@Suite struct ConnectionTests {
  let bench = ConnectionBench()

  @Test func requestIsAnsweredAndTheConnectionStays() throws {
    let peer = try #require(bench.connect { $0.peerCommonName = "client.example.com" })
    #expect(bench.interest(of: peer) == .read)
    bench.send(request, to: peer)
    #expect(peer.statuses == [200] && peer.answersBody)
    #expect(!peer.receivedText.contains("Connection:"))
    #expect(bench.interest(of: peer) == .read)
    #expect(bench.handler.peers.first?.certificateCommonName == "client.example.com")
    #expect(bench.handler.peers.first?.address.host == "192.0.2.1")
    bench.send(request, to: peer)
    #expect(peer.statuses == [200, 200])
    #expect(bench.table.counters.responses == 2 && bench.table.unauthenticatedCount == 0)
  }

  @Test func eachRequestIsAnsweredAsWhoAuthenticatedWithIt() async throws {
    let peer = try #require(bench.connect())
    bench.handler.caller = Caller("one", ip: "192.0.2.1")
    bench.send(request, to: peer)
    bench.handler.caller = Caller("two", ip: "192.0.2.1")
    bench.send(request, to: peer)
    bench.handler.waits = true
    bench.handler.caller = Caller("three", ip: "192.0.2.1")
    bench.send(request, to: peer)
    await bench.goOn()
    await bench.handler.untilWaiting()
    #expect(bench.handler.callers.map { $0?.client } == ["one", "two", "three"])
    // No request is asked about with the caller of the one before it.
    #expect(bench.handler.peers.allSatisfy { $0.caller == nil })
    await bench.goOn()
  }

  @Test func bytesThatComeOneByOneMakeTheSameRequest() throws {
    let peer = try #require(bench.connect())
    for byte in request { bench.send(String(byte), to: peer) }
    #expect(peer.statuses == [200] && peer.answersBody && bench.handler.requests.count == 1)
  }

  @Test func requestThatCameWithTheHandshakeIsAnswered() throws {
    let peer = try #require(
      bench.connect {
        $0.handshakeScript = [.wantRead, .wantWrite, .done]
        $0.feed(request)
      })
    #expect(peer.received.isEmpty && bench.interest(of: peer) == .read)
    bench.run(peer)
    #expect(bench.interest(of: peer) == .write)
    bench.run(peer)
    #expect(peer.statuses == [200])
  }

  @Test func flightThatDoesNotFitIsSentWhenThereIsRoom() throws {
    let peer = try #require(
      bench.connect {
        $0.handshakeScript = [.wantRead, .wantRead, .wantRead]
        $0.windowBytes = 3
        $0.hold("flight")
      })
    #expect(peer.receivedText == "fli" && bench.interest(of: peer) == [.read, .write])
    peer.windowBytes = .max
    bench.run(peer)
    #expect(peer.receivedText == "flight" && bench.interest(of: peer) == .read)
  }

  @Test func pipelinedRequestsAreAnsweredInOrderOneByOne() async throws {
    let peer = try #require(bench.connect())
    bench.handler.waits = true
    peer.feed(post("one") + post("two") + post("three"))
    bench.run(peer)
    for count in 1...3 {
      await bench.goOn()
      await bench.handler.untilWaiting()
      // While the handler answers nothing is read.
      #expect(bench.handler.requests.count == count && bench.interest(of: peer) == [])
      await bench.goOn()
      bench.run(peer, turns: 2)
    }
    let bodies = peer.receivedText.split(separator: "HTTP/1.1 200").map { $0.split(separator: "\r\n").last! }
    #expect(bodies == ["one", "two", "three"])
    #expect(bench.interest(of: peer) == .read)
  }

  @Test(arguments: [
    (post(body, "Connection: close\r\n"), true), ("POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", true),
    ("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", false),
  ])
  func connectionEndsWhenTheRequestSaysSo(text: String, ends: Bool) throws {
    let peer = try #require(bench.connect())
    bench.send(text, to: peer)
    #expect(peer.statuses == [200] && peer.hasSentCloseNotify == ends)
    #expect(peer.receivedText.contains("Connection: close\r\n") == ends)
    peer.input.append(.closed)
    bench.run(peer)
    #expect(!bench.isOpen(peer) && bench.table.count == 0)
  }

  @Test(arguments: ["GET", "HEAD", "PUT", "DELETE"])
  func otherMethodsAreNotImplementedOnceAuthenticated(method: String) throws {
    let peer = try #require(bench.connect())
    bench.send("\(method) / HTTP/1.1\r\nHost: x\r\n\r\n", to: peer)
    #expect(peer.statuses == [501] && peer.hasSentCloseNotify && bench.handler.requests.isEmpty)
    #expect(peer.receivedText.hasSuffix("\r\n\r\n") == (method == "HEAD"))

    bench.handler.refusal = .error(status: 401)
    let stranger = try #require(bench.connect())
    bench.send("\(method) / HTTP/1.1\r\nHost: x\r\n\r\n", to: stranger)
    #expect(stranger.statuses == [401])
  }

  @Test func refusalComesBeforeTheBodyAndLingersForIt() throws {
    bench.handler.refusal = .error(status: 401)
    let peer = try #require(bench.connect())
    bench.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", to: peer)
    #expect(peer.statuses == [401] && peer.hasSentCloseNotify && bench.isOpen(peer))
    #expect(peer.receivedText.contains("Connection: close"))
    bench.send(String(repeating: "x", count: 100_000), to: peer, turns: 3)
    #expect(peer.discardedBytes == 100_000 && bench.isOpen(peer) && bench.handler.requests.isEmpty)
    #expect(bench.table.unauthenticatedCount == 1)
    peer.input.append(.closed)
    bench.run(peer)
    #expect(!bench.isOpen(peer) && bench.table.unauthenticatedCount == 0)
  }

  @Test func lingeringIsBoundedInBytesAndTime() throws {
    var limits = NetworkLimits()
    limits[.lingerBytes] = 1000
    let bench = ConnectionBench(limits: limits)
    bench.handler.refusal = .error(status: 401)
    let flood = try #require(bench.connect())
    bench.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", to: flood)
    bench.send(String(repeating: "x", count: 5000), to: flood)
    #expect(!bench.isOpen(flood) && flood.discardedBytes == 1000)
    let silent = try #require(bench.connect())
    bench.send(request, to: silent)
    bench.wait(.seconds(4))
    #expect(bench.isOpen(silent))
    bench.wait(.seconds(2))
    #expect(!bench.isOpen(silent) && bench.table.count == 0)
  }

  @Test func continueIsSentAfterAuthenticationOnly() throws {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    let peer = try #require(bench.connect())
    bench.send(head, to: peer)
    #expect(peer.receivedText == "HTTP/1.1 100 Continue\r\n\r\n")
    bench.send("body", to: peer)
    #expect(peer.statuses == [100, 200] && peer.receivedText.hasSuffix("body"))

    bench.handler.refusal = .error(status: 401)
    let stranger = try #require(bench.connect())
    bench.send(head, to: stranger)
    #expect(stranger.statuses == [401])

    bench.handler.refusal = nil
    let eager = try #require(bench.connect())
    bench.send(head + "body", to: eager, turns: 2)
    #expect(eager.statuses == [200])
  }

  @Test func slowReaderHoldsOneShareAndGetsEverything() throws {
    let text = (0..<40_000).map { "line \($0)\n" }
    var segments = ByteSegments()
    for line in text { segments.append(Array(line.utf8)) }
    segments.append([UInt8](repeating: UInt8(ascii: "x"), count: 200_000))
    bench.handler.respond = { _ in .xml(segments) }
    let peer = try #require(bench.connect { $0.windowBytes = 0 })
    bench.send(request, to: peer)
    #expect(peer.received.isEmpty && peer.hasUnsentOutput && bench.interest(of: peer) == .write)
    // The next request waits for the answer to this one.
    peer.feed(request)
    var turns = 0
    while peer.received.count < segments.count, turns < 1000 {
      peer.windowBytes = 10_007
      bench.run(peer)
      turns += 1
    }
    peer.windowBytes = .max
    bench.run(peer, turns: 3)
    #expect(bench.handler.requests.count == 2 && turns > 50)
    let answer = peer.received.split(separator: UInt8(ascii: "\r"))
    #expect(answer.contains { $0.dropFirst().elementsEqual("Content-Length: \(segments.count)".utf8) })
    var expected = Array("\r\n\r\n".utf8)
    for segment in segments.segments { expected += segment }
    #expect(peer.received.firstRange(of: expected) != nil)
  }

  @Test func writeThatWantsToReadWaitsForIt() throws {
    let peer = try #require(bench.connect { $0.writeScript = [.wantRead] })
    bench.send(request, to: peer)
    #expect(peer.received.isEmpty && bench.interest(of: peer) == .read)
    bench.run(peer)
    #expect(peer.statuses == [200])
  }

  @Test func readThatWantsToWriteWaitsForIt() throws {
    let peer = try #require(bench.connect())
    peer.input.append(.wantWrite)
    bench.run(peer)
    #expect(bench.interest(of: peer) == .write)
    peer.feed(request)
    bench.run(peer)
    #expect(peer.statuses == [200] && bench.interest(of: peer) == .read)
  }

  @Test func oneConnectionDoesNotReadBeyondItsTurn() throws {
    var limits = NetworkLimits()
    limits[.readTurnBytes] = 16384
    let bench = ConnectionBench(limits: limits)
    let peer = try #require(bench.connect())
    let other = try #require(bench.connect(from: "192.0.2.2"))
    peer.feed(post(String(repeating: "b", count: 100_000)))
    other.feed(request)
    let reads = peer.reads
    bench.kernel.report([peer.descriptor: .readable, other.descriptor: .readable])
    bench.loop.runOnce(wait: .zero)
    // Bytes that are decrypted already bring no readiness: the next turn is posted behind the other's.
    #expect(peer.reads == reads + 2 && peer.statuses == [] && other.statuses == [200])
    for _ in 0..<8 { bench.loop.runOnce(wait: .zero) }
    #expect(peer.statuses == [200])
  }

  @Test(arguments: [
    (TransportFailure.plainHTTP, "plain HTTP on the TLS port"), (.notTLS, "the first bytes are not TLS"),
    (.certificateRefused("unable to get local issuer certificate"), "client certificate refused"),
    (.tls("no shared cipher"), "no shared cipher"),
  ])
  func failedHandshakeIsOneLine(failure: TransportFailure, text: String) throws {
    let peer = try #require(bench.connect { $0.handshakeScript = [.wantRead, .failed(failure)] })
    bench.run(peer)
    #expect(bench.log.notices.count == 1)
    #expect(bench.log.notices[0].contains("192.0.2.1") && bench.log.notices[0].contains(text))
    let clear = String(decoding: peer.receivedInClear, as: UTF8.self)
    #expect(clear.hasPrefix("HTTP/1.1 400 Bad Request\r\n") == (failure == .plainHTTP))
    #expect(bench.isOpen(peer) == (failure == .plainHTTP))
    bench.wait(.seconds(6))
    #expect(bench.table.count == 0)
    #expect(bench.table.counters.plainHTTP + bench.table.counters.failedHandshakes == 1)
  }

  @Test(arguments: ["", "POST / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbod"])
  func peerThatLeavesEndsItsConnectionOnly(sent: String) throws {
    for ending in [ScriptedTransport.Input.closed, .failed(.system(104))] {
      let other = try #require(bench.connect(from: "192.0.2.9"))
      let peer = try #require(bench.connect())
      if !sent.isEmpty { bench.send(sent, to: peer) }
      peer.input.append(ending)
      bench.run(peer)
      #expect(!bench.isOpen(peer) && bench.isOpen(other) && bench.log.notices.isEmpty)
      bench.send(request, to: other)
      #expect(other.statuses == [200])
    }
  }

  @Test func peerThatLeavesWhileItsAnswerIsMadeOrWritten() async throws {
    let early = try #require(bench.connect { $0.handshakeScript = [.failed(.system(104))] })
    #expect(!bench.isOpen(early))

    bench.handler.waits = true
    let asking = try #require(bench.connect())
    bench.send(request, to: asking)
    #expect(bench.interest(of: asking) == [])
    await bench.goOn()
    await bench.handler.untilWaiting()
    asking.writeScript = [.failed(.system(32))]
    await bench.goOn()
    #expect(!bench.isOpen(asking))

    bench.handler.waits = false
    let reading = try #require(bench.connect { $0.windowBytes = 10 })
    bench.send(request, to: reading)
    reading.input.append(.failed(.system(104)))
    bench.run(reading)
    #expect(!bench.isOpen(reading) && bench.table.count == 0 && bench.log.notices.isEmpty)

    bench.handler.refusal = .error(status: 401)
    let lingering = try #require(bench.connect())
    bench.send(request, to: lingering)
    lingering.input.append(.failed(.system(104)))
    bench.run(lingering)
    #expect(!bench.isOpen(lingering))
  }

  @Test(arguments: [
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413, "body_bytes"),
    ("POST /\(String(repeating: "x", count: 9000)) HTTP/1.1\r\n", 414, "request_line_bytes"),
    ("POST / HTTP/1.1\r\nX: \(String(repeating: "x", count: 40000))\r\n", 431, "header_bytes"),
    ("POST / HTTP/1.1\r\n" + String(repeating: "X: 1\r\n", count: 200), 431, "header_count"),
    ("nonsense\r\n\r\n", 400, ""),
  ])
  func whatIsTooLargeOrNotHTTPIsRefused(text: String, status: Int, limit: String) throws {
    let peer = try #require(bench.connect())
    bench.send(text, to: peer)
    #expect(peer.statuses == [status] && peer.hasSentCloseNotify && bench.handler.heads.isEmpty)
    #expect(bench.log.notices.count == (limit.isEmpty ? 0 : 1))
    if !limit.isEmpty { #expect(bench.log.notices[0].contains("limit \(limit) = ")) }
    #expect(bench.table.counters.refused == [status: 1])
  }
}
