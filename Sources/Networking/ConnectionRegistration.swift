import EventLoop

/// A connection's descriptor on the loop, and what is waited for on it.
struct ConnectionRegistration: ~Copyable {
  /// The direction that the transport waits for in a state that reads or writes.
  var wanted = Interest.read
  /// A turn of the next iteration has been asked for.
  var isTurnPosted = false
  /// The interest is set at the end of the iteration.
  var isInterestDeferred = false
  private var descriptor: FileDescriptor?
  private var watcher: Watcher?

  init(_ descriptor: consuming FileDescriptor) { self.descriptor = consume descriptor }

  mutating func watch(
    _ descriptor: Int32, on loop: Reactor, _ handler: @escaping (Readiness) -> Void
  ) throws(SystemError) {
    watcher = try loop.register(descriptor, interest: .read, handler: handler)
  }

  func setInterest(_ interest: Interest) throws(SystemError) { try watcher?.setInterest(interest) }

  /// Cancels the watcher; the descriptor is closed at the end of the iteration.
  mutating func end(on loop: Reactor) {
    watcher?.cancel()
    watcher = nil
    if let descriptor = descriptor.take() { loop.closeLater(descriptor) }
  }
}
