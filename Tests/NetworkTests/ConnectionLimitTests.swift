import EventLoop
import Network
import Support
import Testing
import XMLRPC

@testable import ServerSettings

nonisolated private let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
nonisolated private let request = head + "<call>"

extension ScriptedTransport {
  fileprivate var status: Int? { receivedText.hasPrefix("HTTP/1.1 ") ? Int(receivedText.dropFirst(9).prefix(3)) : nil }
}

@Suite struct ConnectionLimitTests {
  let bench = ConnectionBench()

  @Test func handshakeHasItsTime() throws {
    let peer = try #require(bench.connect { $0.handshakeScript = Array(repeating: .wantRead, count: 9) })
    bench.wait(.seconds(9))
    bench.run(peer)
    #expect(bench.isOpen(peer))
    bench.wait(.seconds(1))
    #expect(!bench.isOpen(peer) && bench.table.counters.reached == [.handshakeSeconds: 1])
    #expect(bench.log.notices.count == 1 && bench.log.notices[0].contains("192.0.2.1:40000: limit handshake_timeout"))
  }

  @Test func manyHandshakesShareTheLoop() throws {
    var limits = NetworkLimits()
    limits[.handshakesPerTurn] = 2
    let bench = ConnectionBench(limits: limits)
    let working = try #require(bench.connect())
    let peers = try (0..<5).map { _ in
      try #require(bench.connect(from: "192.0.2.3") { $0.handshakeScript = [.wantRead] })
    }
    working.feed(request)
    for expected in [2, 4, 5] {
      bench.kernel.report(
        (peers + [working]).map {
          PollEvent(
            descriptor: $0.descriptor, generation: bench.kernel.registrations[$0.descriptor]!.generation,
            readiness: .readable)
        })
      bench.loop.runOnce(wait: .zero)
      #expect(bench.table.counters.handshakes == expected + 1 && working.status == 200)
    }
  }

  @Test func headersHaveTheirTimeWhateverTrickles() throws {
    let silent = try #require(bench.connect(from: "192.0.2.2"))
    let slow = try #require(bench.connect())
    for _ in 0..<9 {
      bench.wait(.seconds(1))
      bench.send("P", to: slow)
    }
    #expect(slow.status == nil && bench.isOpen(silent))
    bench.wait(.milliseconds(1500))
    #expect(slow.status == 408 && slow.hasSentCloseNotify)
    // Nothing was asked, so that nothing is answered.
    #expect(silent.received.isEmpty && silent.hasSentCloseNotify)
    #expect(bench.table.counters.reached == [.headerSeconds: 2])
    bench.wait(.seconds(6))
    #expect(bench.table.count == 0)
  }

  @Test func bodyMustMakeProgress() throws {
    let slow = try #require(bench.connect())
    bench.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n", to: slow)
    for _ in 0..<3 {
      bench.wait(.seconds(25))
      bench.send(String(repeating: "x", count: 4096), to: slow)
    }
    #expect(slow.status == nil)
    for _ in 0..<29 {
      bench.wait(.seconds(1))
      bench.send("x", to: slow)
    }
    #expect(slow.status == nil)
    bench.wait(.seconds(1))
    #expect(slow.status == 408 && bench.table.counters.reached == [.bodySeconds: 1])
  }

  @Test func answerMustBeTaken() throws {
    bench.handler.respond = { _ in .xml(ByteSegments([UInt8](repeating: 1, count: 1_000_000))) }
    let peer = try #require(bench.connect { $0.windowBytes = 0 })
    bench.send(request, to: peer)
    for _ in 0..<3 {
      bench.wait(.seconds(55))
      peer.windowBytes = 70_000
      bench.run(peer)
    }
    #expect(bench.isOpen(peer))
    bench.wait(.seconds(61))
    #expect(!bench.isOpen(peer) && bench.table.counters.reached == [.responseSeconds: 1])
  }

  @Test func answerThatTakesLongHasNoDeadline() async throws {
    bench.handler.waits = true
    let peer = try #require(bench.connect())
    bench.send(request, to: peer)
    bench.wait(.seconds(500))
    await bench.goOn()
    bench.run(peer)
    await bench.handler.untilWaiting()
    bench.wait(.seconds(500))
    await bench.goOn()
    #expect(peer.status == 200 && bench.isOpen(peer))
  }

  @Test func idleConnectionIsClosedQuietly() throws {
    let peer = try #require(bench.connect())
    bench.send(request, to: peer)
    bench.wait(.seconds(14))
    #expect(bench.isOpen(peer) && !peer.hasSentCloseNotify)
    // The first byte of a request ends the idle time and starts that of the headers.
    bench.send("P", to: peer)
    bench.wait(.seconds(9))
    bench.send(String(request.dropFirst()), to: peer)
    #expect(bench.table.counters.responses == 2)
    bench.wait(.seconds(21))
    #expect(!bench.isOpen(peer) && peer.hasSentCloseNotify && bench.log.notices.isEmpty)
    #expect(bench.table.counters.reached == [.keepAliveSeconds: 1])
  }

  @Test func silentStrangersLeaveRoomForAddressesThatWereAnsweredBefore() throws {
    var limits = NetworkLimits()
    limits[.unauthenticatedConnections] = 4
    let bench = ConnectionBench(limits: limits)
    let client = try #require(bench.connect(from: "192.0.2.1"))
    bench.send(request, to: client)
    #expect(client.status == 200)
    client.input.append(.closed)
    bench.run(client)
    for number in 1...4 { _ = try #require(bench.connect(from: "198.51.100.\(number)")) }
    let stranger = try #require(bench.connect(from: "198.51.100.5"))
    bench.send(request, to: stranger)
    #expect(stranger.status == 503)
    let again = try #require(bench.connect(from: "192.0.2.1"))
    bench.send(request, to: again)
    #expect(again.status == 200)
    // A quarter more, and no further.
    bench.connect(from: "192.0.2.1")
    let last = try #require(bench.connect(from: "192.0.2.1"))
    bench.send(request, to: last)
    #expect(last.status == 503)
  }

  @Test(arguments: [
    (NetworkLimit.connections, "192.0.2.2"), (.unauthenticatedConnections, "192.0.2.2"),
    (.connectionsPerAddress, "192.0.2.1"), (.unauthenticatedPerAddress, "192.0.2.1"),
    (.connectionsPerAddress, "2001:db8::9"),
  ])
  func connectionsOverABoundAreToldToComeBack(limit: NetworkLimit, host: String) throws {
    var limits = NetworkLimits()
    limits[limit] = 2
    limits[.refusedConnections] = 1
    let bench = ConnectionBench(limits: limits)
    let first = host.contains(":") ? "2001:db8::1" : "192.0.2.1"
    let kept = try #require(bench.connect(from: first))
    bench.connect(from: first)
    let refused = try #require(bench.connect(from: host))
    bench.send(request, to: refused)
    #expect(refused.status == 503 && refused.receivedText.contains("Retry-After: 30\r\n"))
    #expect(bench.handler.heads.isEmpty && bench.log.notices.count == 1)
    #expect(bench.log.notices[0].contains("limit \(limit.rawValue) = 2 connections reached"))
    // Beyond the refusals: closed at once, and said once.
    #expect(bench.connect(from: host) == nil && bench.connect(from: host) == nil)
    #expect(bench.table.counters.dropped == 2 && bench.log.notices.count == 2)
    // Those that were there are served, and their end makes room.
    bench.send(request, to: kept)
    #expect(kept.status == 200)
    kept.input.append(.closed)
    bench.run(kept)
    refused.input.append(.closed)
    bench.run(refused)
    let next = try #require(bench.connect(from: host))
    bench.send(request, to: next)
    #expect(next.status == 200)
  }

  @Test func authenticationAndLoopbackMakeRoom() throws {
    var limits = NetworkLimits()
    limits[.unauthenticatedPerAddress] = 1
    let bench = ConnectionBench(limits: limits)
    for _ in 0..<3 {
      let peer = try #require(bench.connect())
      bench.send(request, to: peer)
      #expect(peer.status == 200)
    }
    for _ in 0..<3 { bench.connect(from: "127.0.0.1") }
    #expect(bench.table.count == 6 && bench.table.unauthenticatedCount == 3)
    #expect(bench.table.counters.reached.isEmpty)
  }

  @Test func drainFinishesWhatIsBeingAnswered() async throws {
    bench.handler.waits = true
    let answering = try #require(bench.connect())
    bench.send(request, to: answering)
    await bench.goOn()
    bench.run(answering)
    await bench.handler.untilWaiting()
    let shaking = try #require(bench.connect { $0.handshakeScript = [.wantRead] })
    let idle = try #require(bench.connect())
    idle.input.append(.closed)
    bench.handler.waits = false
    let half = try #require(bench.connect())
    bench.send(head, to: half)
    var isDone = false
    bench.table.drain { isDone = true }
    bench.run(idle)
    #expect(!bench.isOpen(shaking) && !bench.isOpen(idle) && idle.hasSentCloseNotify)
    #expect(bench.connect() == nil)
    bench.send("<call>", to: half)
    #expect(half.status == 200 && half.hasSentCloseNotify && half.receivedText.contains("Connection: close"))
    await bench.goOn()
    #expect(answering.status == 200 && answering.hasSentCloseNotify && !isDone)
    for peer in [half, answering] {
      peer.input.append(.closed)
      bench.run(peer)
    }
    bench.loop.runOnce(wait: .zero)
    #expect(isDone && bench.table.count == 0 && bench.log.notices.isEmpty)
    #expect(bench.loop.shutDown().isEmpty)
  }

  @Test func drainHasItsTime() async throws {
    bench.handler.waits = true
    let peer = try #require(bench.connect())
    bench.send(request, to: peer)
    var isDone = false
    bench.table.drain { isDone = true }
    bench.wait(.seconds(9))
    #expect(!isDone && bench.isOpen(peer))
    bench.wait(.seconds(2))
    #expect(isDone && !bench.isOpen(peer) && bench.table.counters.reached == [.drainSeconds: 1])
    // The handler's word comes too late and harms nobody.
    await bench.goOn()
    #expect(peer.received.isEmpty)
  }

  @Test func failedRegistrationEndsOneConnection() throws {
    bench.kernel.failures = [28]
    let peer = try #require(bench.connect())
    #expect(!bench.isOpen(peer) && bench.table.count == 0 && bench.log.notices.count == 1)
    #expect(bench.connect() != nil)
  }

  @Test func whatTheHandlerRefusesIsCounted() throws {
    for status in [500, 401, 500] {
      bench.handler.respond = { _ in .error(status: status) }
      let peer = try #require(bench.connect())
      bench.send(request, to: peer)
      #expect(peer.status == status)
    }
    #expect(bench.table.counters.refused == [500: 2, 401: 1])
  }

  @Test func tableOfLimitsIsWhole() {
    #expect(NetworkLimit.definitions.map(\.limit) == NetworkLimit.allCases)
    #expect(NetworkLimit.allCases.map(\.position) == Array(NetworkLimit.allCases.indices))
    for definition in NetworkLimit.definitions {
      #expect(definition.range.contains(definition.standard), "\(definition.limit.rawValue)")
      #expect(definition.limit.rawValue.hasSuffix("_bytes") == (definition.unit == .bytes))
    }
  }
}
