import EventLoop
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Networking

nonisolated private func post(_ body: String) -> String {
  "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}
nonisolated private let request = post("body")
nonisolated private let head = String(request.dropLast(4))

extension ScriptedTransport {
  /// Status lines of all answers, in order.
  fileprivate var statuses: [Int] {
    receivedText.split(separator: "HTTP/1.1 ").compactMap { Int($0.prefix(3)) }
  }
}

/// One step follows the other, and each state has its end.
@Suite struct ConnectionStepTests {
  let fixture = ConnectionFixture()

  @Test func othersHaveTheirTurnBeforeAPipelinedRequest() throws {
    let peer = try #require(fixture.connect())
    let other = try #require(fixture.connect(from: "192.0.2.2"))
    peer.feed(post("one") + post("two") + post("three"))
    other.feed(post("other"))
    fixture.kernel.report([peer.descriptor: .readable, other.descriptor: .readable])
    for _ in 0..<3 { fixture.loop.runOnce(wait: .zero) }
    let asked = fixture.handler.requests.map { String(decoding: $0.body, as: UTF8.self) }
    #expect(asked == ["one", "other", "two", "three"] || asked == ["other", "one", "two", "three"])
    let bodies = peer.receivedText.split(separator: "HTTP/1.1 200").map { $0.split(separator: "\r\n").last! }
    #expect(bodies == ["one", "two", "three"] && fixture.interest(of: peer) == .read)
  }

  @Test func asManyPipelinedRequestsAsOneReadHoldsAreAnswered() throws {
    let peer = try #require(fixture.connect())
    let count = 16 * 1024 / request.utf8.count
    peer.feed(String(repeating: request, count: count))
    fixture.run(peer)
    for _ in 0..<count { fixture.loop.runOnce(wait: .zero) }
    #expect(peer.statuses == Array(repeating: 200, count: count) && peer.input.isEmpty)
  }

  @Test func bytesBehindARequestBeginTheNext() throws {
    let peer = try #require(fixture.connect())
    let split = request.index(request.startIndex, offsetBy: 20)
    fixture.send(request + request[..<split], to: peer, turns: 2)
    #expect(peer.statuses == [200])
    fixture.send(String(request[split...]), to: peer)
    #expect(peer.statuses == [200, 200])

    // They have the time of headers, not that of an idle connection.
    let slow = try #require(fixture.connect())
    fixture.send(request + request[..<split], to: slow, turns: 2)
    fixture.wait(NetworkLimits().duration(.headerSeconds) + .milliseconds(1))
    #expect(slow.statuses == [200, 408])
  }

  @Test func bytesThatCameWhileTheHandlerDecidedAreReadAtOnce() async throws {
    fixture.handler.waits = true
    let peer = try #require(fixture.connect())
    fixture.send(head, to: peer)
    peer.feed("bo")
    peer.feed("dy" + request)
    #expect(fixture.interest(of: peer) == [] && fixture.handler.heads.count == 1)
    await fixture.goOn()
    // No readiness was needed for the body; the request behind it waits for the answer.
    #expect(fixture.handler.requests.count == 1 && fixture.handler.heads.count == 1)
    fixture.handler.waits = false
    await fixture.goOn()
    #expect(peer.statuses == [200, 200] && fixture.handler.requests.count == 2)
  }

  /// A state that a connection can be in, and how it comes there.
  enum Place: CaseIterable, Sendable {
    case handshaking, idle, readingHeaders, authenticating, queued, delayed, readingBody, dispatching, writingResponse
    case lingering
  }

  /// - Parameter isStuck: the peer does not take a ticket that TLS sends, so that each state waits for room.
  private func bring(
    to place: Place, isStuck: Bool = false
  ) async throws -> (fixture: ConnectionFixture, peer: ScriptedTransport) {
    var limits = NetworkLimits()
    limits[.authenticationFailures] = 1
    let fixture = ConnectionFixture(limits: limits)
    let handler = fixture.handler
    func guess(_ count: Int) throws {
      handler.refusal = .error(status: 401)
      for _ in 0..<count {
        let peer = try #require(fixture.connect())
        fixture.send(request, to: peer)
        peer.input.append(.closed)
        if !peer.statuses.isEmpty { fixture.run(peer) }
      }
    }
    if place == .delayed { try guess(1) }
    if place == .queued { try guess(1 + AuthenticationThrottle.limitWaiting) }
    let peer = try #require(
      fixture.connect(isSilent: place == .handshaking) {
        if isStuck {
          $0.windowBytes = 0
          $0.hold("ticket")
        }
      })
    switch place {
    case .handshaking, .idle: break
    case .readingHeaders: fixture.send("POST /RPC2 HT", to: peer)
    case .authenticating:
      handler.waits = true
      fixture.send(request, to: peer)
    case .queued, .delayed: fixture.send(request, to: peer)
    case .readingBody: fixture.send(head, to: peer)
    case .dispatching:
      handler.waits = true
      fixture.send(request, to: peer)
      await fixture.goOn()
      await handler.untilWaiting()
    case .writingResponse:
      peer.windowBytes = 0
      fixture.send(request, to: peer)
    case .lingering:
      handler.refusal = .error(status: 401)
      fixture.send(request, to: peer)
    }
    return (fixture, peer)
  }

  @Test(arguments: Place.allCases)
  func aServerThatStopsFinishesWhatItHasAccepted(place: Place) async throws {
    let (fixture, peer) = try await bring(to: place)
    var isDone = false
    fixture.table.drain { isDone = true }
    fixture.loop.runOnce(wait: .zero)
    switch place {
    case .handshaking, .queued, .delayed: #expect(!fixture.isOpen(peer) && peer.statuses.isEmpty)
    case .idle: #expect(peer.hasSentCloseNotify && peer.statuses.isEmpty)
    case .readingHeaders: fixture.send(String(request.dropFirst(13)), to: peer)
    case .readingBody: fixture.send("body", to: peer)
    case .authenticating:
      await fixture.goOn()
      await fixture.goOn()
    case .dispatching: await fixture.goOn()
    case .writingResponse:
      peer.windowBytes = .max
      fixture.run(peer)
    case .lingering: #expect(peer.statuses == [401] && fixture.isOpen(peer))
    }
    switch place {
    case .readingHeaders, .authenticating, .readingBody, .dispatching:
      #expect(peer.statuses == [200] && peer.receivedText.contains("Connection: close") && peer.hasSentCloseNotify)
    // Its head had been made before.
    case .writingResponse: #expect(peer.statuses == [200] && peer.hasSentCloseNotify)
    case .handshaking, .idle, .queued, .delayed, .lingering: break
    }
    fixture.wait(NetworkLimits().duration(.lingerSeconds) + .milliseconds(1))
    #expect(!fixture.isOpen(peer) && fixture.table.count == 0 && isDone)
    #expect(fixture.table.heldBodyBytes == 0 && fixture.table.requestsInProgress == 0)
  }

  @Test(arguments: Place.allCases)
  func aPeerThatFailsEndsInEachState(place: Place) async throws {
    let (fixture, peer) = try await bring(to: place, isStuck: place != .lingering)
    // The interest of some states is set at the end of the iteration.
    fixture.loop.runOnce(wait: .zero)
    peer.input.insert(.failed(.system(104)), at: 0)
    if place == .writingResponse { peer.writeScript = [.failed(.system(104))] }
    fixture.kernel.report([peer.descriptor: .error])
    fixture.loop.runOnce(wait: .zero)
    #expect(!fixture.isOpen(peer))
    #expect(fixture.table.heldBodyBytes == 0 && fixture.table.requestsInProgress == 0)
    // The handler's answer comes to nobody.
    if place == .authenticating || place == .dispatching {
      await fixture.goOn()
      #expect(peer.statuses.isEmpty)
    }
  }
}
