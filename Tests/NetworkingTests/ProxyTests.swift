import EventLoop
import Identity
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Networking

/// Connections and requests of proxies: for whom they count, and who is believed.
@Suite struct ProxyTests {
  private static let header = ProxyHeaderBytes.make(client: (198, 51, 100, 7), port: 4711)

  private func fixture(_ bounds: [NetworkLimit: Int] = [:]) -> ConnectionFixture {
    let fixture = ConnectionFixture(bounds)
    fixture.table.proxies.readsProxyHeader = true
    fixture.table.proxies.trusted = ["192.0.2.0/24", "127.0.0.1", "::1"].compactMap(NetworkPrefix.init)
    return fixture
  }

  private func connect(
    _ fixture: ConnectionFixture, from host: String = "192.0.2.1", _ pieces: [[UInt8]]
  ) throws -> ScriptedTransport {
    let transport = try #require(fixture.connect(from: host, isSilent: true))
    transport.inputInClear = pieces.map { .bytes($0) }
    fixture.run(transport, turns: 2)
    return transport
  }

  @Test func theClientOfTheHeaderIsThePeer() throws {
    let fixture = fixture()
    for cut in [nil, 1, 15, 16, 17, 27] {
      let pieces = cut.map { [Array(Self.header[..<$0]), Array(Self.header[$0...])] } ?? [Self.header]
      let transport = try connect(fixture, pieces)
      #expect(transport.handshakes == 1 && transport.inputInClear.isEmpty)
      fixture.send(ConnectionFixture.request, to: transport)
      #expect(transport.status == 200)
      let peer = try #require(fixture.handler.peers.last)
      #expect(peer.address.description == "198.51.100.7:4711" && peer.clientAddress.ip == "198.51.100.7")
    }
  }

  @Test func aHeaderInTwoReadsIsWaitedFor() throws {
    let fixture = fixture()
    let transport = try connect(fixture, [Array(Self.header.prefix(20))])
    #expect(transport.handshakes == 0 && fixture.interest(of: transport) == .read)
    transport.inputInClear.append(.bytes(Array(Self.header.dropFirst(20))))
    fixture.run(transport)
    #expect(transport.handshakes == 1)
  }

  @Test func aProxyThatSaysNothingHasItsTime() throws {
    let fixture = fixture()
    let transport = try connect(fixture, [Array(Self.header.prefix(20))])
    fixture.wait(.seconds(9))
    #expect(fixture.isOpen(transport))
    fixture.wait(.seconds(2))
    #expect(!fixture.isOpen(transport) && fixture.table.count == 0)
    #expect(fixture.log.notices.last?.contains("no complete PROXY header") == true)
  }

  @Test func withoutTheHeaderAProxyIsRefused() throws {
    let fixture = fixture()
    for (bytes, reason) in [
      ([0x16, 3, 1, 2, 0, 1], "the first bytes are no PROXY header"),
      (Array("PROXY TCP4 198.51.100.7 127.0.0.1 4711 6789\r\n".utf8.prefix(16)), "has version 1"),
      (ProxyHeaderBytes.make(body: [1, 2, 3]), "too short for its addresses"),
      (ProxyHeaderBytes.make(client: (127, 0, 0, 1), port: 1), "of another machine names 127.0.0.1"),
    ] as [([UInt8], String)] {
      let transport = try connect(
        fixture, [Array(bytes.prefix(16)), Array(bytes.dropFirst(16))].filter { !$0.isEmpty })
      #expect(!fixture.isOpen(transport) && transport.handshakes == 0)
      #expect(fixture.log.notices.last?.contains(reason) == true, "\(fixture.log.notices)")
    }
    #expect(fixture.table.counters.refusedProxyHeaders == 4 && fixture.table.count == 0)
  }

  @Test func fromAnyoneElseAHeaderIsRefusedAndTLSIsNot() throws {
    let fixture = fixture()
    let stranger = try connect(fixture, from: "203.0.113.1", [Self.header])
    #expect(!fixture.isOpen(stranger) && stranger.handshakes == 0)
    #expect(fixture.log.notices.last?.contains("not in trusted_proxies") == true)
    let client = try connect(fixture, from: "203.0.113.1", [[0x16, 3, 1]])
    #expect(client.handshakes == 1 && client.inputInClear == [.bytes([0x16, 3, 1])])
    fixture.send(ConnectionFixture.request, to: client)
    #expect(client.status == 200 && fixture.handler.peers.last?.clientAddress.ip == "203.0.113.1")
  }

  @Test func aProxyOnThisMachineMaySpeakForThisMachine() throws {
    let fixture = fixture()
    let transport = try connect(
      fixture, from: "127.0.0.1", [ProxyHeaderBytes.make(client: (127, 0, 0, 9), port: 1)])
    fixture.send(ConnectionFixture.request, to: transport)
    #expect(transport.status == 200 && fixture.handler.peers.last?.clientAddress.ip == "127.0.0.9")
  }

  @Test func healthChecksAreNoNews() throws {
    let fixture = fixture()
    let silent = try #require(fixture.connect(isSilent: true))
    silent.inputInClear = [.closed]
    fixture.run(silent)
    let polite = try #require(
      fixture.connect(isSilent: true) { $0.handshakeScript = [.closed] })
    polite.inputInClear = [.bytes(ProxyHeaderBytes.make(command: 0, family: 0, body: []))]
    fixture.run(polite, turns: 2)
    #expect(!fixture.isOpen(silent) && !fixture.isOpen(polite) && fixture.table.counters.peersGone == 0)
    #expect(fixture.log.notices.isEmpty && fixture.log.lines.count { $0.contains("health check") } == 2)
    // One that asks is answered as the proxy.
    let asking = try connect(fixture, [ProxyHeaderBytes.make(command: 0, family: 0, body: [])])
    fixture.send(ConnectionFixture.request, to: asking)
    #expect(asking.status == 200 && fixture.handler.peers.last?.clientAddress.ip == "192.0.2.1")
    let unknown = try connect(fixture, [ProxyHeaderBytes.make(family: 0, body: [])])
    fixture.send(ConnectionFixture.request, to: unknown)
    #expect(unknown.status == 200 && fixture.handler.peers.last?.clientAddress.ip == "192.0.2.1")
  }

  @Test func limitsCountTheClientsOfAProxyAndNotTheProxy() throws {
    let fixture = fixture([.connectionsPerAddress: 2, .refusedConnections: 1])
    let first = try (1...3).map { number in
      try connect(fixture, [ProxyHeaderBytes.make(client: (198, 51, 100, UInt8(number)), port: 1)])
    }
    #expect(first.allSatisfy { fixture.isOpen($0) } && fixture.table.counters.reached.isEmpty)
    let second = try connect(fixture, [ProxyHeaderBytes.make(client: (198, 51, 100, 1), port: 2)])
    let third = try connect(fixture, [ProxyHeaderBytes.make(client: (198, 51, 100, 1), port: 3)])
    fixture.send(ConnectionFixture.request, to: second)
    fixture.send(ConnectionFixture.request, to: third)
    #expect(second.status == 200 && third.isAskedToRetry)
    // There is room for one that is told so.
    let fourth = try connect(fixture, [ProxyHeaderBytes.make(client: (198, 51, 100, 1), port: 4)])
    #expect(!fixture.isOpen(fourth) && fixture.table.counters.dropped == 1)
    for transport in first + [second, third] {
      transport.input.append(.closed)
      fixture.run(transport, turns: 2)
    }
    #expect(fixture.table.count == 0 && fixture.table.unauthenticatedCount == 0)
    // Nothing is left of what was counted.
    let again = try (1...2).map { try connect(fixture, [ProxyHeaderBytes.make(client: (198, 51, 100, 1), port: $0)]) }
    for transport in again {
      fixture.send(ConnectionFixture.request, to: transport)
      #expect(transport.status == 200)
    }
  }

  @Test func aServerThatStopsWaitsForNoHeader() throws {
    let fixture = fixture()
    let transport = try connect(fixture, [Array(Self.header.prefix(3))])
    var isDrained = false
    fixture.table.drain { isDrained = true }
    fixture.loop.runOnce(wait: .zero)
    fixture.loop.runOnce(wait: .zero)
    #expect(isDrained && !fixture.isOpen(transport))
  }

  // MARK: - Forwarded

  private static func request(_ lines: String) -> String {
    "POST / HTTP/1.1\r\nHost: x\r\n\(lines)Content-Length: 6\r\n\r\n<call>"
  }

  private func asker(_ lines: String, from host: String, _ header: ForwardedHeader?) throws -> (Int?, PeerIdentity?) {
    let fixture = ConnectionFixture()
    fixture.table.proxies.trusted = ["192.0.2.0/24", "127.0.0.1"].compactMap(NetworkPrefix.init)
    fixture.table.proxies.forwardedHeader = header
    let transport = try #require(fixture.connect(from: host) { $0.peerCommonName = "proxy" })
    fixture.send(Self.request(lines), to: transport)
    return (transport.status, fixture.handler.peers.last)
  }

  @Test func theLastHopThatIsNoProxyAsks() throws {
    let cases: [(lines: String, from: String, header: ForwardedHeader?, ip: String?)] = [
      ("Forwarded: for=198.51.100.7\r\n", "192.0.2.1", .standard, "198.51.100.7"),
      ("Forwarded: for=1.2.3.4, for=198.51.100.7\r\n", "192.0.2.1", .standard, "198.51.100.7"),
      ("Forwarded: for=1.2.3.4\r\nForwarded: for=198.51.100.7;proto=https\r\n", "192.0.2.1", .standard, "198.51.100.7"),
      ("Forwarded: for=1.2.3.4, for=198.51.100.7, for=192.0.2.9\r\n", "192.0.2.1", .standard, "198.51.100.7"),
      ("Forwarded: for=192.0.2.8, for=192.0.2.9\r\n", "192.0.2.1", .standard, "192.0.2.8"),
      ("Forwarded: for=\"[2001:db8::7]:99\"\r\n", "192.0.2.1", .standard, "2001:db8::7"),
      ("Forwarded: for=unknown, for=198.51.100.7\r\n", "192.0.2.1", .standard, "198.51.100.7"),
      ("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 198.51.100.7\r\n", "192.0.2.1", .listOfAddresses, "198.51.100.7"),
      ("X-Forwarded-For: 2001:db8::7\r\n", "192.0.2.1", .listOfAddresses, "2001:db8::7"),
      ("Forwarded: for=127.0.0.5\r\n", "127.0.0.1", .standard, "127.0.0.5"),
      // The other header may be the client's own.
      ("X-Forwarded-For: 198.51.100.7\r\n", "192.0.2.1", .standard, "192.0.2.1"),
      ("Forwarded: for=198.51.100.7\r\n", "192.0.2.1", .listOfAddresses, "192.0.2.1"),
      ("Forwarded: for=198.51.100.7\r\n", "192.0.2.1", nil, "192.0.2.1"),
      ("Forwarded: for=198.51.100.7\r\n", "203.0.113.1", .standard, "203.0.113.1"),
      ("Forwarded: nonsense\r\n", "203.0.113.1", .standard, "203.0.113.1"),
      ("", "192.0.2.1", .standard, "192.0.2.1"),
      // Nobody knows who asks.
      ("Forwarded: for=198.51.100.7, for=unknown\r\n", "192.0.2.1", .standard, nil),
      ("Forwarded: for=198.51.100.7, for=_x\r\n", "192.0.2.1", .standard, nil),
      ("Forwarded: for=198.51.100.7, by=x\r\n", "192.0.2.1", .standard, nil),
      ("Forwarded: for=\"198.51.100.7\r\n", "192.0.2.1", .standard, nil),
      ("Forwarded: for=\"fe80::1%1\"\r\n", "192.0.2.1", .standard, nil),
      ("Forwarded: for=\"[[::1]]\"\r\n", "192.0.2.1", .standard, nil),
      ("Forwarded: for=localhost\r\n", "192.0.2.1", .standard, nil),
      ("Forwarded: for=127.0.0.1\r\n", "192.0.2.1", .standard, nil),
      ("Forwarded: for=\"[::1]\"\r\n", "192.0.2.1", .standard, nil),
      ("X-Forwarded-For: 198.51.100.7,\r\n", "192.0.2.1", .listOfAddresses, nil),
    ]
    for (lines, host, header, ip) in cases {
      let (status, peer) = try asker(lines, from: host, header)
      #expect(peer?.clientAddress.ip == ip && status == (ip == nil ? 400 : 200), "\(lines) from \(host)")
      // A certificate is the peer's own.
      #expect(peer == nil || peer?.certificateCommonName == (ip == host ? "proxy" : nil), "\(lines) from \(host)")
    }
  }

  @Test func eachRequestOfAProxyHasItsClient() throws {
    let fixture = ConnectionFixture([.authenticationFailures: 2])
    fixture.table.proxies.trusted = [try #require(NetworkPrefix("192.0.2.1"))]
    fixture.table.proxies.forwardedHeader = .standard
    let transport = try #require(fixture.connect(from: "192.0.2.1"))
    for number in 1...3 {
      fixture.send(Self.request("Forwarded: for=198.51.100.\(number)\r\n"), to: transport, turns: 2)
      #expect(fixture.handler.peers.last?.clientAddress.ip == "198.51.100.\(number)")
    }
    fixture.send(Self.request(""), to: transport, turns: 2)
    #expect(fixture.handler.peers.last?.clientAddress.ip == "192.0.2.1")
    // Failures count for the client, too.
    fixture.handler.refusal = .error(status: 401)
    var delayed: [Bool] = []
    for number in [1, 1, 1, 2] {
      let transport = try #require(fixture.connect(from: "192.0.2.1"))
      fixture.send(Self.request("Forwarded: for=198.51.100.\(number)\r\n"), to: transport)
      delayed.append(transport.status == nil)
    }
    #expect(delayed == [false, false, true, false])
  }

  // MARK: - Certificates

  @Test func aCertificateThatNoLongerCountsEndsItsConnection() throws {
    let fixture = ConnectionFixture()
    let transport = try #require(fixture.connect { $0.peerCommonName = "one" })
    fixture.send(ConnectionFixture.request, to: transport, turns: 2)
    #expect(transport.status == 200 && fixture.handler.peers.last?.certificateCommonName == "one")
    transport.peerCertificateFault = "certificate revoked"
    fixture.send(ConnectionFixture.request, to: transport, turns: 2)
    #expect(fixture.handler.heads.count == 1 && transport.receivedText.contains("HTTP/1.1 401 "))
    #expect(transport.hasSentCloseNotify)
    #expect(fixture.log.lines.contains { $0.contains("client certificate refused: certificate revoked; answered 401") })
  }
}
