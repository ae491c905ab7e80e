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

  isolated deinit { closeListeners() }

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

  /// The loop that would call back is the whole library.
  public func proveLife(_ answer: @escaping () -> Void) { answer() }

  public func close(_ completion: @escaping () -> Void) {
    closeListeners()
    completion()
  }

  private func closeListeners() {
    for listener in listeners { listener.close() }
    listeners = []
  }

  /// What counts as written is in the kernel.
  public func finish(_ completion: @escaping () -> Void) { completion() }

  public func end() {}
}
