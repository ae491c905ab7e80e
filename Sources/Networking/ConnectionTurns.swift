import EventLoop
import Identity
import Logging
import ServerSettings
import XMLRPC

/// The turns of a connection. Each does a bounded part, changes the state, and returns the next step; none calls another.
extension Connection {
  /// The descriptor is ready: shakes hands now, or waits for a turn.
  func beginHandshakeTurn() -> ConnectionStep {
    if let end = sendUnsent() { return end }
    return table.claimHandshakeTurn(for: self) ? .shakeHands : .wait
  }

  func shakeHands() -> ConnectionStep {
    let outcome = transport.handshake()
    handshake?.hasBegun = true
    switch outcome {
    case .wantRead:
      registration.wanted = .read
      return .wait
    case .wantWrite:
      registration.wanted = .write
      return .wait
    case .closed:
      table.releaseHandshakeTurn(of: self)
      return peerClosed()
    case .failed(let failure):
      if failure.isPeerGone { table.releaseHandshakeTurn(of: self) }
      return fail(failure)
    case .done:
      table.counters.handshakes += 1
      owner.certificateCommonName = transport.peerCommonName
      owner.protocolText = transport.protocolText
      peer = owner
      let reader = RequestReader(limits: table.limits.http, limitBytes: ConnectionTable.scratchBytes)
      state = .readingRequest(reader)
      registration.wanted = .read
      arm(.headerSeconds)
      // The first request often comes together with the end of the handshake.
      return .readHead(reader)
    }
  }

  // MARK: - Reading

  func readHead(_ reader: RequestReader, _ share: inout Int) -> ConnectionStep {
    if let end = sendUnsent() { return end }
    while true {
      switch receive(reader, &share) {
      case .nothing(let step): return step
      case .parsed(.needMore, _):
        // A fixed time for all headers: progress does not extend it.
        if clock.limit == .keepAliveSeconds { arm(.headerSeconds) }
      case .parsed(.head(let head), _): return .begin(Exchange(head, from: reader))
      case .parsed(.reject(let status, let reason), _): return reject(status, reason, from: reader)
      case .parsed(.request, _): preconditionFailure("a request without its headers")
      }
    }
  }

  func readBody(_ exchange: Exchange, _ share: inout Int) -> ConnectionStep {
    if let end = sendUnsent() { return end }
    let reader = exchange.reader
    while true {
      switch receive(reader, &share) {
      case .nothing(let step): return step
      case .parsed(.needMore, let byteCount):
        recordProgress(byteCount)
        table.hold(reader.bodyBytes, of: reader)
        if table.isOverBodies { return refuseBody(exchange) }
      case .parsed(.request(let request), _): return .dispatch(request, exchange)
      case .parsed(.reject(let status, let reason), _): return reject(status, reason, from: reader)
      case .parsed(.head, _): preconditionFailure("headers inside a body")
      }
    }
  }

  private enum Received {
    /// What bytes amount to, and how many were given to the parser.
    case parsed(HTTPRequestParser.Step, byteCount: Int)
    /// No bytes; what follows.
    case nothing(ConnectionStep)
  }

  /// Parses pending bytes, or else what one read brings.
  private func receive(_ reader: RequestReader, _ share: inout Int) -> Received {
    let pendingBytes = reader.pendingBytes
    if pendingBytes > 0 { return .parsed(reader.parsePending(), byteCount: pendingBytes) }
    guard share > 0 else {
      // These bytes raise no readiness; others have their turn first.
      if transport.hasBufferedInput { postTurn() }
      return .nothing(.wait)
    }
    switch transport.read(into: table.scratch) {
    case .bytes(let count):
      share -= count
      table.counters.bytesRead += count
      table.handler.bytesCame()
      let bytes = UnsafeRawBufferPointer(rebasing: table.scratch[0..<count])
      return .parsed(reader.parse(bytes), byteCount: count)
    case .wantRead:
      registration.wanted = .read
      return .nothing(.wait)
    case .wantWrite:
      registration.wanted = .write
      return .nothing(.wait)
    case .closed: return .nothing(peerClosed())
    case .failed(let failure): return .nothing(fail(failure))
    }
  }

  // MARK: - Asking the handler

  /// The headers are complete: the peer is authenticated before the body is read, at once or when it is its turn.
  func begin(_ exchange: Exchange) -> ConnectionStep {
    table.counters.requests += 1
    relabel(RequestLabel(number: RequestScope.nextNumber(), address: peer.clientAddress.ip))
    if let end = identifyAsker(exchange) { return end }
    // A proxy may have named another one.
    relabel(RequestLabel(number: label.number, address: peer.clientAddress.ip))
    let delay = table.authenticationDelay(of: self)
    guard delay > .zero else { return .authenticate(exchange) }
    state = .queued(exchange)
    arm(.authenticationDelay, for: delay)
    return .wait
  }

  /// Asks the handler whether the peer may come in.
  func authenticate(_ exchange: Exchange) -> ConnectionStep {
    state = .authenticating(exchange)
    clock.disarm()
    if let limit = exceededLimit ?? table.exceededLimit(byRequestOf: self) {
      return refuseForNow(limit, "\(exchange.head.method) refused", exchange)
    }
    switch table.handler.authenticate(exchange.head, peer: peer) {
    case .now(let outcome): return .event(.authenticated(outcome))
    case .later(let outcome):
      guard case .authenticating(var exchange) = state else { return .wait }
      exchange.task = Task { [label] in
        self.handle(.authenticated(await RequestScope.labelled(label, outcome)))
      }
      state = .authenticating(exchange)
      return .wait
    }
  }

  /// The request is whole: the handler answers it.
  func dispatch(_ request: HTTPRequest, _ exchange: Exchange) -> ConnectionStep {
    state = .dispatching(exchange)
    clock.disarm()
    table.requestsInProgress += 1
    // The parser has given it away, and the handler has it.
    table.hold(request.body.count, of: exchange.reader)
    var peer = peer
    peer.caller = exchange.caller
    switch table.handler.respond(to: request, peer: peer) {
    case .now(let response): return .event(.answered(response))
    case .later(let response):
      guard case .dispatching(var exchange) = state else { return .wait }
      exchange.task = Task { [label] in
        self.handle(.answered(await RequestScope.labelled(label, response)))
      }
      state = .dispatching(exchange)
      return .wait
    }
  }

  // MARK: - Writing

  /// Writes until the answer is out, the share is used up, or the socket is full.
  func write(_ writer: ResponseWriter, _ reader: RequestReader) -> ConnectionStep {
    var writer = writer
    var share = table.limits[.writeTurnBytes]
    registration.wanted = .write
    while writer.remaining > 0, share > 0 {
      let lastCount = writer.keepsAlive ? -1 : writer.remaining
      let outcome = writer.withNextBytes(staging: table.stage) {
        $0.count == lastCount ? transport.writeLast($0) : transport.write($0)
      }
      switch outcome {
      case .bytes(let count):
        writer.advance(count)
        share -= count
        table.counters.bytesWritten += count
        recordProgress(count)
      case .wantRead, .wantWrite:
        if outcome == .wantRead { registration.wanted = .read }
        state = .writingResponse(writer, reader)
        return .wait
      case .closed: return peerClosed()
      case .failed(let failure): return fail(failure)
      }
    }
    state = .writingResponse(writer, reader)
    guard writer.remaining == 0 else { return .wait }
    switch transport.flush() {
    case .done:
      table.counters.responses += 1
      if isAuthenticated { recordAnswer() }
      return writer.keepsAlive ? .awaitRequest(reader) : .linger
    case .wantRead:
      registration.wanted = .read
      return .wait
    case .wantWrite: return .wait
    case .closed: return peerClosed()
    case .failed(let failure): return fail(failure)
    }
  }

  /// Tells the table that the peer was answered: once a second, for a connection may have thousands of requests.
  private func recordAnswer() {
    if let last = lastRecordedAnswer, loop.now.nanoseconds - last.nanoseconds < 1_000_000_000 { return }
    lastRecordedAnswer = loop.now
    table.recordAnswer(to: address)
  }

  /// Waits for the next request.
  func awaitRequest(_ reader: RequestReader) -> ConnectionStep {
    if table.isDraining { return .linger }
    state = .readingRequest(reader)
    peer = owner
    relabel(RequestLabel(address: owner.clientAddress.ip))
    registration.wanted = .read
    arm(.keepAliveSeconds)
    // Bytes that came with the last request raise no readiness; others have their turn first.
    if reader.pendingBytes > 0 || transport.hasBufferedInput { postTurn() }
    return .wait
  }

  /// Sends what the transport still holds, such as a ticket, in a state that neither reads nor writes.
  func flush() -> ConnectionStep { sendUnsent() ?? .wait }

  /// Sends what the transport still holds, such as a ticket or `100 Continue`; returns a step where the connection ends.
  private func sendUnsent() -> ConnectionStep? {
    guard transport.hasUnsentOutput else { return nil }
    switch transport.flush() {
    case .done, .wantRead, .wantWrite: return nil
    case .closed: return peerClosed()
    case .failed(let failure): return fail(failure)
    }
  }

  /// Counts bytes that have moved: enough of them start the time anew.
  private func recordProgress(_ byteCount: Int) {
    if let limit = clock.recordProgress(byteCount, limitBytes: table.limits[.progressBytes]) { arm(limit) }
  }

  // MARK: - Ending

  /// Ends the connection once the peer had time to read what was written.
  func linger() -> ConnectionStep {
    let remainingBytes = table.limits[.lingerBytes]
    state = .lingering(remainingBytes: remainingBytes)
    arm(.lingerSeconds)
    return .discard(remainingBytes: remainingBytes)
  }

  /// Half-closes once everything is sent, then drops what comes, so that no reset takes the answer from the peer.
  func discardInput(_ remainingBytes: Int) -> ConnectionStep {
    switch transport.shutdown() {
    case .done: break
    case .wantRead, .wantWrite: return .wait
    case .closed, .failed: return .close
    }
    var remaining = remainingBytes
    var share = min(remaining, table.limits[.readTurnBytes])
    while share > 0 {
      switch transport.discardInput(upTo: share) {
      case .bytes(let count):
        remaining -= count
        share -= count
      case .wantRead, .wantWrite:
        state = .lingering(remainingBytes: remaining)
        return .wait
      case .closed, .failed: return .close
      }
    }
    state = .lingering(remainingBytes: remaining)
    if remaining > 0 { return .wait }
    table.reportLimit(.lingerBytes, at: address, "the peer goes on sending after its answer")
    return .close
  }
}
