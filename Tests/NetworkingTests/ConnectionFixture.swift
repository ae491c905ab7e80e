public import EventLoop
import Glibc
public import Identity
import Logging
public import Networking
public import ServerSettings
public import Support
import Testing
public import XMLRPC

/// A connection table on a played kernel, with peers that the test plays, too.
///
/// Each descriptor is one end of a real socket pair, because the loop closes it; nothing is read from it.
public final class ConnectionFixture {
  public let loop: Reactor
  public let kernel: FakePoller
  public let handler: ScriptedHandler
  public let table: ConnectionTable
  public let log = LogRecorder(level: .trace)
  private let transports: TransportBox
  /// How long the events of an iteration wait for their turn.
  public var lag: Duration {
    get { late.duration }
    set { late.duration = newValue }
  }
  private let late: Late

  /// A request with a body of six bytes, and what of it comes before the body.
  public static let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
  public static let request = head + "<call>"

  /// - Parameter bounds: limits that are not the usual ones.
  public convenience init(_ bounds: [NetworkLimit: Int] = [:]) {
    var limits = NetworkLimits()
    for (limit, value) in bounds { limits[limit] = value }
    self.init(limits: limits)
  }

  /// The transport that the next admitted connection gets is prepared by `prepare`.
  public init(limits: NetworkLimits) {
    let (loop, kernel) = FakePoller.makeLoop()
    let handler = ScriptedHandler()
    let transports = TransportBox()
    self.loop = loop
    self.kernel = kernel
    self.handler = handler
    self.transports = transports
    let late = Late()
    self.late = late
    table = ConnectionTable(
      on: loop, handler: handler, limits: limits, clock: { kernel.now + late.duration },
      makeTransport: { descriptor in
        let transport = ScriptedTransport(descriptor: descriptor)
        transports.prepare?(transport)
        transports.last = transport
        return transport
      })
    table.logger = log.logger(label: "Connection")
  }

  /// Lets a peer connect and, unless it is silent, shake hands; nil when it was turned away at once.
  @discardableResult
  public func connect(
    from host: String = "192.0.2.1", isSilent: Bool = false, _ prepare: @escaping (ScriptedTransport) -> Void = { _ in }
  ) -> ScriptedTransport? {
    let (ours, theirs) = makeSocketPair()
    close(theirs)
    transports.last = nil
    transports.prepare = prepare
    table.admit(FileDescriptor(owning: ours), from: SocketAddress(host: host, port: 40000)!)
    if !isSilent, let transport = transports.last { run(transport) }
    return transports.last
  }

  /// Lets a peer connect and send the request.
  @discardableResult
  public func ask(from host: String = "192.0.2.1") throws -> ScriptedTransport {
    let transport = try #require(connect(from: host))
    send(Self.request, to: transport)
    return transport
  }

  /// Reports the descriptor ready for what is wanted of it, as a level-triggered poller does, until nothing changes.
  public func run(_ transport: ScriptedTransport, turns: Int = 1) {
    for _ in 0..<turns {
      if let registration = kernel.registrations[transport.descriptor] {
        let readiness = Readiness(rawValue: registration.interest.rawValue)
        if !readiness.isEmpty { kernel.report([transport.descriptor: readiness]) } else { kernel.report([]) }
      } else {
        kernel.report([])
      }
      loop.runOnce(wait: .zero)
    }
  }

  /// Lets the asynchronous function that waits go on, then the loop.
  public func goOn() async {
    await handler.goOn()
    for _ in 0..<2 { loop.runOnce(wait: .zero) }
  }

  /// Gives text to the peer's connection and lets the loop take it.
  public func send(_ text: String, to transport: ScriptedTransport, turns: Int = 1) {
    transport.feed(text)
    run(transport, turns: turns)
  }

  /// Lets time pass, with all deadlines in it.
  public func wait(_ duration: Duration) {
    let end = kernel.now + duration
    while kernel.now < end { loop.runOnce(wait: end - kernel.now) }
    loop.runOnce(wait: .zero)
  }

  public func interest(of transport: ScriptedTransport) -> Interest? {
    kernel.registrations[transport.descriptor]?.interest
  }

  public func isOpen(_ transport: ScriptedTransport) -> Bool { kernel.registrations[transport.descriptor] != nil }
}

extension ScriptedTransport {
  /// Of the first answer; nil before it.
  public var status: Int? { receivedText.hasPrefix("HTTP/1.1 ") ? Int(receivedText.dropFirst(9).prefix(3)) : nil }
  public var isAskedToRetry: Bool { status == 503 && receivedText.contains("Retry-After: 30\r\n") }
}

private final class Late {
  var duration = Duration.zero
}

private final class TransportBox {
  var last: ScriptedTransport?
  var prepare: ((ScriptedTransport) -> Void)?
}

/// A handler whose decisions the test gives; at once, or later when it is told to wait.
public final class ScriptedHandler: RequestHandler {
  /// What `authenticate` answers; nil admits the caller.
  public var refusal: HTTPResponse?
  /// Who is admitted.
  public var caller = Caller("one", ip: "192.0.2.1")
  /// Makes the answer to a request.
  public var respond: (HTTPRequest) -> HTTPResponse = { .xml(ByteSegments($0.body)) }
  /// Answers are given later, once the test goes on.
  public var waits = false
  public private(set) var heads: [HTTPRequestHead] = []
  public private(set) var requests: [HTTPRequest] = []
  public private(set) var peers: [PeerIdentity] = []
  /// Of each request that was to be answered.
  public private(set) var callers: [Caller?] = []
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private var started: [CheckedContinuation<Void, Never>] = []

  public init() {}

  public func authenticate(_ head: HTTPRequestHead, peer: PeerIdentity) -> Answer<AuthenticationOutcome> {
    heads.append(head)
    peers.append(peer)
    return answer { $0.refusal.map { .refused($0) } ?? .admitted($0.caller) }
  }

  public func respond(to request: HTTPRequest, peer: PeerIdentity) -> Answer<HTTPResponse> {
    requests.append(request)
    callers.append(peer.caller)
    return answer { $0.respond(request) }
  }

  private func answer<Value: Sendable>(_ make: @escaping (ScriptedHandler) -> Value) -> Answer<Value> {
    guard waits else { return .now(make(self)) }
    return .later { [self] in
      await wait()
      return make(self)
    }
  }

  /// Returns once one asynchronous function waits.
  public func untilWaiting() async {
    if waiting.isEmpty { await withCheckedContinuation { started.append($0) } }
  }

  /// Lets the function that waits go on, and its connection take the answer.
  public func goOn() async {
    await untilWaiting()
    waiting.removeFirst().resume()
    // The task's continuation was enqueued before this one's.
    for _ in 0..<4 { await Task.yield() }
  }

  private func wait() async {
    await withCheckedContinuation { continuation in
      waiting.append(continuation)
      let started = started
      self.started = []
      for waiter in started { waiter.resume() }
    }
  }
}
