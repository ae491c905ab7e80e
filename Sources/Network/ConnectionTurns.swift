import EventLoop
import Logging
import ServerSettings
import XMLRPC

/// The bounded turns of a connection, and the ways in which it ends.
extension Connection {
  /// The descriptor is ready: shakes hands now, or waits for a turn.
  func handshakeReady() {
    guard flushTurn(), table.takeHandshakeTurn(for: self) else { return }
    handshakeTurn()
  }

  func handshakeTurn() {
    transport.allowInput(upTo: table.limits[.readTurnBytes])
    let outcome = transport.handshake()
    hasBegunHandshake = true
    switch outcome {
    case .wantRead: wanted = .read
    case .wantWrite: wanted = .write
    case .closed:
      table.giveBackHandshakeTurn(of: self)
      peerClosed()
    case .failed(let failure):
      if failure.isPeerGone { table.giveBackHandshakeTurn(of: self) }
      fail(failure)
    case .done:
      table.counters.handshakes += 1
      peer.certificateCommonName = transport.peerCommonName
      peer.protocolText = transport.protocolText
      awaitRequest()
      // The first request often comes together with the end of the handshake.
      readTurn()
    }
  }

  /// Reads and parses until nothing is there, the share is used up, or a request waits for its answer.
  func readTurn() {
    guard flushTurn() else { return }
    isInReadTurn = true
    defer { isInReadTurn = false }
    var share = table.limits[.readTurnBytes]
    transport.allowInput(upTo: share)
    while state.isReading {
      let step: HTTPRequestParser.Step
      if !pending.isEmpty {
        let (consumed, next) = pending.withReadableBytes { parser.consume($0) }
        pending.consume(consumed)
        noteReceived(consumed)
        step = next
      } else {
        if share <= 0 { break }
        let scratch = table.scratch
        switch transport.read(into: scratch) {
        case .bytes(let count):
          share -= count
          table.counters.bytesRead += count
          table.handler.bytesCame()
          let bytes = UnsafeRawBufferPointer(rebasing: scratch[0..<count])
          let (consumed, next) = parser.consume(bytes)
          let kept = pending.append(UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
          precondition(kept == count - consumed, "what was read does not fit behind the request")
          noteReceived(consumed)
          step = next
        case .wantRead:
          wanted = .read
          return
        case .wantWrite:
          wanted = .write
          return
        case .closed:
          peerClosed()
          return
        case .failed(let failure):
          fail(failure)
          return
        }
      }
      take(step)
    }
    if state.isReading, transport.hasBufferedInput { postTurn() }
  }

  /// Starts or moves the deadline of what is being read.
  private func noteReceived(_ byteCount: Int) {
    switch state {
    case .readingRequest:
      // A fixed time for all headers: progress does not extend it.
      if armedLimit == .keepAliveSeconds { arm(.headerSeconds) }
    case .readingBody:
      noteProgress(byteCount)
      table.hold(parser.bodyBytesReceived, of: self)
    case .handshaking, .queued, .authenticating, .delayed, .dispatching, .writingResponse, .lingering, .closed: break
    }
  }

  /// Acts on what the parser found.
  func take(_ step: HTTPRequestParser.Step) {
    switch step {
    case .needMore:
      if table.isOverBodies, case .readingBody(let head) = state {
        refuseForNow(.bodiesBytes, "\(parser.bodyBytesReceived) bytes of this body came", to: head)
      }
    case .head(let head): authenticate(head)
    case .request(let request): dispatch(request)
    case .reject(let status, let reason):
      let limit = NetworkLimit(parserReason: reason)
      reject(status, limit, limit == nil ? reason : "the request is larger", to: nil)
    }
  }

  /// Writes until the answer is out, the share is used up, or the socket is full.
  func writeTurn(_ writer: ResponseWriter) {
    var writer = writer
    var share = table.limits[.writeTurnBytes]
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
        noteProgress(count)
      case .wantRead:
        wanted = .read
        state = .writingResponse(writer)
        return
      case .wantWrite:
        wanted = .write
        state = .writingResponse(writer)
        return
      case .closed:
        peerClosed()
        return
      case .failed(let failure):
        fail(failure)
        return
      }
    }
    wanted = .write
    state = .writingResponse(writer)
    guard writer.remaining == 0 else { return }
    switch transport.flush() {
    case .done: finishResponse(writer)
    case .wantRead: wanted = .read
    case .wantWrite: break
    case .closed: peerClosed()
    case .failed(let failure): fail(failure)
    }
  }

  private func finishResponse(_ writer: ResponseWriter) {
    table.counters.responses += 1
    answeredRequests += 1
    if isAuthenticated { noteAnswer() }
    if writer.keepsAlive { awaitRequest() } else { linger() }
  }

  /// Sends what the transport still holds, such as a ticket or `100 Continue`; false when the connection is gone.
  @discardableResult
  func flushTurn() -> Bool {
    guard transport.hasUnsentOutput else { return true }
    switch transport.flush() {
    case .done, .wantRead, .wantWrite: return true
    case .closed:
      peerClosed()
      return false
    case .failed(let failure):
      fail(failure)
      return false
    }
  }

  /// Half-closes once everything is sent, then drops what comes, so that no reset takes the answer from the peer.
  func lingerTurn() {
    guard case .lingering(var remaining) = state else { return }
    switch transport.shutdown() {
    case .done: break
    case .wantRead, .wantWrite: return
    case .closed, .failed:
      close()
      return
    }
    var share = min(remaining, table.limits[.readTurnBytes])
    while share > 0 {
      switch transport.discardInput(upTo: share) {
      case .bytes(let count):
        remaining -= count
        share -= count
      case .wantRead, .wantWrite:
        state = .lingering(remainingBytes: remaining)
        return
      case .closed, .failed:
        close()
        return
      }
    }
    state = .lingering(remainingBytes: remaining)
    guard remaining <= 0 else { return }
    table.note(.lingerBytes, at: address, "the peer goes on sending after its answer")
    close()
  }

  // MARK: - Ends

  /// The peer has ended the connection in order, wherever we are.
  func peerClosed() {
    switch state {
    case .readingRequest where isIdle: table.logger.debug("\(address): closed by the peer")
    case .handshaking, .readingRequest, .queued, .authenticating, .delayed, .readingBody, .dispatching,
      .writingResponse:
      table.counters.peersGone += 1
      table.logger.info("\(address): closed by the peer while \(state.name)")
    case .lingering, .closed: break
    }
    // Our half of the end; nobody waits for it to arrive.
    _ = transport.shutdown()
    close()
  }

  /// The transport is of no more use.
  func fail(_ failure: TransportFailure) {
    switch failure {
    case .plainHTTP:
      table.counters.plainHTTP += 1
      table.refusals.write(
        .notice, of: address.host, to: table.logger, "\(address): \(failure); answered 400 in clear")
      let response = HTTPResponse(
        status: 400, headers: [HTTPField("Content-Type", "text/plain")],
        body: ByteSegments("This port speaks HTTPS.\n"))
      response.encode(keepAlive: false, version: .http10).bytes().withUnsafeBytes { transport.writeInClear($0) }
      linger()
      return
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
    close()
  }
}
