import EventLoop
import Identity
import Logging
import ServerSettings
import XMLRPC

/// One connection: the state machine between a transport, the parser and the handler.
///
/// Events come from the loop (readiness, deadline, posted turn), from the handler (authenticated, answered) and from
/// the table (drain, abandon). `step(after:)` names the step that an event leads to in each state. A step is one turn of
/// ConnectionTurns.swift, which changes the state and returns the next step; `handle` carries steps out until one waits,
/// and then computes what is waited for from the state, in one place.
final class Connection {
  let transport: any Transport
  /// Table and connection retain each other until the connection is closed.
  let table: ConnectionTable
  /// The bound that this connection is over: its request is answered with 503, whatever it is.
  var exceededLimit: NetworkLimit?
  var state: ConnectionState
  /// Who is at the other end, or for whom the proxy there connects; without a caller, which each request has for itself.
  /// Limits count the connection as its.
  var owner: PeerIdentity
  /// Who asks in the current request: the owner, but for requests that a proxy forwards.
  var peer: PeerIdentity
  /// What the log says of the request: set anew with each.
  var label: RequestLabel
  /// A proxy looks whether the server is well.
  var isHealthCheck = false
  /// Whether the first bytes have been looked at, which nothing but TLS may be.
  var isChecked: Bool
  var registration: ConnectionRegistration
  var clock = ConnectionClock()
  /// A request of this connection was admitted.
  var isAuthenticated = false
  /// What the kernel keeps of an answer is bounded.
  var isUnsentBounded = false
  /// When the table was last told of an answer.
  var lastRecordedAnswer: MonotonicTime?

  var address: SocketAddress { peer.address }
  var loop: Reactor { table.loop }

  init(
    _ registration: consuming ConnectionRegistration, transport: any Transport, address: SocketAddress,
    table: ConnectionTable, exceededLimit: NetworkLimit?
  ) {
    let proxies = table.proxies
    state =
      proxies.expectsProxyHeader(of: address) ? .readingProxyHeader(ProxyHeaderParser()) : .handshaking(Handshake())
    isChecked = !proxies.readsProxyHeader || proxies.expectsProxyHeader(of: address)
    self.transport = transport
    self.table = table
    self.exceededLimit = exceededLimit
    owner = PeerIdentity(address: address)
    peer = owner
    label = RequestLabel(address: owner.clientAddress.ip)
    self.registration = registration
  }

  /// Registers with the loop; throws the `SystemError` of the registration.
  ///
  /// The handshake begins with the client's first bytes: begun at once it would take OpenSSL 55 KiB for each peer that
  /// connects and says nothing.
  func start() throws(SystemError) {
    clock.start(.handshakeSeconds, for: table.limits.duration(.handshakeSeconds), on: loop) { [self] in
      if clock.isDue(loop.now) { handle(.deadline) }
    }
    try registration.watch(transport.descriptor, on: loop) { [self] in
      transport.recordReadiness()
      handle(.ready)
    }
  }

  /// Carries out the steps that follow from an event, then adapts what is waited for.
  func handle(_ event: ConnectionEvent) {
    let outer = RequestScope.enter(label)
    defer { RequestScope.leave(to: outer) }
    /// Bytes that this event may read from the transport.
    var share = table.limits[.readTurnBytes]
    transport.allowInput(upTo: share)
    var step = ConnectionStep.event(event)
    while true {
      if case .wait = step { break }
      step = carryOut(step, &share)
    }
    switch state {
    case .authenticating, .dispatching: updateInterestLater()
    case .readingProxyHeader, .handshaking, .readingRequest, .queued, .delayed, .readingBody, .writingResponse,
      .lingering, .closed:
      updateInterest()
    }
    clock.set()
  }

  private func carryOut(_ step: ConnectionStep, _ share: inout Int) -> ConnectionStep {
    switch step {
    case .wait: .wait
    case .event(let event): self.step(after: event)
    case .readProxyHeader(let parser): readProxyHeader(parser)
    case .shakeHands: shakeHands()
    case .readHead(let reader): readHead(reader, &share)
    case .begin(let exchange): begin(exchange)
    case .authenticate(let exchange): authenticate(exchange)
    case .readBody(let exchange): readBody(exchange, &share)
    case .dispatch(let request, let exchange): dispatch(request, exchange)
    case .write(let writer, let reader): write(writer, reader)
    case .awaitRequest(let reader): awaitRequest(reader)
    case .linger: linger()
    case .discard(let remainingBytes): discardInput(remainingBytes)
    case .close: close()
    }
  }

  private func step(after event: ConnectionEvent) -> ConnectionStep {
    switch (state, event) {
    case (.readingProxyHeader(let parser), .ready): return .readProxyHeader(parser)
    case (.readingProxyHeader, .deadline): return expire(.handshakeSeconds, "no complete PROXY header")
    case (.readingProxyHeader, .drain), (.readingProxyHeader, .abandon): return .close
    case (.readingProxyHeader, .resumed), (.readingProxyHeader, .authenticated), (.readingProxyHeader, .answered):
      refuse(event)

    case (.handshaking, .ready): return isChecked ? beginHandshakeTurn() : refuseForeignHeader()
    case (.handshaking, .handshakeTurn): return .shakeHands
    case (.handshaking, .deadline): return expire(.handshakeSeconds, "no complete TLS handshake")
    case (.handshaking, .drain): return table.finishesNew ? .wait : .close
    case (.handshaking, .abandon): return .close
    case (.handshaking, .resumed), (.handshaking, .authenticated), (.handshaking, .answered): refuse(event)

    case (.readingRequest(let reader), .ready), (.readingRequest(let reader), .resumed): return .readHead(reader)
    case (.readingRequest(let reader), .deadline): return expireRequest(reader)
    case (.readingRequest(let reader), .drain):
      let isWelcome = table.finishesNew && !isAuthenticated
      return isIdle(reader) && !isWelcome ? .linger : .wait
    case (.readingRequest, .abandon): return .close
    case (.readingRequest, .authenticated), (.readingRequest, .answered): refuse(event)

    case (.queued, .ready): return flush()
    case (.queued(let exchange), .deadline): return .authenticate(exchange)
    case (.queued, .resumed): return .wait
    case (.queued, .drain), (.queued, .abandon): return .close
    case (.queued, .authenticated), (.queued, .answered): refuse(event)

    case (.authenticating, .ready): return flush()
    case (.authenticating(let exchange), .authenticated(.admitted(let caller))): return admit(exchange, caller)
    case (.authenticating(let exchange), .authenticated(.refused(let response))):
      return refuse(exchange, with: response)
    // A turn posted before the headers were complete; the bytes wait.
    case (.authenticating, .resumed), (.authenticating, .drain): return .wait
    case (.authenticating, .abandon): return .close
    case (.authenticating, .deadline), (.authenticating, .answered): refuse(event)

    case (.delayed, .ready): return flush()
    case (.delayed(let exchange, let response), .deadline):
      return answer(response, to: exchange.head, from: exchange.reader, keepsAlive: false)
    case (.delayed, .resumed): return .wait
    case (.delayed, .drain), (.delayed, .abandon): return .close
    case (.delayed, .authenticated), (.delayed, .answered): refuse(event)

    case (.readingBody(let exchange), .ready), (.readingBody(let exchange), .resumed): return .readBody(exchange)
    case (.readingBody(let exchange), .deadline):
      let detail = "\(exchange.reader.bodyBytes) bytes of the body came"
      return reject(408, .bodySeconds, detail, to: exchange.head, from: exchange.reader)
    // It is half accepted: it may finish while the table waits.
    case (.readingBody, .drain): return .wait
    case (.readingBody, .abandon): return .close
    case (.readingBody, .authenticated), (.readingBody, .answered): refuse(event)

    case (.dispatching, .ready): return flush()
    case (.dispatching(let exchange), .answered(let response)):
      if response.status >= 400 { table.counters.refused[response.status, default: 0] += 1 }
      let keepsAlive = exchange.head.keepAlive && response.status < 400
      return answer(response, to: exchange.head, from: exchange.reader, keepsAlive: keepsAlive)
    case (.dispatching, .resumed), (.dispatching, .drain): return .wait
    case (.dispatching, .abandon): return .close
    case (.dispatching, .deadline), (.dispatching, .authenticated): refuse(event)

    case (.writingResponse(let writer, let reader), .ready): return .write(writer, reader)
    case (.writingResponse(let writer, _), .deadline):
      return expire(.responseSeconds, "\(writer.remaining) bytes of the answer were not taken")
    case (.writingResponse, .resumed), (.writingResponse, .drain): return .wait
    case (.writingResponse, .abandon): return .close
    case (.writingResponse, .authenticated), (.writingResponse, .answered): refuse(event)

    case (.lingering(let remainingBytes), .ready): return .discard(remainingBytes: remainingBytes)
    case (.lingering, .deadline), (.lingering, .abandon): return .close
    case (.lingering, .resumed), (.lingering, .drain): return .wait
    case (.lingering, .authenticated), (.lingering, .answered): refuse(event)

    // The handler's answer to a peer that went away, and turns posted before it went.
    case (.closed, .authenticated), (.closed, .answered), (.closed, .resumed), (.closed, .drain), (.closed, .abandon):
      return .wait
    case (.closed, .ready), (.closed, .deadline): refuse(event)

    // Only a handshake waits for a turn.
    case (_, .handshakeTurn): refuse(event)
    }
  }

  /// An event that cannot come in this state is a bug of ours.
  private func refuse(_ event: ConnectionEvent) -> Never {
    preconditionFailure("connection of \(address): \(event.name) while \(state.name)")
  }

  // MARK: - What is waited for

  /// What the state waits for. Readiness that is not wanted would spin the loop.
  private var interest: Interest {
    var interest: Interest
    switch state {
    case .handshaking(let handshake):
      interest = handshake.isWaiting && !table.handshakes.areFewWaiting ? [] : registration.wanted
    case .readingRequest, .readingBody, .writingResponse: interest = registration.wanted
    case .readingProxyHeader, .lingering: interest = .read
    case .queued, .authenticating, .delayed, .dispatching, .closed: interest = []
    }
    if transport.hasUnsentOutput { interest.insert(.write) }
    return interest
  }

  private func updateInterest() {
    if case .closed = state { return }
    do throws(SystemError) {
      try registration.setInterest(interest)
    } catch {
      table.logger.error("\(address): the connection is given up: \(error)")
      close()
    }
  }

  /// Most handlers answer in the same iteration. Leaving the interest alone until its end saves them two system calls.
  private func updateInterestLater() {
    if registration.isInterestDeferred { return }
    registration.isInterestDeferred = true
    loop.atEndOfIteration { [self] in
      registration.isInterestDeferred = false
      updateInterest()
    }
  }

  /// Asks for a turn in the next iteration.
  func postTurn() {
    if registration.isTurnPosted { return }
    registration.isTurnPosted = true
    loop.post { [self] in
      registration.isTurnPosted = false
      handle(.resumed)
    }
  }

  /// Starts the time of a limit in place of the one that ran.
  func arm(_ limit: NetworkLimit) {
    let nanoseconds = Int64(table.limits[limit]) * 1_000_000_000
    clock.arm(limit, until: MonotonicTime(nanoseconds: loop.now.nanoseconds + nanoseconds))
  }

  func arm(_ limit: NetworkLimit, for delay: Duration) { clock.arm(limit, until: loop.now + delay) }

  /// Changes what the log says of the request.
  func relabel(_ label: RequestLabel) {
    self.label = label
    RequestScope.enter(label)
  }

  /// How far the handshake is; nil after it.
  var handshake: Handshake? {
    get { if case .handshaking(let handshake) = state { handshake } else { nil } }
    set { if let newValue, case .handshaking = state { state = .handshaking(newValue) } }
  }

  /// No byte of a request has come.
  func isIdle(_ reader: RequestReader) -> Bool { reader.isIdle && !transport.hasBufferedInput }
}
