import CLinux
public import EventLoop
import Glibc
public import Logging
public import ServerSettings
import XMLRPC

/// The live connections: admits, limits, counts and drains them, and holds what they share.
@MainActor public final class ConnectionTable {
  /// Bytes read from a transport at once: one TLS record.
  static let scratchBytes = 16 * 1024
  /// Bytes given to a transport at once: what it gathers for one send.
  static let stageBytes = 64 * 1024
  /// The shortest time between two reports of connections that were closed at accept.
  static let droppedReportInterval: Duration = .seconds(60)
  /// After a burst of at least this many connections unused memory is returned to the system.
  static let burstConnections = 64

  public let loop: Reactor
  /// May change while there are connections: what these have begun keeps its bounds.
  public var limits: NetworkLimits {
    didSet {
      throttle.setLimits(limits)
      overload.setLimits(limits)
      handshakes.setLimit(limits[.handshakesPerTurn])
    }
  }
  public let handler: any RequestHandler
  /// Which proxies are believed. May change while there are connections: what a proxy has said by then stays.
  public var proxies = ProxyRules()
  public var logger = Logger(label: "Connection")
  /// Counts since start.
  public internal(set) var counters = NetworkCounters()
  /// Whether no new request is accepted.
  public private(set) var isDraining = false

  let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: ConnectionTable.scratchBytes, alignment: 64)
  let stage = UnsafeMutableRawBufferPointer.allocate(byteCount: ConnectionTable.stageBytes, alignment: 64)
  /// Requests that the handler is answering.
  var requestsInProgress = 0
  /// Bounds log lines about refused peers. Shared with the core, where there is one.
  public lazy var refusals = RefusalLog(on: loop, logger: logger)
  private var throttle: AuthenticationThrottle
  private var overload: Overload
  /// Bytes of all bodies that are being read or answered.
  private(set) var heldBodyBytes = 0
  private let clock: () -> MonotonicTime
  private let makeTransport: (Int32) -> any Transport
  private var connections: [ObjectIdentifier: Connection] = [:]
  private var byAddress: [SocketAddress: Share] = [:]
  private var unauthenticated = 0
  private var refused = 0
  private var peak = 0
  private(set) var handshakes: HandshakeTurns
  private var isTurnEndExpected = false
  private var lastDropReport: MonotonicTime?
  private var cachedDate: (second: time_t, text: String) = (-1, "")
  private var drainTimer: Timer?
  /// While draining: connections that were accepted get the answer to their first request.
  private(set) var finishesNew = false
  /// How long they may take to send it: a handshake and a request over a slow line.
  static let newConnectionGrace: Duration = .seconds(5)
  private var graceTimer: Timer?
  private var drainCompletion: (() -> Void)?

  /// Connections of one address.
  private struct Share {
    var connections = 0
    var unauthenticated = 0
  }

  /// - Parameters:
  ///   - handler: answers the requests of all connections.
  ///   - clock: compared with the loop's time, it tells how late the requests of an iteration are.
  ///   - makeTransport: makes a transport over a descriptor, which the connection owns.
  public init(
    on loop: Reactor, handler: any RequestHandler, limits: NetworkLimits = NetworkLimits(),
    clock: @escaping () -> MonotonicTime = MonotonicTime.now, makeTransport: @escaping (Int32) -> any Transport
  ) {
    self.loop = loop
    self.handler = handler
    self.limits = limits
    self.clock = clock
    throttle = AuthenticationThrottle(limits)
    overload = Overload(limits)
    handshakes = HandshakeTurns(limits[.handshakesPerTurn])
    self.makeTransport = makeTransport
  }

  /// A table whose connections speak TLS with this context, also after its reload.
  public convenience init(
    on loop: Reactor, handler: any RequestHandler, limits: NetworkLimits = NetworkLimits(), context: TLSContext
  ) {
    self.init(on: loop, handler: handler, limits: limits) { TLSTransport(context: context, descriptor: $0) }
  }

  isolated deinit {
    drainTimer?.cancel()
    graceTimer?.cancel()
    scratch.deallocate()
    stage.deallocate()
  }

  /// Connections that are open, the refused ones included.
  public var count: Int { connections.count }

  /// Those of them whose peer has not authenticated.
  public var unauthenticatedCount: Int { unauthenticated }

  /// Connections by the name of their state; every name is there.
  public var stateCounts: [String: Int] {
    var counts = Dictionary(uniqueKeysWithValues: ConnectionState.names.map { ($0, 0) })
    for connection in connections.values { counts[connection.state.name, default: 0] += 1 }
    return counts
  }

  /// Admits a connection that a listener has accepted; its descriptor is nonblocking.
  public func admit(_ descriptor: consuming FileDescriptor, from address: SocketAddress) {
    let exceeded = exceededLimit(by: address)
    guard mayAdmit(address, exceeded) else { return }
    let raw = descriptor.rawValue
    begin(
      Connection(
        ConnectionRegistration(descriptor), transport: makeTransport(raw), address: address, table: self,
        exceededLimit: exceeded))
  }

  /// Admits a connection that a library has accepted, or ends it at once.
  public func admit(_ transport: any LibraryTransport, from address: SocketAddress) {
    let exceeded = exceededLimit(by: address)
    guard mayAdmit(address, exceeded) else {
      transport.end()
      return
    }
    begin(
      Connection(
        ConnectionRegistration(transport), transport: transport, address: address, table: self, exceededLimit: exceeded)
    )
  }

  /// Counts a connection; false where it is closed without an answer.
  private func mayAdmit(_ address: SocketAddress, _ exceeded: NetworkLimit?) -> Bool {
    counters.accepted += 1
    if let exceeded, refused >= limits[.refusedConnections] {
      drop(exceeded, address)
      return false
    }
    return !isDraining
  }

  private func begin(_ connection: Connection) {
    add(connection)
    do throws(SystemError) {
      try connection.start()
    } catch {
      let address = connection.address
      logger.error("\(address): the connection cannot be watched: \(error)")
      connection.close()
    }
  }

  /// Stops taking requests: idle connections end, what is being answered is finished within the limit
  /// `drain_timeout`, and `completion` is called once when nothing is left. The caller has closed its listener.
  ///
  /// - Parameter finishesNew: connections without a request get some time to send one: where another process goes on with the
  ///   listening socket, nobody is to notice the change.
  public func drain(finishesNew: Bool = false, _ completion: @escaping () -> Void) {
    precondition(!isDraining, "drained twice")
    isDraining = true
    if finishesNew {
      self.finishesNew = true
      graceTimer = loop.schedule(after: Self.newConnectionGrace) { [weak self] in self?.endGrace() }
    }
    drainCompletion = completion
    for connection in Array(connections.values) { connection.handle(.drain) }
    if connections.isEmpty {
      finishDrain()
      return
    }
    drainTimer = loop.schedule(after: limits.duration(.drainSeconds)) { [weak self] in self?.abandonRest() }
  }

  private func endGrace() {
    finishesNew = false
    for connection in Array(connections.values) { connection.handle(.drain) }
  }

  private func abandonRest() {
    reportLimit(.drainSeconds, at: nil, "\(connections.count) connections are given up")
    for connection in Array(connections.values) { connection.handle(.abandon) }
  }

  private func finishDrain() {
    drainTimer?.cancel()
    graceTimer?.cancel()
    guard let completion = drainCompletion else { return }
    drainCompletion = nil
    // Not within the last connection's turn.
    loop.post(completion)
  }

  // MARK: - For connections

  /// Claims a turn for a handshake. If none is left, false; the connection gets `handshakeTurn` in a later iteration.
  func claimHandshakeTurn(for connection: Connection) -> Bool {
    expectTurnEnd()
    return handshakes.claim(connection, isKnown: overload.isKnown(shareKey(connection.address)))
  }

  /// Releases a turn that found a gone peer and so cost nothing: others need not wait for it.
  func releaseHandshakeTurn(of connection: Connection) {
    if let handshake = connection.handshake { handshakes.release(handshake) }
  }

  private func expectTurnEnd() {
    if isTurnEndExpected { return }
    isTurnEndExpected = true
    loop.atEndOfIteration { [weak self] in self?.endHandshakeTurns() }
  }

  /// Restores all turns; while a connection waits for one, the next iteration begins at once.
  private func endHandshakeTurns() {
    isTurnEndExpected = false
    handshakes.endTurn()
    guard handshakes.isAnyWaiting else { return }
    loop.post { [weak self] in
      self?.expectTurnEnd()
      while let next = self?.handshakes.next() { next.handle(.handshakeTurn) }
    }
  }

  /// The Date header of this second.
  var httpDate: String {
    let now = time(nil)
    if now != cachedDate.second { cachedDate = (now, HTTPDate.format(secondsSince1970: Int64(now))) }
    return cachedDate.text
  }

  /// Counts a limit that was reached, and logs it in one line.
  func reportLimit(_ limit: NetworkLimit, at address: SocketAddress?, _ detail: String) {
    counters.reached[limit, default: 0] += 1
    let definition = limit.definition
    if let address, !refusals.mayWrite(address.host) { return }
    let place = address.map { "\($0): " } ?? ""
    logger.notice(
      "\(place)limit \(limit.option) = \(limits[limit]) \(definition.unit.rawValue) reached: \(detail)")
  }

  /// The limit that one more request exceeds; nil: none.
  func exceededLimit(byRequestOf connection: Connection) -> NetworkLimit? {
    if requestsInProgress >= limits[.requests] { return .requests }
    let lag = clock() - loop.now
    guard overload.isLate(lag) else { return nil }
    return overload.refuses(shareKey(connection.address), lag: lag, now: loop.now) ? .overloadSeconds : nil
  }

  /// How long the check of a connection's password waits for its turn.
  func authenticationDelay(of connection: Connection) -> Duration {
    // That a proxy's other client is known says nothing of this one.
    if throttle.count == 0 || connection.isAuthenticated && !connection.isForwarded { return .zero }
    let delay = throttle.turn(of: source(connection), now: loop.now)
    if delay > .zero { counters.delayedChecks += 1 }
    return delay
  }

  /// Counts that a listener has run out of descriptors or memory.
  public func recordExhaustion() { counters.exhausted += 1 }

  func recordAnswer(to address: SocketAddress) { overload.recordAnswer(to: shareKey(address), now: loop.now) }

  /// Counts a failed authentication; returns how long its answer waits.
  ///
  /// Loopback is not delayed: a local guesser has other ways, and a proxy or tunnel speaks for many.
  func recordFailedAuthentication(of connection: Connection) -> Duration {
    counters.failedAuthentications += 1
    if connection.address.isLoopback { return .zero }
    let delay = throttle.recordFailure(of: source(connection), now: loop.now)
    if delay > .zero {
      counters.delayedRefusals += 1
      reportLimit(.authenticationFailures, at: connection.address, "the refusal waits \(delay)")
    }
    return delay
  }

  func endDelay(of connection: Connection) { throttle.endWait(of: source(connection)) }

  private func source(_ connection: Connection) -> AuthenticationThrottle.Source {
    let address = shareKey(connection.address)
    if let name = connection.peer.certificateCommonName { return .certificate(name, at: address) }
    return .address(address)
  }

  /// Sets the bytes of a body that a connection holds, in the sum of all.
  func hold(_ byteCount: Int, of reader: RequestReader) {
    heldBodyBytes += byteCount - reader.heldBytes
    reader.heldBytes = byteCount
  }

  /// Whether all bodies together exceed their limit.
  var isOverBodies: Bool { heldBodyBytes > limits[.bodiesBytes] }

  func recordAuthentication(of connection: Connection) {
    guard connection.exceededLimit == nil else { return }
    unauthenticated -= 1
    byAddress[shareKey(connection.owner.address)]?.unauthenticated -= 1
  }

  func remove(_ connection: Connection) {
    guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
    if connection.exceededLimit != nil {
      refused -= 1
    } else {
      if !connection.isAuthenticated { unauthenticated -= 1 }
      removeShare(of: connection)
    }
    trimAfterBurst()
    if connections.isEmpty, isDraining { finishDrain() }
  }

  // MARK: - Admission

  private func add(_ connection: Connection) {
    connections[ObjectIdentifier(connection)] = connection
    peak = max(peak, connections.count)
    if connection.exceededLimit != nil {
      refused += 1
      return
    }
    unauthenticated += 1
    addShare(of: connection)
  }

  /// Counts an unauthenticated connection with its address.
  private func addShare(of connection: Connection) {
    byAddress[shareKey(connection.owner.address), default: Share()].connections += 1
    byAddress[shareKey(connection.owner.address), default: Share()].unauthenticated += 1
  }

  private func removeShare(of connection: Connection) {
    let key = shareKey(connection.owner.address)
    guard var share = byAddress[key] else { return }
    share.connections -= 1
    if !connection.isAuthenticated { share.unauthenticated -= 1 }
    byAddress[key] = share.connections == 0 ? nil : share
  }

  /// Makes a proxy's connection that of its client, with the bounds of the client's address. Like a connection that is
  /// over a bound when it comes, it is refused with its first request, or at once: then false, and it has to be closed.
  func move(_ connection: Connection, to address: SocketAddress) -> Bool {
    if connection.exceededLimit == nil { removeShare(of: connection) }
    connection.owner = PeerIdentity(address: address)
    connection.peer = connection.owner
    guard connection.exceededLimit == nil else { return true }
    guard let exceeded = exceededLimit(byClientAt: address, besides: unauthenticated - 1) else {
      addShare(of: connection)
      return true
    }
    let isRefusable = refused < limits[.refusedConnections]
    connection.exceededLimit = exceeded
    unauthenticated -= 1
    refused += 1
    if isRefusable { return true }
    drop(exceeded, address)
    return false
  }

  private func exceededLimit(by address: SocketAddress) -> NetworkLimit? {
    if connections.count - refused >= limits[.connections] { return .connections }
    // Whose connection it is a proxy has yet to tell.
    if proxies.expectsProxyHeader(of: address) {
      return unauthenticated >= extendedPlaces ? .unauthenticatedConnections : nil
    }
    return exceededLimit(byClientAt: address, besides: unauthenticated)
  }

  /// The bound that one more connection of an address exceeds.
  ///
  /// - Parameter others: the connections whose peer has not authenticated.
  private func exceededLimit(byClientAt address: SocketAddress, besides others: Int) -> NetworkLimit? {
    if others >= unauthenticatedPlaces(for: address) { return .unauthenticatedConnections }
    // A proxy or tunnel on this machine speaks for many.
    if address.isLoopback { return nil }
    let share = byAddress[shareKey(address)] ?? Share()
    if share.connections >= limits[.connectionsPerAddress] { return .connectionsPerAddress }
    if share.unauthenticated >= limits[.unauthenticatedPerAddress] { return .unauthenticatedPerAddress }
    return nil
  }

  /// Places for connections whose peer has not authenticated. An address that was answered before has a quarter more,
  /// which silent strangers cannot occupy.
  private func unauthenticatedPlaces(for address: SocketAddress) -> Int {
    overload.isKnown(shareKey(address)) ? extendedPlaces : limits[.unauthenticatedConnections]
  }

  private var extendedPlaces: Int {
    let places = limits[.unauthenticatedConnections]
    return places + (places + 3) / 4
  }

  /// The unit that limits by address count: an IPv4 address, or the /64 of an IPv6 address, all of which one host may use.
  private func shareKey(_ address: SocketAddress) -> SocketAddress {
    switch address.unmapped {
    case .ipv4(let host, _): .ipv4(host, port: 0)
    case .ipv6(let high, let low, _, _): .ipv6(high: high, low: high == 0 ? low : 0, port: 0)
    case .unix: .unix("")
    }
  }

  private func drop(_ limit: NetworkLimit, _ address: SocketAddress) {
    counters.dropped += 1
    counters.reached[limit, default: 0] += 1
    if let last = lastDropReport, loop.now - last < ConnectionTable.droppedReportInterval { return }
    lastDropReport = loop.now
    logger.notice(
      "\(address): limit \(limit.option) = \(limits[limit]) connections reached, and refused_connections, too: closed"
    )
  }

  /// Bounds what the kernel keeps of answers that the peer does not read. Without it the send buffer grows to
  /// /proc/sys/net/ipv4/tcp_wmem, 4 MiB of memory for each peer that stops.
  func boundUnsent(of connection: Connection) {
    if connection.registration.boundUnsent(to: limits[.unsentBytes]) { return }
    setOption(
      TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT", to: Int32(limits[.unsentBytes]), connection.transport.descriptor,
      connection.address)
  }

  private func setOption(
    _ option: Int32, _ name: String, to value: Int32, _ descriptor: Int32, _ address: SocketAddress
  ) {
    if address.family == AF_UNIX { return }
    var value = value
    if setsockopt(descriptor, Int32(IPPROTO_TCP), option, &value, socklen_t(MemoryLayout<Int32>.size)) != 0 {
      let code = errno
      // The peer has gone already, which the first read reports.
      logger.debug("\(address): setsockopt \(name): \(String(cString: strerror(code)))")
    }
  }

  /// Returns memory to the system after a burst, which otherwise stays resident.
  private func trimAfterBurst() {
    guard peak >= ConnectionTable.burstConnections, connections.count <= peak / 4 else { return }
    peak = connections.count
    loop.atEndOfIteration { _ = clinux_malloc_trim(0) }
  }
}
