public import EventLoop

/// Connections on the loop itself: its own listeners, and TLS by OpenSSL over the loop's sockets.
@MainActor public final class LoopConnections: ConnectionLibrary {
  public let coreName = "BuiltinCore"
  public var onExhausted: ((SystemError) -> Void)?
  private let loop: Reactor
  private var table: ConnectionTable?
  private var listeners: [Listener] = []
  /// Connections accepted per iteration. Accepting costs little compared with a handshake, of which few run per iteration;
  /// the large budget keeps connections from waiting uncounted in the kernel's queue.
  private static let acceptBudget = 128

  public init(on loop: Reactor) { self.loop = loop }

  isolated deinit { close() }

  /// The table's own transports do TLS.
  public func open(for table: ConnectionTable, context: TLSContext) -> [String] {
    self.table = table
    return []
  }

  public func listen(on socket: consuming FileDescriptor) throws(SystemError) -> SocketAddress {
    let listener = try Listener(on: loop, socket: socket, budget: Self.acceptBudget) {
      [unowned self] descriptor, peer in
      table?.admit(descriptor, from: peer)
    }
    listener.pause()
    listener.onExhausted = { [unowned self] error in onExhausted?(error) }
    listeners.append(listener)
    return listener.address
  }

  public func serve() { for listener in listeners { listener.resume() } }

  public func close() {
    for listener in listeners { listener.close() }
    listeners = []
  }

  public func end() {}
}
