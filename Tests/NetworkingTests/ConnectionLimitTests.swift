import EventLoop
import Networking
import Support
import Testing
import XMLRPC

@testable import ServerSettings

@Suite struct ConnectionLimitTests {
  let fixture = ConnectionFixture()

  @Test func handshakeHasItsTime() throws {
    let peer = try #require(fixture.connect { $0.handshakeScript = Array(repeating: .wantRead, count: 9) })
    fixture.wait(.seconds(9))
    fixture.run(peer)
    #expect(fixture.isOpen(peer))
    fixture.wait(.seconds(1))
    #expect(!fixture.isOpen(peer) && fixture.table.counters.reached == [.handshakeSeconds: 1])
    #expect(
      fixture.log.notices.count == 1 && fixture.log.notices[0].contains("192.0.2.1:40000: limit handshake_timeout"))
  }

  @Test func manyHandshakesShareTheLoop() throws {
    let fixture = ConnectionFixture([.handshakesPerTurn: 2])
    let working = try #require(fixture.connect())
    let peers = try (0..<5).map { _ in
      try #require(fixture.connect(from: "192.0.2.3") { $0.handshakeScript = [.wantRead] })
    }
    working.feed(ConnectionFixture.request)
    for expected in [2, 4, 5] {
      fixture.kernel.report(
        (peers + [working]).map {
          PollEvent(
            descriptor: $0.descriptor, generation: fixture.kernel.registrations[$0.descriptor]!.generation,
            readiness: .readable)
        })
      fixture.loop.runOnce(wait: .zero)
      #expect(fixture.table.counters.handshakes == expected + 1 && working.status == 200)
    }
  }

  @Test func headersHaveTheirTimeWhateverTrickles() throws {
    let silent = try #require(fixture.connect(from: "192.0.2.2"))
    let slow = try #require(fixture.connect())
    for _ in 0..<9 {
      fixture.wait(.seconds(1))
      fixture.send("P", to: slow)
    }
    #expect(slow.status == nil && fixture.isOpen(silent))
    fixture.wait(.milliseconds(1500))
    #expect(slow.status == 408 && slow.hasSentCloseNotify)
    // Nothing was asked, so that nothing is answered.
    #expect(silent.received.isEmpty && silent.hasSentCloseNotify)
    #expect(fixture.table.counters.reached == [.headerSeconds: 2])
    fixture.wait(.seconds(6))
    #expect(fixture.table.count == 0)
  }

  @Test func bodyMustMakeProgress() throws {
    let slow = try #require(fixture.connect())
    fixture.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n", to: slow)
    for _ in 0..<3 {
      fixture.wait(.seconds(25))
      fixture.send(String(repeating: "x", count: 4096), to: slow)
    }
    #expect(slow.status == nil)
    for _ in 0..<29 {
      fixture.wait(.seconds(1))
      fixture.send("x", to: slow)
    }
    #expect(slow.status == nil)
    fixture.wait(.seconds(1))
    #expect(slow.status == 408 && fixture.table.counters.reached == [.bodySeconds: 1])
  }

  @Test func answerMustBeTaken() throws {
    fixture.handler.respond = { _ in .xml(ByteSegments([UInt8](repeating: 1, count: 1_000_000))) }
    let peer = try #require(fixture.connect { $0.windowBytes = 0 })
    fixture.send(ConnectionFixture.request, to: peer)
    for _ in 0..<3 {
      fixture.wait(.seconds(55))
      peer.windowBytes = 70_000
      fixture.run(peer)
    }
    #expect(fixture.isOpen(peer))
    fixture.wait(.seconds(61))
    #expect(!fixture.isOpen(peer) && fixture.table.counters.reached == [.responseSeconds: 1])
  }

  @Test func answerThatTakesLongHasNoDeadline() async throws {
    fixture.handler.waits = true
    let peer = try fixture.ask()
    fixture.wait(.seconds(500))
    await fixture.goOn()
    fixture.run(peer)
    await fixture.handler.untilWaiting()
    fixture.wait(.seconds(500))
    await fixture.goOn()
    #expect(peer.status == 200 && fixture.isOpen(peer))
  }

  @Test func idleConnectionIsClosedQuietly() throws {
    let peer = try fixture.ask()
    fixture.wait(.seconds(14))
    #expect(fixture.isOpen(peer) && !peer.hasSentCloseNotify)
    // The first byte of a request ends the idle time and starts that of the headers.
    fixture.send("P", to: peer)
    fixture.wait(.seconds(9))
    fixture.send(String(ConnectionFixture.request.dropFirst()), to: peer)
    #expect(fixture.table.counters.responses == 2)
    fixture.wait(.seconds(21))
    #expect(!fixture.isOpen(peer) && peer.hasSentCloseNotify && fixture.log.notices.isEmpty)
    #expect(fixture.table.counters.reached == [.keepAliveSeconds: 1])
  }

  @Test func silentStrangersLeaveRoomForAddressesThatWereAnsweredBefore() throws {
    let fixture = ConnectionFixture([.unauthenticatedConnections: 4])
    let client = try fixture.ask(from: "192.0.2.1")
    #expect(client.status == 200)
    client.input.append(.closed)
    fixture.run(client)
    for number in 1...4 { _ = try #require(fixture.connect(from: "198.51.100.\(number)")) }
    let stranger = try fixture.ask(from: "198.51.100.5")
    #expect(stranger.status == 503)
    let again = try fixture.ask(from: "192.0.2.1")
    #expect(again.status == 200)
    // A quarter more, and no further.
    fixture.connect(from: "192.0.2.1")
    let last = try fixture.ask(from: "192.0.2.1")
    #expect(last.status == 503)
  }

  @Test(arguments: [
    (NetworkLimit.connections, "192.0.2.2"), (.unauthenticatedConnections, "192.0.2.2"),
    (.connectionsPerAddress, "192.0.2.1"), (.unauthenticatedPerAddress, "192.0.2.1"),
    (.connectionsPerAddress, "2001:db8::9"),
  ])
  func connectionsOverABoundAreToldToComeBack(limit: NetworkLimit, host: String) throws {
    let fixture = ConnectionFixture([limit: 2, .refusedConnections: 1])
    let first = host.contains(":") ? "2001:db8::1" : "192.0.2.1"
    let kept = try #require(fixture.connect(from: first))
    fixture.connect(from: first)
    let refused = try fixture.ask(from: host)
    #expect(refused.status == 503 && refused.receivedText.contains("Retry-After: 30\r\n"))
    #expect(fixture.handler.heads.isEmpty && fixture.log.notices.count == 1)
    #expect(fixture.log.notices[0].contains("limit \(limit.option) = 2 connections reached"))
    // Beyond the refusals: closed at once, and said once.
    #expect(fixture.connect(from: host) == nil && fixture.connect(from: host) == nil)
    #expect(fixture.table.counters.dropped == 2 && fixture.log.notices.count == 2)
    // Those that were there are served, and their end makes room.
    fixture.send(ConnectionFixture.request, to: kept)
    #expect(kept.status == 200)
    kept.input.append(.closed)
    fixture.run(kept)
    refused.input.append(.closed)
    fixture.run(refused)
    let next = try fixture.ask(from: host)
    #expect(next.status == 200)
  }

  @Test func authenticationAndLoopbackMakeRoom() throws {
    let fixture = ConnectionFixture([.unauthenticatedPerAddress: 1])
    for _ in 0..<3 {
      let peer = try fixture.ask()
      #expect(peer.status == 200)
    }
    for _ in 0..<3 { fixture.connect(from: "127.0.0.1") }
    #expect(fixture.table.count == 6 && fixture.table.unauthenticatedCount == 3)
    #expect(fixture.table.counters.reached.isEmpty)
  }

  @Test func drainFinishesWhatIsBeingAnswered() async throws {
    fixture.handler.waits = true
    let answering = try fixture.ask()
    await fixture.goOn()
    fixture.run(answering)
    await fixture.handler.untilWaiting()
    let shaking = try #require(fixture.connect { $0.handshakeScript = [.wantRead] })
    let idle = try #require(fixture.connect())
    idle.input.append(.closed)
    fixture.handler.waits = false
    let half = try #require(fixture.connect())
    fixture.send(ConnectionFixture.head, to: half)
    var isDone = false
    fixture.table.drain { isDone = true }
    fixture.run(idle)
    #expect(!fixture.isOpen(shaking) && !fixture.isOpen(idle) && idle.hasSentCloseNotify)
    #expect(fixture.connect() == nil)
    fixture.send("<call>", to: half)
    #expect(half.status == 200 && half.hasSentCloseNotify && half.receivedText.contains("Connection: close"))
    await fixture.goOn()
    #expect(answering.status == 200 && answering.hasSentCloseNotify && !isDone)
    for peer in [half, answering] {
      peer.input.append(.closed)
      fixture.run(peer)
    }
    fixture.loop.runOnce(wait: .zero)
    #expect(isDone && fixture.table.count == 0 && fixture.log.notices.isEmpty)
    #expect(fixture.loop.shutDown().isEmpty)
  }

  @Test func aSuccessorsDrainAnswersWhoHasConnected() async throws {
    let silent = try #require(fixture.connect(isSilent: true))
    let shaking = try #require(fixture.connect { $0.handshakeScript = [.wantRead] })
    let new = try #require(fixture.connect())
    let answered = try fixture.ask()
    #expect(answered.status == 200)
    answered.input.append(.closed)
    var isDone = false
    fixture.table.drain(finishesNew: true) { isDone = true }
    fixture.run(answered)
    #expect(fixture.isOpen(silent) && fixture.isOpen(shaking) && fixture.isOpen(new) && !fixture.isOpen(answered))
    for peer in [shaking, new] {
      fixture.run(peer)
      fixture.send(ConnectionFixture.request, to: peer, turns: 2)
      #expect(peer.status == 200 && peer.receivedText.contains("Connection: close"))
      peer.input.append(.closed)
      fixture.run(peer)
      #expect(!fixture.isOpen(peer))
    }
    // Who says nothing does not keep the server for long.
    fixture.wait(.seconds(4))
    #expect(fixture.isOpen(silent) && !isDone)
    fixture.wait(.seconds(2))
    #expect(!fixture.isOpen(silent) && isDone)
  }

  @Test func drainHasItsTime() async throws {
    fixture.handler.waits = true
    let peer = try fixture.ask()
    var isDone = false
    fixture.table.drain { isDone = true }
    fixture.wait(.seconds(9))
    #expect(!isDone && fixture.isOpen(peer))
    fixture.wait(.seconds(2))
    #expect(isDone && !fixture.isOpen(peer) && fixture.table.counters.reached == [.drainSeconds: 1])
    // The handler's word comes too late and harms nobody.
    await fixture.goOn()
    #expect(peer.received.isEmpty)
  }

  @Test func failedRegistrationEndsOneConnection() throws {
    fixture.kernel.failures = [28]
    let peer = try #require(fixture.connect())
    #expect(!fixture.isOpen(peer) && fixture.table.count == 0 && fixture.log.notices.count == 1)
    #expect(fixture.connect() != nil)
  }

  @Test func whatTheHandlerRefusesIsCounted() throws {
    for status in [500, 401, 500] {
      fixture.handler.respond = { _ in .error(status: status) }
      let peer = try fixture.ask()
      #expect(peer.status == status)
    }
    #expect(fixture.table.counters.refused == [500: 2, 401: 1])
  }

  @Test func tableOfLimitsIsWhole() {
    #expect(NetworkLimit.allCases.map(\.rawValue) == Array(NetworkLimit.allCases.indices))
    #expect(Set(NetworkLimit.allCases.map(\.option)).count == NetworkLimit.allCases.count)
    for definition in NetworkLimit.allCases.map(\.definition) {
      #expect(definition.range.contains(definition.standard), "\(definition.option)")
      #expect(definition.option.hasSuffix("_bytes") == (definition.unit == .bytes))
    }
  }
}
