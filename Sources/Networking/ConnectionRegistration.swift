import EventLoop

/// A connection's descriptor on the loop, or in its place a library's transport, and what is waited for on it.
struct ConnectionRegistration: ~Copyable {
  /// The direction that the transport waits for in a state that reads or writes.
  var wanted = Interest.read
  /// A turn of the next iteration has been asked for.
  var isTurnPosted = false
  /// The interest is set at the end of the iteration.
  var isInterestDeferred = false
  private var descriptor: FileDescriptor?
  private var watcher: Watcher?
  private let library: (any LibraryTransport)?

  init(_ descriptor: consuming FileDescriptor) {
    self.descriptor = consume descriptor
    library = nil
  }

  init(_ transport: any LibraryTransport) { library = transport }

  mutating func watch(
    _ descriptor: Int32, on loop: Reactor, _ handler: @escaping () -> Void
  ) throws(SystemError) {
    if let library {
      library.watch(handler)
    } else {
      watcher = try loop.register(descriptor, interest: .read) { _ in handler() }
    }
  }

  func setInterest(_ interest: Interest) throws(SystemError) {
    if let library { library.setInterest(interest) } else { try watcher?.setInterest(interest) }
  }

  /// Whether a library bounds by itself what the kernel keeps of an answer.
  func boundUnsent(to limitBytes: Int) -> Bool {
    library?.boundUnsent(to: limitBytes)
    return library != nil
  }

  /// Cancels the watcher; the descriptor is closed at the end of the iteration.
  mutating func end(on loop: Reactor) {
    library?.end()
    watcher?.cancel()
    watcher = nil
    if let descriptor = descriptor.take() { loop.closeLater(descriptor) }
  }
}
