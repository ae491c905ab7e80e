import EventLoop
import Identity
import Logging
import ServerSettings
import XMLRPC

/// One connection: the state machine between a transport, the parser and the handler.
///
/// Events come from the loop (readiness, deadline, posted turn), from the handler (authenticated, answered) and from
/// the table (drain, abandon). Each changes the state first and acts second; what is waited for is computed from the
/// state afterwards, in one place. The turns themselves are in ConnectionTurns.swift.
final class Connection {
  let address: SocketAddress
  let transport: any Transport
  let loop: Reactor
  /// They have each other until the connection is closed.
  let table: ConnectionTable
  /// The bound that this connection is over: its request is answered with 503, whatever it is.
  let exceededLimit: NetworkLimit?
  var state = ConnectionState.handshaking
  /// The direction that the transport waits for in a state that reads or writes.
  var wanted = Interest.read
  var parser: HTTPRequestParser
  /// Bytes beyond the request that is being answered.
  var pending: BoundedBuffer
  var peer: PeerIdentity
  var isAuthenticated = false
  var answeredRequests = 0
  /// Bytes moved since the deadline was last moved.
  var progress = 0
  /// Bytes of the body that count in the table's sum.
  var heldBytes = 0
  /// The refusal waits, which the table's throttle has to be told when it ends.
  private var isThrottled = false
  private var descriptor: FileDescriptor?
  private var watcher: Watcher?
  private var timer: Timer?
  private(set) var armedLimit: NetworkLimit?
  /// When the time of `armedLimit` is over. The timer follows at the end of each event, so that a request which is
  /// answered at once moves it once; what it then fires for may have gone.
  private var deadline: MonotonicTime?
  /// When the table was last told of an answer.
  private var noted: MonotonicTime?
  private var task: Task<Void, Never>?
  private var isTurnPosted = false
  private var isInterestDeferred = false
  var isInReadTurn = false
  /// What the kernel keeps of an answer is bounded.
  private var isUnsentBounded = false
  /// The peer has sent something, so that the handshake may be half done.
  var hasBegunHandshake = false
  /// It is among those that `HandshakeTurns` calls later.
  var isWaitingForTurn = false
  /// Which share of `HandshakeTurns` its turn counts in.
  var takesKnownTurn = false

  init(
    descriptor: consuming FileDescriptor, transport: any Transport, address: SocketAddress, table: ConnectionTable,
    exceededLimit: NetworkLimit?
  ) {
    self.address = address
    self.transport = transport
    self.table = table
    self.exceededLimit = exceededLimit
    loop = table.loop
    parser = HTTPRequestParser(limits: table.limits.http)
    pending = BoundedBuffer(limitBytes: ConnectionTable.scratchBytes)
    peer = PeerIdentity(address: address)
    self.descriptor = consume descriptor
  }

  /// Registers with the loop; throws the `SystemError` of the registration.
  ///
  /// The handshake begins with the client's first bytes: begun at once it would take OpenSSL 55 KiB for each peer that
  /// connects and says nothing.
  func start() throws(SystemError) {
    armedLimit = .handshakeSeconds
    let timer = loop.schedule(after: table.limits.duration(.handshakeSeconds)) { [self] in
      if let deadline, deadline <= loop.now { handle(.deadline) }
    }
    deadline = timer.deadline
    self.timer = timer
    watcher = try loop.register(transport.descriptor, interest: .read) { [self] _ in
      transport.noteReadiness()
      handle(.ready)
    }
  }

  /// Takes an event and then adapts what is waited for.
  func handle(_ event: ConnectionEvent) {
    act(on: event)
    switch state {
    case .authenticating, .dispatching: updateInterestLater()
    case .handshaking, .readingRequest, .queued, .delayed, .readingBody, .writingResponse, .lingering, .closed:
      updateInterest()
    }
    setTimer()
  }

  /// Most handlers answer in the same iteration: then the interest was not changed in vain, which saves two system
  /// calls for each of their two words.
  private func updateInterestLater() {
    if isInterestDeferred { return }
    isInterestDeferred = true
    loop.atEndOfIteration { [self] in
      isInterestDeferred = false
      updateInterest()
    }
  }

  func act(on event: ConnectionEvent) {
    switch (state, event) {
    case (.handshaking, .ready): handshakeReady()
    case (.handshaking, .handshakeTurn): handshakeTurn()
    case (.handshaking, .deadline): expireSilently(.handshakeSeconds, "no complete TLS handshake")
    case (.handshaking, .drain), (.handshaking, .abandon): close()
    case (.handshaking, .resumed), (.handshaking, .authenticated), (.handshaking, .answered): refuse(event)

    case (.readingRequest, .ready), (.readingRequest, .resumed): readTurn()
    case (.readingRequest, .deadline): expireRequest()
    case (.readingRequest, .drain): if isIdle { linger() }
    case (.readingRequest, .abandon): close()
    case (.readingRequest, .authenticated), (.readingRequest, .answered): refuse(event)

    case (.queued, .ready): flushTurn()
    case (.queued(let head), .deadline): look(at: head)
    case (.queued, .resumed): break
    case (.queued, .drain), (.queued, .abandon): close()
    case (.queued, .authenticated), (.queued, .answered): refuse(event)

    case (.authenticating, .ready): flushTurn()
    case (.authenticating(let head), .authenticated(.admitted(let caller))): admit(head, caller)
    case (.authenticating(let head), .authenticated(.refused(let response))): refuse(head, with: response)
    // A turn posted before the headers were complete; the bytes wait.
    case (.authenticating, .resumed), (.authenticating, .drain): break
    case (.authenticating, .abandon): close()
    case (.authenticating, .deadline), (.authenticating, .answered): refuse(event)

    case (.delayed, .ready): flushTurn()
    case (.delayed(let head, let response), .deadline): answer(response, to: head, keepsAlive: false)
    case (.delayed, .resumed): break
    case (.delayed, .drain), (.delayed, .abandon): close()
    case (.delayed, .authenticated), (.delayed, .answered): refuse(event)

    case (.readingBody, .ready), (.readingBody, .resumed): readTurn()
    case (.readingBody(let head), .deadline):
      reject(408, .bodySeconds, "\(parser.bodyBytesReceived) bytes of the body came", to: head)
    // It is half accepted: it may finish while the table waits.
    case (.readingBody, .drain): break
    case (.readingBody, .abandon): close()
    case (.readingBody, .authenticated), (.readingBody, .answered): refuse(event)

    case (.dispatching, .ready): flushTurn()
    case (.dispatching(let head), .answered(let response)):
      if response.status >= 400 { table.counters.refused[response.status, default: 0] += 1 }
      answer(response, to: head, keepsAlive: head.keepAlive && response.status < 400)
    case (.dispatching, .resumed), (.dispatching, .drain): break
    case (.dispatching, .abandon): close()
    case (.dispatching, .deadline), (.dispatching, .authenticated): refuse(event)

    case (.writingResponse(let writer), .ready): writeTurn(writer)
    case (.writingResponse(let writer), .deadline):
      expireSilently(.responseSeconds, "\(writer.remaining) bytes of the answer were not taken")
    case (.writingResponse, .resumed), (.writingResponse, .drain): break
    case (.writingResponse, .abandon): close()
    case (.writingResponse, .authenticated), (.writingResponse, .answered): refuse(event)

    case (.lingering, .ready): lingerTurn()
    case (.lingering, .deadline), (.lingering, .abandon): close()
    case (.lingering, .resumed), (.lingering, .drain): break
    case (.lingering, .authenticated), (.lingering, .answered): refuse(event)

    // The handler's answer to a peer that went away, and turns posted before it went.
    case (.closed, .authenticated), (.closed, .answered), (.closed, .resumed), (.closed, .drain), (.closed, .abandon):
      break
    case (.closed, .ready), (.closed, .deadline): refuse(event)

    // Only who shakes hands waits for a turn of it.
    case (_, .handshakeTurn): refuse(event)
    }
  }

  /// An event that cannot come in this state is a bug of ours.
  private func refuse(_ event: ConnectionEvent) -> Never {
    preconditionFailure("connection of \(address): \(event.name) while \(state.name)")
  }

  /// What the state waits for. Readiness that is not wanted would spin the loop.
  private var interest: Interest {
    var interest: Interest
    switch state {
    case .handshaking: interest = isWaitingForTurn && !table.handshakes.areFewWaiting ? [] : wanted
    case .readingRequest, .readingBody, .writingResponse: interest = wanted
    case .lingering: interest = .read
    case .queued, .authenticating, .delayed, .dispatching, .closed: interest = []
    }
    if transport.hasUnsentOutput { interest.insert(.write) }
    return interest
  }

  private func updateInterest() {
    guard case .closed = state else {
      do throws(SystemError) {
        try watcher?.setInterest(interest)
      } catch {
        table.logger.error("\(address): the connection is given up: \(error)")
        close()
      }
      return
    }
  }

  // MARK: - Between states

  /// No byte of a request has come.
  var isIdle: Bool { parser.isIdle && pending.isEmpty && !transport.hasBufferedInput }

  /// Waits for the next request, or for the first.
  func awaitRequest() {
    peer.caller = nil
    state = .readingRequest
    wanted = .read
    if answeredRequests == 0 {
      arm(.headerSeconds)
    } else if table.isDraining {
      linger()
    } else {
      arm(.keepAliveSeconds)
      // Bytes that came with the last request raise no readiness; others have their turn first.
      if !pending.isEmpty || transport.hasBufferedInput { postTurn() }
    }
  }

  /// The headers are complete: the handler looks at them before the body is read.
  func authenticate(_ head: HTTPRequestHead) {
    state = .authenticating(head)
    disarm()
    table.counters.requests += 1
    let delay = table.lookDelay(of: self)
    guard delay == .zero else {
      state = .queued(head)
      arm(.authenticationDelay, for: delay)
      return
    }
    look(at: head)
  }

  /// Asks the handler whether the peer may come in.
  private func look(at head: HTTPRequestHead) {
    state = .authenticating(head)
    disarm()
    if let limit = exceededLimit ?? table.exceededLimit(byRequestOf: self) {
      refuseForNow(limit, "\(head.method) refused", to: head)
      return
    }
    peer.caller = nil
    switch table.handler.authenticate(head, peer: peer) {
    case .now(let outcome): act(on: .authenticated(outcome))
    case .later(let outcome): task = Task { self.handle(.authenticated(await outcome())) }
    }
  }

  /// The handler does not let the peer in. Who has failed too often is told so later.
  private func refuse(_ head: HTTPRequestHead, with response: HTTPResponse) {
    task = nil
    table.counters.refused[response.status, default: 0] += 1
    let delay = response.status == 401 ? table.noteFailedAuthentication(of: self) : .zero
    guard delay > .zero else {
      answer(response, to: head, keepsAlive: false)
      return
    }
    isThrottled = true
    state = .delayed(head, response)
    arm(.authenticationDelay, for: delay)
  }

  /// Refuses a request that may come again: 503 with Retry-After.
  func refuseForNow(_ limit: NetworkLimit, _ detail: String, to head: HTTPRequestHead) {
    table.counters.refused[503, default: 0] += 1
    table.note(limit, at: address, "\(detail); answered 503")
    var response = HTTPResponse.error(status: 503)
    response.headers.append(HTTPField("Retry-After", String(table.limits[.retrySeconds])))
    answer(response, to: head, keepsAlive: false)
  }

  /// The peer is known: lets the body in.
  private func admit(_ head: HTTPRequestHead, _ caller: Caller) {
    peer.caller = caller
    table.counters.authenticated += 1
    if !isAuthenticated {
      isAuthenticated = true
      table.noteAuthenticated(self)
    }
    guard head.method == "POST" else {
      // As BaseHTTPServer answers a method without do_METHOD, after authentication.
      reject(501, nil, "method \(head.method)", to: head)
      return
    }
    state = .readingBody(head)
    wanted = .read
    arm(.bodySeconds)
    if head.expectsContinue, pending.isEmpty, !sendContinue() { return }
    take(parser.acceptBody())
    // A handler that answered at once did so inside of a turn, which goes on by itself. One that was waited for is not
    // waited for again: what came with the headers is read now.
    if !isInReadTurn, state.isReading, !pending.isEmpty || transport.hasBufferedInput { readTurn() }
  }

  /// Tells a client that waits for it to send the body; false when the connection is gone.
  private func sendContinue() -> Bool {
    switch HTTPResponse.continueBytes.withUnsafeBytes({ transport.write($0) }) {
    // A client that does not get it sends the body after a while all the same (RFC 9110, 10.1.1).
    case .bytes, .wantRead, .wantWrite: return true
    case .closed:
      peerClosed()
      return false
    case .failed(let failure):
      fail(failure)
      return false
    }
  }

  /// The request is whole: the handler answers it.
  func dispatch(_ request: HTTPRequest) {
    state = .dispatching(request.head)
    disarm()
    table.requestsInProgress += 1
    // The parser has given it away, and the handler has it.
    table.hold(request.body.count, of: self)
    switch table.handler.respond(to: request, peer: peer) {
    case .now(let response): act(on: .answered(response))
    case .later(let response): task = Task { self.handle(.answered(await response())) }
    }
  }

  /// Writes a response; `head` is nil when the request was refused before its headers were complete.
  func answer(_ response: HTTPResponse, to head: HTTPRequestHead?, keepsAlive: Bool) {
    task = nil
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
    state = .writingResponse(writer)
    wanted = .write
    arm(.responseSeconds)
    writeTurn(writer)
  }

  /// Refuses a request with one line in the log, and ends the connection after the answer.
  func reject(_ status: Int, _ limit: NetworkLimit?, _ detail: String, to head: HTTPRequestHead?) {
    table.counters.refused[status, default: 0] += 1
    if let limit {
      table.note(limit, at: address, "\(detail); answered \(status)")
    } else {
      table.refusals.write(
        .info, of: address.host, to: table.logger, "\(address): request refused: \(detail); answered \(status)")
    }
    answer(.error(status: status), to: head, keepsAlive: false)
  }

  /// Ends the connection once the peer had time to read what was written.
  func linger() {
    state = .lingering(remainingBytes: table.limits[.lingerBytes])
    arm(.lingerSeconds)
    lingerTurn()
  }

  /// Gives back what the state counts for in the table.
  private func leaveState() {
    if case .dispatching = state { table.requestsInProgress -= 1 }
    table.hold(0, of: self)
    if isThrottled {
      isThrottled = false
      table.endDelay(of: self)
    }
  }

  func close() {
    leaveState()
    state = .closed
    isWaitingForTurn = false
    disarm()
    timer?.cancel()
    timer = nil
    task?.cancel()
    task = nil
    pending.removeAll()
    watcher?.cancel()
    watcher = nil
    if let descriptor = descriptor.take() { loop.closeLater(descriptor) }
    table.remove(self)
  }

  /// Asks for a turn in the next iteration.
  func postTurn() {
    if isTurnPosted { return }
    isTurnPosted = true
    loop.post { [self] in
      isTurnPosted = false
      handle(.resumed)
    }
  }

  // MARK: - Deadlines

  /// Starts the time of a limit, in place of the one that ran.
  func arm(_ limit: NetworkLimit) {
    armedLimit = limit
    progress = 0
    deadline = MonotonicTime(nanoseconds: loop.now.nanoseconds + Int64(table.limits[limit]) * 1_000_000_000)
  }

  private func arm(_ limit: NetworkLimit, for delay: Duration) {
    armedLimit = limit
    progress = 0
    deadline = loop.now + delay
  }

  private func disarm() {
    armedLimit = nil
    deadline = nil
  }

  /// Makes the timer fire at the deadline. Without one it is left alone: most connections will soon have one again.
  private func setTimer() {
    guard let deadline, let timer, timer.deadline != deadline || !timer.isScheduled else { return }
    timer.rearm(at: deadline)
  }

  /// The peer was answered: for a connection with thousands of requests the table is told once a second.
  func noteAnswer() {
    if let noted, loop.now.nanoseconds - noted.nanoseconds < 1_000_000_000 { return }
    noted = loop.now
    table.noteAnswer(to: address)
  }

  /// Bytes have moved: enough of them start the time anew.
  func noteProgress(_ byteCount: Int) {
    progress += byteCount
    if progress >= table.limits[.progressBytes], let armedLimit { arm(armedLimit) }
  }

  private func expireRequest() {
    if !isIdle {
      reject(408, .headerSeconds, "the headers are not complete", to: nil)
    } else if answeredRequests == 0 {
      table.note(.headerSeconds, at: address, "no request came")
      linger()
    } else {
      table.counters.reached[.keepAliveSeconds, default: 0] += 1
      linger()
    }
  }

  /// Over a bound where nothing can be answered.
  private func expireSilently(_ limit: NetworkLimit, _ detail: String) {
    table.note(limit, at: address, detail)
    close()
  }
}
