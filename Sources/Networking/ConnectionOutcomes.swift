import EventLoop
import Identity
import Logging
import ServerSettings
import XMLRPC

/// What decisions, limits and failures lead to. Each function returns the step that follows.
extension Connection {
  // MARK: - Decisions of the handler

  /// The peer is known: lets the body in.
  func admit(_ exchange: Exchange, _ caller: Caller) -> ConnectionStep {
    var exchange = exchange
    exchange.caller = caller
    exchange.task = nil
    label.client = caller.client.text
    RequestScope.enter(label)
    table.counters.authenticated += 1
    if !isAuthenticated {
      isAuthenticated = true
      table.recordAuthentication(of: self)
    }
    let reader = exchange.reader
    guard exchange.head.method == "POST" else {
      // As BaseHTTPServer answers a method without do_METHOD, after authentication.
      return reject(501, nil, "method \(exchange.head.method)", to: exchange.head, from: reader)
    }
    state = .readingBody(exchange)
    registration.wanted = .read
    arm(.bodySeconds)
    if exchange.head.expectsContinue, reader.pendingBytes == 0, let end = sendContinue() { return end }
    if case .request(let request) = reader.acceptBody() { return .dispatch(request, exchange) }
    return table.isOverBodies ? refuseBody(exchange) : .readBody(exchange)
  }

  /// Tells a client that waits for it to send the body; returns a step where the connection ends.
  private func sendContinue() -> ConnectionStep? {
    switch HTTPResponse.continueBytes.withUnsafeBytes({ transport.write($0) }) {
    // A client that does not get it sends the body after a while all the same (RFC 9110, 10.1.1).
    case .bytes, .wantRead, .wantWrite: return nil
    case .closed: return peerClosed()
    case .failed(let failure): return fail(failure)
    }
  }

  /// Refuses a peer that the handler did not admit. A peer that has failed too often gets the refusal later.
  func refuse(_ exchange: Exchange, with response: HTTPResponse) -> ConnectionStep {
    table.counters.refused[response.status, default: 0] += 1
    let delay = response.status == 401 ? table.recordFailedAuthentication(of: self) : .zero
    guard delay > .zero else {
      return answer(response, to: exchange.head, from: exchange.reader, keepsAlive: false)
    }
    state = .delayed(exchange, response)
    arm(.authenticationDelay, for: delay)
    return .wait
  }

  // MARK: - Answers

  /// Writes a response; `head` is nil when the request was refused before its headers were complete.
  func answer(
    _ response: HTTPResponse, to head: HTTPRequestHead?, from reader: RequestReader, keepsAlive: Bool
  ) -> ConnectionStep {
    leaveState()
    let keepsAlive = keepsAlive && !table.isDraining
    let version = head?.version ?? .http11
    let writer = ResponseWriter(
      head: response.encodeHead(keepAlive: keepsAlive, version: version, date: table.httpDate),
      body: head?.method == "HEAD" ? ByteSegments() : response.body, keepsAlive: keepsAlive)
    // A system call, which most answers do not need.
    if !isUnsentBounded, writer.remaining > table.limits[.unsentBytes] {
      isUnsentBounded = true
      table.boundUnsent(of: self)
    }
    state = .writingResponse(writer, reader)
    arm(.responseSeconds)
    return .write(writer, reader)
  }

  /// Refuses a request that may come again: 503 with Retry-After.
  func refuseForNow(_ limit: NetworkLimit, _ detail: String, _ exchange: Exchange) -> ConnectionStep {
    table.counters.refused[503, default: 0] += 1
    table.reportLimit(limit, at: address, "\(detail); answered 503")
    var response = HTTPResponse.error(status: 503)
    response.headers.append(HTTPField("Retry-After", String(table.limits[.retrySeconds])))
    return answer(response, to: exchange.head, from: exchange.reader, keepsAlive: false)
  }

  /// All bodies together are over their bound.
  func refuseBody(_ exchange: Exchange) -> ConnectionStep {
    refuseForNow(.bodiesBytes, "\(exchange.reader.bodyBytes) bytes of this body came", exchange)
  }

  /// Refuses a request with one line in the log, and ends the connection after the answer.
  func reject(
    _ status: Int, _ limit: NetworkLimit?, _ detail: String, to head: HTTPRequestHead?, from reader: RequestReader
  ) -> ConnectionStep {
    table.counters.refused[status, default: 0] += 1
    if let limit {
      table.reportLimit(limit, at: address, "\(detail); answered \(status)")
    } else {
      table.refusals.write(
        .info, of: address.host, to: table.logger, "\(address): request refused: \(detail); answered \(status)")
    }
    return answer(.error(status: status), to: head, from: reader, keepsAlive: false)
  }

  /// Refuses what the parser refuses, for its reason.
  func reject(_ status: Int, _ reason: String, from reader: RequestReader) -> ConnectionStep {
    let limit = NetworkLimit(parserReason: reason)
    return reject(status, limit, limit == nil ? reason : "the request is larger", to: nil, from: reader)
  }

  // MARK: - Deadlines

  func expireRequest(_ reader: RequestReader) -> ConnectionStep {
    if !isIdle(reader) {
      return reject(408, .headerSeconds, "the headers are not complete", to: nil, from: reader)
    }
    if clock.limit == .keepAliveSeconds {
      table.counters.reached[.keepAliveSeconds, default: 0] += 1
    } else {
      table.reportLimit(.headerSeconds, at: address, "no request came")
    }
    return .linger
  }

  /// Ends a connection that exceeds a limit where nothing can be answered.
  func expire(_ limit: NetworkLimit, _ detail: String) -> ConnectionStep {
    table.reportLimit(limit, at: address, detail)
    return .close
  }

  // MARK: - Ends

  /// The peer has ended the connection in order, in whatever state.
  func peerClosed() -> ConnectionStep {
    switch state {
    case .readingRequest(let reader) where isIdle(reader): table.logger.debug("\(address): closed by the peer")
    case .handshaking where isHealthCheck: return endHealthCheck()
    case .readingProxyHeader, .handshaking, .readingRequest, .queued, .authenticating, .delayed, .readingBody,
      .dispatching,
      .writingResponse:
      table.counters.peersGone += 1
      table.logger.info("\(address): closed by the peer while \(state.name)")
    case .lingering, .closed: break
    }
    // Our half of the end; nobody waits for it to arrive.
    _ = transport.shutdown()
    return .close
  }

  /// The transport is unusable: ends the connection, with one line in the log.
  func fail(_ failure: TransportFailure) -> ConnectionStep {
    switch failure {
    case .plainHTTP:
      table.counters.plainHTTP += 1
      table.refusals.write(
        .notice, of: address.host, to: table.logger, "\(address): \(failure); answered 400 in clear")
      let response = HTTPResponse(
        status: 400, headers: [HTTPField("Content-Type", "text/plain")],
        body: ByteSegments("This port speaks HTTPS.\n"))
      response.encode(keepAlive: false, version: .http10).bytes().withUnsafeBytes { transport.writeInClear($0) }
      return .linger
    case _ where failure.isPeerGone:
      table.counters.peersGone += 1
      table.logger.debug("\(address): \(failure) while \(state.name)")
    case .certificateRefused, .notTLS, .refusedByPeer, .tls, .system:
      if case .handshaking = state {
        table.counters.failedHandshakes += 1
        table.refusals.write(
          .notice, of: address.host, to: table.logger, "\(address): TLS handshake failed: \(failure)")
      } else {
        table.refusals.write(
          .notice, of: address.host, to: table.logger, "\(address): connection failed while \(state.name): \(failure)")
      }
    }
    return .close
  }

  /// Releases what the state holds in the table.
  private func leaveState() {
    switch state {
    case .readingBody(let exchange): table.hold(0, of: exchange.reader)
    case .dispatching(let exchange):
      table.requestsInProgress -= 1
      table.hold(0, of: exchange.reader)
    case .delayed: table.endDelay(of: self)
    case .readingProxyHeader, .handshaking, .readingRequest, .queued, .authenticating, .writingResponse, .lingering,
      .closed:
      break
    }
  }

  @discardableResult
  func close() -> ConnectionStep {
    leaveState()
    switch state {
    case .authenticating(let exchange), .dispatching(let exchange): exchange.task?.cancel()
    case .readingProxyHeader, .handshaking, .readingRequest, .queued, .delayed, .readingBody, .writingResponse,
      .lingering, .closed:
      break
    }
    state = .closed
    clock.end()
    registration.end(on: loop)
    table.remove(self)
    return .wait
  }
}
