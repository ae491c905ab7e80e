public import EventLoop
import Glibc
public import Logging
public import XMLRPC

/// A request for a page.
public nonisolated struct PageRequest: Sendable, Equatable {
  /// Without a query.
  public let path: String
  /// Values of the header Accept.
  public let accept: [String]

  public init(path: String, accept: [String] = []) {
    self.path = path
    self.accept = accept
  }
}

/// Serves a few small pages by plain HTTP/1.1 on a loop: GET and HEAD, for monitors on this machine or in networks that are
/// allowed to ask.
///
/// What peers may cost is bounded: few connections, of which a new one takes the place of the oldest that asks for nothing,
/// else of the oldest that does not take its answer; small requests; one request of a connection in an iteration; deadlines.
@MainActor public final class PageServer {
  /// Bounds of what peers may cost.
  public nonisolated struct Limits: Sendable {
    public var connections = 16
    /// For a request to arrive whole.
    public var requestTime = Duration.seconds(10)
    /// Without a request: longer than the usual interval of scrapes.
    public var idleTime = Duration.seconds(75)
    /// For an answer to be made, and again to be taken.
    public var answerTime = Duration.seconds(10)
    /// For the peer to read the last answer.
    public var lingerTime = Duration.seconds(2)
    /// Bytes that are dropped meanwhile.
    public var lingerBytes = 64 * 1024
    public var http: HTTPLimits

    public init() {
      http = HTTPLimits()
      http.requestLineBytes = 1024
      http.headerBytes = 8192
      http.headerCount = 50
    }
  }

  /// Bytes read from a peer at once.
  nonisolated static let readBytes = 4096
  /// Bytes given to a peer at once.
  nonisolated static let writeBytes = 64 * 1024
  /// Connections accepted in an iteration.
  private nonisolated static let acceptBudget = 4

  let loop: Reactor
  let limits: Limits
  var logger: Logger
  /// Whether a peer may ask; called for each connection.
  public var allows: (SocketAddress) -> Bool = { _ in true }
  /// Called with peers that may not.
  public var onRefused: (SocketAddress) -> Void = { _ in }
  /// Makes the answer.
  let respond: (PageRequest) -> Answer<HTTPResponse>
  let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: PageServer.readBytes, alignment: 16)
  private var listeners: [Listener] = []
  /// In the order of their begin.
  private var connections: [PageConnection] = []
  /// Answers by status since the start.
  public private(set) var answers: [Int: Int] = [:]

  public init(
    on loop: Reactor, logger: Logger, limits: Limits = Limits(),
    respond: @escaping (PageRequest) -> Answer<HTTPResponse>
  ) {
    self.loop = loop
    self.logger = logger
    self.limits = limits
    self.respond = respond
  }

  isolated deinit { scratch.deallocate() }

  /// Accepts connections on a socket that listens already, and on those of earlier calls.
  ///
  /// - Returns: what it is bound to.
  @discardableResult
  public func serve(_ socket: consuming FileDescriptor) throws(SystemError) -> SocketAddress {
    let made = try Listener(on: loop, socket: socket, budget: Self.acceptBudget) { [unowned self] descriptor, peer in
      admit(descriptor, peer)
    }
    listeners.append(made)
    return made.address
  }

  /// Ends all connections.
  public func close() {
    for listener in listeners { listener.close() }
    listeners = []
    for connection in connections { connection.close() }
  }

  /// Connections that are open.
  public var count: Int { connections.count }

  private func admit(_ descriptor: consuming FileDescriptor, _ peer: SocketAddress) {
    guard allows(peer) else { return onRefused(peer) }
    if connections.count >= limits.connections {
      // Whoever keeps connections open without asking, or without reading, must not keep a monitor out.
      guard
        let one = connections.first(where: { $0.rank == 0 }) ?? connections.first(where: { $0.rank == 1 })
      else { return }
      one.close()
    }
    let connection = PageConnection(descriptor, self)
    do throws(SystemError) {
      try connection.start()
      connections.append(connection)
    } catch {
      logger.error("\(peer): the connection cannot be watched: \(error)")
      connection.close()
    }
  }

  func count(_ status: Int) { answers[status, default: 0] += 1 }

  func remove(_ connection: PageConnection) { connections.removeAll { $0 === connection } }
}
