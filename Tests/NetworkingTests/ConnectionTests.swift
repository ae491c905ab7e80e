import EventLoop
import Identity
import Logging
import Networking
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
  let fixture = ConnectionFixture()

  @Test func requestIsAnsweredAndTheConnectionStays() throws {
    let peer = try #require(fixture.connect { $0.peerCommonName = "client.example.com" })
    #expect(fixture.interest(of: peer) == .read)
    fixture.send(request, to: peer)
    #expect(peer.statuses == [200] && peer.answersBody)
    #expect(!peer.receivedText.contains("Connection:"))
    #expect(fixture.interest(of: peer) == .read)
    #expect(fixture.handler.peers.first?.certificateCommonName == "client.example.com")
    #expect(fixture.handler.peers.first?.address.host == "192.0.2.1")
    fixture.send(request, to: peer)
    #expect(peer.statuses == [200, 200])
    #expect(fixture.table.counters.responses == 2 && fixture.table.unauthenticatedCount == 0)
  }

  /// Each line about a request has its number and whose it is, those behind it have the address alone.
  @Test func linesSayWhichRequestTheyBelongTo() async throws {
    let handler = fixture.handler
    let log = fixture.log.logger
    handler.respond = { [log] request in
      log.info("answering")
      return .xml(ByteSegments(request.body))
    }
    let peer = try #require(fixture.connect())
    log.info("outside")
    fixture.send(request, to: peer)
    fixture.send(request, to: peer)
    handler.waits = true
    fixture.send(request, to: peer)
    await fixture.goOn()
    await fixture.goOn()
    fixture.handler.waits = false
    peer.input.append(.closed)
    fixture.run(peer)
    let labels = fixture.log.records.filter { $0.message == "answering" }.map(\.request)
    let numbers = labels.compactMap { $0?.number }
    #expect(numbers.count == 3 && numbers[1] == numbers[0] + 1 && numbers[2] == numbers[0] + 2)
    #expect(labels.allSatisfy { $0?.client == "one" && $0?.address == "192.0.2.1" })
    #expect(fixture.log.records.first { $0.message == "outside" }?.request == nil)
    let end = fixture.log.records.last
    #expect(end?.message.hasSuffix("closed by the peer") == true)
    #expect(end?.request == RequestLabel(address: "192.0.2.1"))
  }

  @Test func eachRequestIsAnsweredAsWhoAuthenticatedWithIt() async throws {
    let peer = try #require(fixture.connect())
    fixture.handler.caller = Caller("one", ip: "192.0.2.1")
    fixture.send(request, to: peer)
    fixture.handler.caller = Caller("two", ip: "192.0.2.1")
    fixture.send(request, to: peer)
    fixture.handler.waits = true
    fixture.handler.caller = Caller("three", ip: "192.0.2.1")
    fixture.send(request, to: peer)
    await fixture.goOn()
    await fixture.handler.untilWaiting()
    #expect(fixture.handler.callers.map { $0?.client } == ["one", "two", "three"])
    // No request is asked about with the caller of the one before it.
    #expect(fixture.handler.peers.allSatisfy { $0.caller == nil })
    await fixture.goOn()
  }

  @Test func bytesThatComeOneByOneMakeTheSameRequest() throws {
    let peer = try #require(fixture.connect())
    for byte in request { fixture.send(String(byte), to: peer) }
    #expect(peer.statuses == [200] && peer.answersBody && fixture.handler.requests.count == 1)
  }

  @Test func requestThatCameWithTheHandshakeIsAnswered() throws {
    let peer = try #require(
      fixture.connect {
        $0.handshakeScript = [.wantRead, .wantWrite, .done]
        $0.feed(request)
      })
    #expect(peer.received.isEmpty && fixture.interest(of: peer) == .read)
    fixture.run(peer)
    #expect(fixture.interest(of: peer) == .write)
    fixture.run(peer)
    #expect(peer.statuses == [200])
  }

  @Test func flightThatDoesNotFitIsSentWhenThereIsRoom() throws {
    let peer = try #require(
      fixture.connect {
        $0.handshakeScript = [.wantRead, .wantRead, .wantRead]
        $0.windowBytes = 3
        $0.hold("flight")
      })
    #expect(peer.receivedText == "fli" && fixture.interest(of: peer) == [.read, .write])
    peer.windowBytes = .max
    fixture.run(peer)
    #expect(peer.receivedText == "flight" && fixture.interest(of: peer) == .read)
  }

  @Test func pipelinedRequestsAreAnsweredInOrderOneByOne() async throws {
    let peer = try #require(fixture.connect())
    fixture.handler.waits = true
    peer.feed(post("one") + post("two") + post("three"))
    fixture.run(peer)
    for count in 1...3 {
      await fixture.goOn()
      await fixture.handler.untilWaiting()
      // While the handler answers nothing is read.
      #expect(fixture.handler.requests.count == count && fixture.interest(of: peer) == [])
      await fixture.goOn()
      fixture.run(peer, turns: 2)
    }
    let bodies = peer.receivedText.split(separator: "HTTP/1.1 200").map { $0.split(separator: "\r\n").last! }
    #expect(bodies == ["one", "two", "three"])
    #expect(fixture.interest(of: peer) == .read)
  }

  @Test(arguments: [
    (post(body, "Connection: close\r\n"), true), ("POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", true),
    ("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", false),
  ])
  func connectionEndsWhenTheRequestSaysSo(text: String, ends: Bool) throws {
    let peer = try #require(fixture.connect())
    fixture.send(text, to: peer)
    #expect(peer.statuses == [200] && peer.hasSentCloseNotify == ends)
    #expect(peer.receivedText.contains("Connection: close\r\n") == ends)
    peer.input.append(.closed)
    fixture.run(peer)
    #expect(!fixture.isOpen(peer) && fixture.table.count == 0)
  }

  @Test(arguments: ["GET", "HEAD", "PUT", "DELETE"])
  func otherMethodsAreNotImplementedOnceAuthenticated(method: String) throws {
    let peer = try #require(fixture.connect())
    fixture.send("\(method) / HTTP/1.1\r\nHost: x\r\n\r\n", to: peer)
    #expect(peer.statuses == [501] && peer.hasSentCloseNotify && fixture.handler.requests.isEmpty)
    #expect(peer.receivedText.hasSuffix("\r\n\r\n") == (method == "HEAD"))

    fixture.handler.refusal = .error(status: 401)
    let stranger = try #require(fixture.connect())
    fixture.send("\(method) / HTTP/1.1\r\nHost: x\r\n\r\n", to: stranger)
    #expect(stranger.statuses == [401])
  }

  @Test func refusalComesBeforeTheBodyAndLingersForIt() throws {
    fixture.handler.refusal = .error(status: 401)
    let peer = try #require(fixture.connect())
    fixture.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", to: peer)
    #expect(peer.statuses == [401] && peer.hasSentCloseNotify && fixture.isOpen(peer))
    #expect(peer.receivedText.contains("Connection: close"))
    fixture.send(String(repeating: "x", count: 100_000), to: peer, turns: 3)
    #expect(peer.discardedBytes == 100_000 && fixture.isOpen(peer) && fixture.handler.requests.isEmpty)
    #expect(fixture.table.unauthenticatedCount == 1)
    peer.input.append(.closed)
    fixture.run(peer)
    #expect(!fixture.isOpen(peer) && fixture.table.unauthenticatedCount == 0)
  }

  @Test func lingeringIsBoundedInBytesAndTime() throws {
    let fixture = ConnectionFixture([.lingerBytes: 1000])
    fixture.handler.refusal = .error(status: 401)
    let flood = try #require(fixture.connect())
    fixture.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", to: flood)
    fixture.send(String(repeating: "x", count: 5000), to: flood)
    #expect(!fixture.isOpen(flood) && flood.discardedBytes == 1000)
    let silent = try #require(fixture.connect())
    fixture.send(request, to: silent)
    fixture.wait(.seconds(4))
    #expect(fixture.isOpen(silent))
    fixture.wait(.seconds(2))
    #expect(!fixture.isOpen(silent) && fixture.table.count == 0)
  }

  @Test func continueIsSentAfterAuthenticationOnly() throws {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    let peer = try #require(fixture.connect())
    fixture.send(head, to: peer)
    #expect(peer.receivedText == "HTTP/1.1 100 Continue\r\n\r\n")
    fixture.send("body", to: peer)
    #expect(peer.statuses == [100, 200] && peer.receivedText.hasSuffix("body"))

    fixture.handler.refusal = .error(status: 401)
    let stranger = try #require(fixture.connect())
    fixture.send(head, to: stranger)
    #expect(stranger.statuses == [401])

    fixture.handler.refusal = nil
    let eager = try #require(fixture.connect())
    fixture.send(head + "body", to: eager, turns: 2)
    #expect(eager.statuses == [200])
  }

  @Test func slowReaderHoldsOneShareAndGetsEverything() throws {
    let text = (0..<40_000).map { "line \($0)\n" }
    var segments = ByteSegments()
    for line in text { segments.append(Array(line.utf8)) }
    segments.append([UInt8](repeating: UInt8(ascii: "x"), count: 200_000))
    fixture.handler.respond = { _ in .xml(segments) }
    let peer = try #require(fixture.connect { $0.windowBytes = 0 })
    fixture.send(request, to: peer)
    #expect(peer.received.isEmpty && peer.hasUnsentOutput && fixture.interest(of: peer) == .write)
    // The next request waits for the answer to this one.
    peer.feed(request)
    var turns = 0
    while peer.received.count < segments.count, turns < 1000 {
      peer.windowBytes = 10_007
      fixture.run(peer)
      turns += 1
    }
    peer.windowBytes = .max
    fixture.run(peer, turns: 3)
    #expect(fixture.handler.requests.count == 2 && turns > 50)
    let answer = peer.received.split(separator: UInt8(ascii: "\r"))
    #expect(answer.contains { $0.dropFirst().elementsEqual("Content-Length: \(segments.count)".utf8) })
    var expected = Array("\r\n\r\n".utf8)
    for segment in segments.segments { expected += segment }
    #expect(peer.received.firstRange(of: expected) != nil)
  }

  @Test func writeThatWantsToReadWaitsForIt() throws {
    let peer = try #require(fixture.connect { $0.writeScript = [.wantRead] })
    fixture.send(request, to: peer)
    #expect(peer.received.isEmpty && fixture.interest(of: peer) == .read)
    fixture.run(peer)
    #expect(peer.statuses == [200])
  }

  @Test func readThatWantsToWriteWaitsForIt() throws {
    let peer = try #require(fixture.connect())
    peer.input.append(.wantWrite)
    fixture.run(peer)
    #expect(fixture.interest(of: peer) == .write)
    peer.feed(request)
    fixture.run(peer)
    #expect(peer.statuses == [200] && fixture.interest(of: peer) == .read)
  }

  @Test func oneConnectionDoesNotReadBeyondItsTurn() throws {
    let fixture = ConnectionFixture([.readTurnBytes: 16384])
    let peer = try #require(fixture.connect())
    let other = try #require(fixture.connect(from: "192.0.2.2"))
    peer.feed(post(String(repeating: "b", count: 100_000)))
    other.feed(request)
    let reads = peer.reads
    fixture.kernel.report([peer.descriptor: .readable, other.descriptor: .readable])
    fixture.loop.runOnce(wait: .zero)
    // Bytes that are decrypted already bring no readiness: the next turn is posted behind the other's.
    #expect(peer.reads == reads + 2 && peer.statuses == [] && other.statuses == [200])
    for _ in 0..<8 { fixture.loop.runOnce(wait: .zero) }
    #expect(peer.statuses == [200])
  }

  @Test(arguments: [
    (TransportFailure.plainHTTP, "plain HTTP on the TLS port"), (.notTLS, "the first bytes are not TLS"),
    (.certificateRefused("unable to get local issuer certificate"), "client certificate refused"),
    (.tls("no shared cipher"), "no shared cipher"),
  ])
  func failedHandshakeIsOneLine(failure: TransportFailure, text: String) throws {
    let peer = try #require(fixture.connect { $0.handshakeScript = [.wantRead, .failed(failure)] })
    fixture.run(peer)
    #expect(fixture.log.notices.count == 1)
    #expect(fixture.log.notices[0].contains("192.0.2.1") && fixture.log.notices[0].contains(text))
    let clear = String(decoding: peer.receivedInClear, as: UTF8.self)
    #expect(clear.hasPrefix("HTTP/1.1 400 Bad Request\r\n") == (failure == .plainHTTP))
    #expect(fixture.isOpen(peer) == (failure == .plainHTTP))
    fixture.wait(.seconds(6))
    #expect(fixture.table.count == 0)
    #expect(fixture.table.counters.plainHTTP + fixture.table.counters.failedHandshakes == 1)
  }

  @Test(arguments: ["", "POST / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbod"])
  func peerThatLeavesEndsItsConnectionOnly(sent: String) throws {
    for ending in [ScriptedTransport.Input.closed, .failed(.system(104))] {
      let other = try #require(fixture.connect(from: "192.0.2.9"))
      let peer = try #require(fixture.connect())
      if !sent.isEmpty { fixture.send(sent, to: peer) }
      peer.input.append(ending)
      fixture.run(peer)
      #expect(!fixture.isOpen(peer) && fixture.isOpen(other) && fixture.log.notices.isEmpty)
      fixture.send(request, to: other)
      #expect(other.statuses == [200])
    }
  }

  @Test func aPeerMayLeaveWhileItsAnswerIsMadeOrWritten() async throws {
    let early = try #require(fixture.connect { $0.handshakeScript = [.failed(.system(104))] })
    #expect(!fixture.isOpen(early))

    fixture.handler.waits = true
    let asking = try #require(fixture.connect())
    fixture.send(request, to: asking)
    #expect(fixture.interest(of: asking) == [])
    await fixture.goOn()
    await fixture.handler.untilWaiting()
    asking.writeScript = [.failed(.system(32))]
    await fixture.goOn()
    #expect(!fixture.isOpen(asking))

    fixture.handler.waits = false
    let reading = try #require(fixture.connect { $0.windowBytes = 10 })
    fixture.send(request, to: reading)
    reading.input.append(.failed(.system(104)))
    fixture.run(reading)
    #expect(!fixture.isOpen(reading) && fixture.table.count == 0 && fixture.log.notices.isEmpty)

    fixture.handler.refusal = .error(status: 401)
    let lingering = try #require(fixture.connect())
    fixture.send(request, to: lingering)
    lingering.input.append(.failed(.system(104)))
    fixture.run(lingering)
    #expect(!fixture.isOpen(lingering))
  }

  @Test(arguments: [
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413, "body_bytes"),
    ("POST /\(String(repeating: "x", count: 9000)) HTTP/1.1\r\n", 414, "request_line_bytes"),
    ("POST / HTTP/1.1\r\nX: \(String(repeating: "x", count: 40000))\r\n", 431, "header_bytes"),
    ("POST / HTTP/1.1\r\n" + String(repeating: "X: 1\r\n", count: 200), 431, "header_count"),
    ("nonsense\r\n\r\n", 400, ""),
  ])
  func whatIsTooLargeOrNotHTTPIsRefused(text: String, status: Int, limit: String) throws {
    let peer = try #require(fixture.connect())
    fixture.send(text, to: peer)
    #expect(peer.statuses == [status] && peer.hasSentCloseNotify && fixture.handler.heads.isEmpty)
    #expect(fixture.log.notices.count == (limit.isEmpty ? 0 : 1))
    if !limit.isEmpty { #expect(fixture.log.notices[0].contains("limit \(limit) = ")) }
    #expect(fixture.table.counters.refused == [status: 1])
  }
}
