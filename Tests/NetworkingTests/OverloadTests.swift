import EventLoop
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Networking

/// More work than time: what is refused, what is not, and that refused ones are told so.
@Suite struct OverloadTests {
  let fixture = ConnectionFixture()

  @Test func lateRequestsOfNewClientsAreRefused() throws {
    let reading = try #require(fixture.connect(from: "192.0.2.9"))
    fixture.send(ConnectionFixture.head + "<ca", to: reading)
    try fixture.ask(from: "192.0.2.2")
    fixture.lag = .seconds(5)
    let new = try fixture.ask()
    #expect(new.isAskedToRetry && fixture.table.counters.reached == [.overloadSeconds: 1])
    #expect(
      fixture.log.notices.count == 1 && fixture.log.notices[0].contains("192.0.2.1:40000: limit overload_delay = 5"))
    // A body that is being read is finished and answered, and so is the next call of a run that has begun.
    fixture.send("ll>", to: reading)
    #expect(reading.status == 200)
    let next = try fixture.ask(from: "192.0.2.2")
    #expect(next.status == 200)
    fixture.lag = .seconds(20)
    let last = try fixture.ask(from: "192.0.2.2")
    #expect(last.isAskedToRetry)
    fixture.lag = .milliseconds(4999)
    let after = try fixture.ask()
    #expect(after.status == 200)
  }

  @Test func aRunThatHasBegunDoesNotWaitForAStormOfHandshakes() throws {
    let fixture = ConnectionFixture([.handshakesPerTurn: 2])
    try fixture.ask(from: "192.0.2.2")
    let strangers = try (0..<6).map { _ in try #require(fixture.connect { $0.handshakeScript = [.wantRead] }) }
    let known = try #require(fixture.connect(from: "192.0.2.2") { $0.handshakeScript = [.wantRead] })
    known.feed(ConnectionFixture.request)
    report(strangers + [known], to: fixture)
    #expect(known.status == 200 && fixture.table.counters.handshakes == 4)
  }

  /// Those were found out four an iteration, and piled up to the limit of connections.
  @Test func peersThatHaveGoneTakeNoTurnOfAHandshake() throws {
    let fixture = ConnectionFixture([.handshakesPerTurn: 1])
    let gone: [StepOutcome] = [.wantRead, .failed(.system(104)), .wantRead, .closed, .wantRead, .failed(.system(104))]
    let peers = try stride(from: 0, to: gone.count, by: 2).map { index in
      try #require(fixture.connect { $0.handshakeScript = Array(gone[index...(index + 1)]) })
    }
    let alive = try #require(fixture.connect { $0.handshakeScript = [.wantRead] })
    alive.feed(ConnectionFixture.request)
    report(peers + [alive], to: fixture)
    #expect(alive.status == 200 && fixture.table.count == 1 && fixture.table.counters.peersGone == 3)
  }

  private func report(_ peers: [ScriptedTransport], to fixture: ConnectionFixture) {
    fixture.kernel.report(
      peers.map {
        PollEvent(
          descriptor: $0.descriptor, generation: fixture.kernel.registrations[$0.descriptor]!.generation,
          readiness: .readable)
      })
    fixture.loop.runOnce(wait: .zero)
  }

  @Test func whoWaitsForAHandshakeGetsItsTurn() throws {
    let fixture = ConnectionFixture([.handshakesPerTurn: 1])
    // Each handshake takes two steps.
    let peers = try (0..<3).map { _ in try #require(fixture.connect { $0.handshakeScript = [.wantRead, .wantRead] }) }
    let fresh = try (0..<3).map { _ in
      try #require(fixture.connect(isSilent: true) { $0.handshakeScript = [.wantRead, .wantRead] })
    }
    report(fresh + peers, to: fixture)
    // One new stranger had its turn; all others wait. They are few and stay watched.
    #expect(fixture.interest(of: fresh[0]) == .read && fresh[0].handshakes == 1)
    for peer in fresh[1...] + peers[...] { #expect(fixture.interest(of: peer) == .read) }
    // Handshakes that have begun go before new ones, in the order in which they were ready.
    for peer in peers {
      #expect(peer.handshakes == 1)
      fixture.loop.runOnce(wait: .zero)
      #expect(peer.handshakes == 2 && fixture.interest(of: peer) == .read)
    }
    // Who is late while it waits is passed over.
    #expect(fresh.map(\.handshakes) == [1, 0, 0])
    fixture.kernel.now = fixture.kernel.now + .seconds(11)
    fixture.loop.runOnce(wait: .zero)
    #expect(fixture.table.count == 0 && fresh.map(\.handshakes) == [1, 0, 0])
  }

  @Test func whereManyWaitForAHandshakeTheRestIsNotWatched() throws {
    let fixture = ConnectionFixture([.handshakesPerTurn: 1])
    let peers = try (0..<70).map { _ in
      try #require(fixture.connect(isSilent: true) { $0.handshakeScript = [.wantRead, .wantRead] })
    }
    report(peers, to: fixture)
    #expect(peers.map { fixture.interest(of: $0) == .read } == (0..<70).map { $0 <= 64 })
    // Its turn comes all the same, and then it is watched again.
    for _ in 0..<69 { fixture.loop.runOnce(wait: .zero) }
    #expect(peers.allSatisfy { $0.handshakes == 1 && fixture.interest(of: $0) == .read })
  }

  @Test func requestsInProgressAreBounded() async throws {
    let fixture = ConnectionFixture([.requests: 1])
    let first = try #require(fixture.connect())
    fixture.handler.waits = true
    fixture.send(ConnectionFixture.request, to: first)
    await fixture.goOn()
    fixture.run(first)
    await fixture.handler.untilWaiting()
    let second = try fixture.ask()
    #expect(second.isAskedToRetry && first.status == nil)
    await fixture.goOn()
    #expect(first.status == 200)
    fixture.handler.waits = false
    let third = try fixture.ask()
    #expect(third.status == 200 && fixture.table.requestsInProgress == 0)
  }

  @Test func aPeerThatGoesWhileItIsAnsweredCountsNoMore() async throws {
    fixture.handler.waits = true
    let peer = try fixture.ask()
    await fixture.goOn()
    fixture.run(peer)
    await fixture.handler.untilWaiting()
    #expect(fixture.table.requestsInProgress == 1 && fixture.table.heldBodyBytes == 6)
    fixture.table.drain {}
    fixture.wait(.seconds(11))
    #expect(fixture.table.requestsInProgress == 0 && fixture.table.heldBodyBytes == 0 && fixture.table.count == 0)
    await fixture.goOn()
  }

  @Test func bodiesTogetherAreBounded() throws {
    let fixture = ConnectionFixture([.bodiesBytes: 1 << 20])
    let half = String(repeating: "x", count: 600_000)
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\n\r\n"
    let first = try #require(fixture.connect())
    fixture.send(head + half, to: first, turns: 12)
    #expect(fixture.table.heldBodyBytes == 600_000)
    let second = try #require(fixture.connect())
    fixture.send(head + half, to: second, turns: 12)
    #expect(second.isAskedToRetry && fixture.table.heldBodyBytes == 600_000)
    // A small one in between, and the end of the first.
    let small = try fixture.ask()
    fixture.send(String(repeating: "x", count: 100_000), to: first, turns: 4)
    #expect(small.status == 200 && first.status == 200 && fixture.table.heldBodyBytes == 0)
  }

  // MARK: Failed authentication

  @Test func failuresBeyondTheirNumberAreAnsweredLater() throws {
    let fixture = ConnectionFixture([.authenticationFailures: 2])
    fixture.handler.refusal = .error(status: 401)
    for _ in 0..<2 {
      let peer = try fixture.ask()
      #expect(peer.status == 401)
    }
    let late = try fixture.ask()
    #expect(late.status == nil)
    // Another address is answered at once, and so is the right password from the same one.
    let other = try fixture.ask(from: "192.0.2.2")
    #expect(other.status == 401)
    fixture.handler.refusal = nil
    let right = try fixture.ask()
    #expect(right.status == 200)
    fixture.wait(.milliseconds(249))
    #expect(late.status == nil)
    fixture.wait(.milliseconds(1))
    #expect(late.status == 401 && fixture.table.counters.failedAuthentications == 4)
    #expect(fixture.table.counters.delayedRefusals == 1 && fixture.table.counters.refused == [401: 4])
    #expect(fixture.log.notices.count == 1 && fixture.log.notices[0].contains("limit authentication_failures = 2"))
  }

  @Test func aRightPasswordIsLetInHoweverManyRefusalsOfItsAddressWait() throws {
    let fixture = ConnectionFixture([.authenticationFailures: 1])
    fixture.handler.refusal = .error(status: 401)
    for _ in 0...AuthenticationThrottle.limitWaiting {
      try fixture.ask()
    }
    let seen = fixture.handler.heads.count
    // Three more of the same address: each password is looked at, in turn, and none is turned away unseen.
    let guesses = try (0..<2).map { _ in try #require(fixture.connect()) }
    for guess in guesses { fixture.send(ConnectionFixture.request, to: guess) }
    let right = try fixture.ask()
    #expect(fixture.handler.heads.count == seen && right.status == nil && fixture.table.counters.delayedChecks == 3)
    fixture.wait(.milliseconds(50))
    #expect(fixture.handler.heads.count == seen + 1 && guesses[0].status == 401)
    fixture.wait(.milliseconds(50))
    #expect(fixture.handler.heads.count == seen + 2 && guesses[1].status == 401)
    fixture.handler.refusal = nil
    fixture.wait(.milliseconds(49))
    #expect(right.status == nil)
    fixture.wait(.milliseconds(1))
    #expect(right.status == 200)
    // Another address notices nothing, nor does this one once the refusals are out.
    let other = try fixture.ask(from: "192.0.2.2")
    #expect(other.status == 200)
    fixture.wait(.seconds(9))
    let after = try fixture.ask()
    #expect(after.status == 200)
  }

  @Test func aCertificateHasTurnsOfItsOwn() throws {
    let fixture = ConnectionFixture([.authenticationFailures: 1])
    fixture.handler.refusal = .error(status: 401)
    func ask(_ name: String?) throws -> ScriptedTransport {
      let transport = try #require(fixture.connect { $0.peerCommonName = name })
      fixture.send(ConnectionFixture.request, to: transport)
      return transport
    }
    // Its password is checked as well, where it has to have one.
    for _ in 0...AuthenticationThrottle.limitWaiting { _ = try ask("guesser") }
    let seen = fixture.handler.heads.count
    let guess = try ask("guesser")
    #expect(fixture.handler.heads.count == seen && fixture.table.counters.delayedChecks == 1)
    fixture.handler.refusal = nil
    // Of the same address: one with another certificate, and one without.
    #expect(try ask("other").status == 200 && ask(nil).status == 200)
    fixture.handler.refusal = .error(status: 401)
    fixture.wait(.milliseconds(50))
    #expect(guess.status == 401)
    for _ in 0...AuthenticationThrottle.limitWaiting { _ = try ask(nil) }
    fixture.handler.refusal = nil
    #expect(try ask("other").status == 200)
  }

  @Test func whoWaitsForATurnIsEndedWithTheServer() throws {
    let fixture = ConnectionFixture([.authenticationFailures: 1])
    fixture.handler.refusal = .error(status: 401)
    for _ in 0...AuthenticationThrottle.limitWaiting + 1 {
      try fixture.ask()
    }
    var isDone = false
    fixture.table.drain { isDone = true }
    // But the first, which was answered at once and has time to read.
    #expect(fixture.table.count == 1)
    fixture.wait(.seconds(6))
    #expect(fixture.table.count == 0 && isDone)
  }

  @Test func throttleDoublesForgetsAndIsBounded() {
    var limits = NetworkLimits()
    limits[.authenticationFailures] = 1
    var throttle = AuthenticationThrottle(limits)
    let address = AuthenticationThrottle.Source.address(.ipv4(1, port: 0))
    var now = MonotonicTime.now()
    var delays: [Duration] = []
    for _ in 0..<8 {
      delays.append(throttle.recordFailure(of: address, now: now))
      if delays.last != .zero { throttle.endWait(of: address) }
    }
    #expect(delays == [0, 250, 500, 1000, 2000, 4000, 8000, 8000].map { .milliseconds($0) })
    now = now + .seconds(60 * 7)
    #expect(throttle.recordFailure(of: address, now: now) == .milliseconds(250))
    now = now + .seconds(60 * 40)
    #expect(throttle.recordFailure(of: address, now: now) == .zero)
    for host in 0..<UInt32(AuthenticationThrottle.limitAddresses + 50) {
      now = now + .milliseconds(1)
      _ = throttle.recordFailure(of: .address(.ipv4(100 + host, port: 0)), now: now)
    }
    #expect(throttle.count == AuthenticationThrottle.limitAddresses)
  }

  @Test func countersAreReportedInLines() {
    var counters = NetworkCounters()
    counters.accepted = 3
    counters.reached = [.handshakeSeconds: 2]
    counters.refused = [503: 1, 401: 7]
    #expect(counters.report[0].hasPrefix("Network: accepted 3, handshakes 0"))
    #expect(
      counters.report[1...] == ["Limits reached: handshake_timeout 2", "Requests refused, by status: 401 7, 503 1"])
    #expect(NetworkCounters().report[1] == "Limits reached: none")
  }

  @Test func connectionsFitTheDescriptors() {
    var limits = NetworkLimits()
    #expect(DescriptorLimit.fit(&limits, to: 65536) == nil && limits[.connections] == 2048)
    let warning = DescriptorLimit.fit(&limits, to: 1024)
    #expect(limits[.connections] == 1024 - DescriptorLimit.reserve - 64 && warning?.contains("ulimit -n") == true)
    #expect(DescriptorLimit.fit(&limits, to: 20) != nil && limits[.connections] == 1)
  }
}
