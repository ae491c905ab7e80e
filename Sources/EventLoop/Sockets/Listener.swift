import CLinux
import Glibc

/// A listening socket on a loop: accepts within a budget, and pauses when told or when descriptors run out.
@MainActor public final class Listener {
  /// What accepts, as accept4(2); replaced by tests.
  typealias Accept = (Int32, UnsafeMutableRawPointer?, UnsafeMutablePointer<socklen_t>?) -> Int32

  /// Given to listen(2); the kernel cuts it to /proc/sys/net/core/somaxconn. Beyond it the kernel drops a connection's
  /// first packet, and the client tries again after 1, 3, 7 and 15 seconds.
  public static let defaultBacklog: Int32 = 4096
  /// Connections accepted per iteration, at most: those that exist go before new ones.
  public static let defaultBudget = 16
  /// While descriptors are used up: how long until accepting is tried again if the loop closes none itself.
  static let exhaustedRetry: Duration = .seconds(1)

  /// What it is bound to, with the port that the kernel chose for port 0.
  public let address: SocketAddress
  /// Whether ``pause()`` was called last.
  public private(set) var isPaused = false
  /// Whether EMFILE, ENFILE, ENOBUFS or ENOMEM stopped it; it resumes by itself.
  public private(set) var isExhausted = false
  /// Told once whenever descriptors or memory run out, with the failed accept4.
  public var onExhausted: ((SystemError) -> Void)?

  private let loop: Reactor
  private let budget: Int
  private let acceptCall: Accept
  private let handler: (consuming FileDescriptor, SocketAddress) -> Void
  private let descriptor: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var retry: Timer?

  /// Binds and listens.
  ///
  /// - Parameter handler: gets each connection: a nonblocking close-on-exec descriptor, and the peer's address.
  /// - Throws: `SystemError` of socket, bind (EADDRINUSE, EACCES), listen or epoll_ctl.
  public convenience init(
    on loop: Reactor, address: SocketAddress, backlog: Int32 = Listener.defaultBacklog,
    budget: Int = Listener.defaultBudget,
    handler: @escaping (consuming FileDescriptor, SocketAddress) -> Void
  ) throws(SystemError) {
    let socket = try Listener.bind(to: address, backlog: backlog)
    try self.init(on: loop, socket: socket, budget: budget, handler: handler)
  }

  /// Accepts on a socket that listens already, such as one inherited from a parent.
  public convenience init(
    on loop: Reactor, socket: consuming FileDescriptor, budget: Int = Listener.defaultBudget,
    handler: @escaping (consuming FileDescriptor, SocketAddress) -> Void
  ) throws(SystemError) {
    try self.init(on: loop, socket: socket, budget: budget, acceptCall: clinux_accept, handler: handler)
  }

  init(
    on loop: Reactor, socket: consuming FileDescriptor, budget: Int, acceptCall: @escaping Accept,
    handler: @escaping (consuming FileDescriptor, SocketAddress) -> Void
  ) throws(SystemError) {
    try socket.setNonblocking()
    self.loop = loop
    self.budget = budget
    self.acceptCall = acceptCall
    self.handler = handler
    address = try SocketAddress.local(of: socket.rawValue)
    try Listener.disableDelay(socket.rawValue, address)
    descriptor = socket.rawValue
    owner = consume socket
    watcher = try loop.register(descriptor, interest: .read) { [weak self] _ in self?.acceptSome() }
  }

  isolated deinit { close() }

  /// A listening, nonblocking, close-on-exec socket. SO_REUSEADDR, so that a restart need not wait for old
  /// connections; IPV6_V6ONLY, so that both families can be bound to one port by two sockets.
  public static func bind(
    to address: SocketAddress, backlog: Int32 = Listener.defaultBacklog
  ) throws(SystemError) -> FileDescriptor {
    let text = address.description
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket = FileDescriptor(
      owning: try check("socket", text) { Glibc.socket(address.family, type, 0) })
    let raw = socket.rawValue
    if address.family != AF_UNIX { try setOption(raw, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR") }
    if address.family == AF_INET6 { try setOption(raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, "IPV6_V6ONLY") }
    let bound = try address.withSockaddr { Glibc.bind(raw, $0, $1) == 0 ? 0 : errno }
    if bound != 0 { throw SystemError(call: "bind", errno: bound, detail: text) }
    try check("listen", text) { listen(raw, backlog) }
    return socket
  }

  /// An answer leaves in few sends, so that waiting for more to send (Nagle) only delays its end. Linux gives the
  /// listener's setting to each connection that it accepts.
  private static func disableDelay(_ raw: Int32, _ address: SocketAddress) throws(SystemError) {
    if address.family == AF_UNIX { return }
    try setOption(raw, Int32(IPPROTO_TCP), TCP_NODELAY, address.description)
  }

  private static func setOption(
    _ raw: Int32, _ level: Int32, _ name: Int32, _ text: String
  ) throws(SystemError) {
    var one: Int32 = 1
    try check("setsockopt", text) { setsockopt(raw, level, name, &one, socklen_t(MemoryLayout<Int32>.size)) }
  }

  /// Accepts no more until ``resume()``; peers wait in the kernel's backlog.
  public func pause() {
    isPaused = true
    updateInterest()
  }

  /// Accepts again, also after descriptors ran out.
  public func resume() {
    isPaused = false
    isExhausted = false
    updateInterest()
  }

  /// Ends it; the socket closes at the end of the iteration.
  public func close() {
    retry?.cancel()
    watcher?.cancel()
    watcher = nil
    if let owner = owner.take() { loop.closeLater(owner) }
  }

  private func updateInterest() {
    guard let watcher else { return }
    do {
      try watcher.setInterest(isPaused || isExhausted ? [] : .read)
    } catch {
      // The kernel has no memory for the registration: as good as no descriptors, and tried again as then.
      exhausted(error)
    }
  }

  private func acceptSome() {
    var left = budget
    while left > 0 && !isPaused && watcher != nil {
      var storage = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let accepted = acceptCall(descriptor, &storage, &length)
      let code = errno
      left -= 1
      if accepted >= 0 {
        let connection = FileDescriptor(owning: accepted)
        // A peer of another family than ours does not exist; without an address it could not be authenticated.
        if let peer = SocketAddress(storage, length: length) { handler(connection, peer) }
        continue
      }
      switch code {
      case EAGAIN: return
      case EMFILE, ENFILE, ENOBUFS, ENOMEM:
        exhausted(SystemError(call: "accept4", errno: code, detail: address.description))
        return
      case EBADF, EINVAL, ENOTSOCK, EFAULT:
        preconditionFailure("accept4 \(address): \(String(cString: strerror(code)))")
      default:
        // EINTR, or an error of that one connection, taken off the queue: accept(2), "Error handling".
        continue
      }
    }
  }

  private func exhausted(_ error: SystemError) {
    let isNew = !isExhausted
    isExhausted = true
    if let watcher, !watcher.interest.isEmpty { updateInterest() }
    if !isNew { return }
    loop.afterNextClose { [weak self] in self?.tryAgain() }
    retry = loop.schedule(after: Listener.exhaustedRetry) { [weak self] in self?.tryAgain() }
    onExhausted?(error)
  }

  private func tryAgain() {
    retry?.cancel()
    guard isExhausted else { return }
    isExhausted = false
    updateInterest()
  }
}
