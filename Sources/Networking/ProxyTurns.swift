import EventLoop
import Identity
import Logging
import ServerSettings
import XMLRPC

/// The turns of a connection that a proxy may have made for somebody: at its beginning, and with each request.
extension Connection {
  /// Reads the header that a trusted proxy sends before anything else, and not a byte behind it.
  func readProxyHeader(_ parser: ProxyHeaderParser) -> ConnectionStep {
    var parser = parser
    while true {
      let place = UnsafeMutableRawBufferPointer(rebasing: table.scratch[0..<parser.wantedBytes])
      switch transport.readInClear(into: place) {
      case .bytes(let count):
        switch parser.feed(UnsafeRawBufferPointer(rebasing: place[0..<count])) {
        case .needMore: continue
        case .header(let header): return begin(for: header)
        case .refused(let error): return refuseProxyHeader("\(error)")
        }
      case .wantRead, .wantWrite:
        state = .readingProxyHeader(parser)
        return .wait
      case .closed:
        if parser.isIdle { return endHealthCheck() }
        state = .readingProxyHeader(parser)
        return peerClosed()
      case .failed(let failure): return fail(failure)
      }
    }
  }

  /// The header is whole: from here on the connection is its client's.
  private func begin(for header: ProxyHeader) -> ConnectionStep {
    switch header {
    case .ownConnection: isHealthCheck = true
    case .client(nil): table.logger.debug("\(address): the proxy does not know its client's address")
    case .client(let client?):
      guard ProxyRules.isBelieved(client, from: address) else {
        return refuseProxyHeader("the PROXY header of another machine names \(client.host)")
      }
      table.logger.debug("\(client): connected by the proxy \(address)")
      guard table.move(self, to: client) else { return .close }
    }
    state = .handshaking(Handshake())
    return .event(.ready)
  }

  /// The first bytes of a peer that is no trusted proxy: a header of its own would say anything.
  func refuseForeignHeader() -> ConnectionStep {
    switch transport.peekInClear(into: UnsafeMutableRawBufferPointer(rebasing: table.scratch[0..<16])) {
    case .bytes(let count):
      isChecked = true
      if ProxyHeaderParser.isBeginning(UnsafeRawBufferPointer(rebasing: table.scratch[0..<count])) {
        return refuseProxyHeader("it sends a PROXY header and is not in trusted_proxies")
      }
      return .event(.ready)
    case .wantRead, .wantWrite: return .wait
    case .closed: return peerClosed()
    case .failed(let failure): return fail(failure)
    }
  }

  /// Ends a connection whose beginning is not what it has to be. TLS has not begun, so that nothing can be answered.
  private func refuseProxyHeader(_ reason: String) -> ConnectionStep {
    table.counters.refusedProxyHeaders += 1
    table.refusals.write(.notice, of: address.host, to: table.logger, "\(address): connection refused: \(reason)")
    return .close
  }

  /// A balancer looks whether the port is open, several times a minute.
  func endHealthCheck() -> ConnectionStep {
    table.logger.debug("\(address): health check")
    return .close
  }

  // MARK: - Each request

  /// Finds out for whom a request asks; returns a step where that is not clear, or the peer is no longer trusted.
  func identifyAsker(_ exchange: Exchange) -> ConnectionStep? {
    if let fault = transport.peerCertificateFault {
      let detail = "client certificate refused: \(fault)"
      return reject(401, nil, detail, to: exchange.head, from: exchange.reader)
    }
    switch table.proxies.asker(of: exchange.head, from: owner.address) {
    case .peer: peer = owner
    // The connection's certificate, if there is one, is the proxy's. What its client showed, the proxy alone knows.
    case .client(let client): peer = PeerIdentity(address: client, protocolText: owner.protocolText)
    case .unclear(let reason):
      peer = owner
      return reject(400, nil, reason, to: exchange.head, from: exchange.reader)
    }
    return nil
  }

  /// Whether the request is that of another one than the connection.
  var isForwarded: Bool { peer.address != owner.address }
}
