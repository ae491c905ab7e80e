/// One descriptor registered on a loop: what it waits for, and where it was added.
///
/// It and its loop retain each other until ``cancel()``. Its owner owns the descriptor too, and cancels
/// before closing it.
public final class Watcher {
  public let descriptor: Int32
  /// Distinguishes it from earlier watchers of the same descriptor number, whose late events are dropped.
  public let generation: UInt32
  /// `Module/File.swift:12` of the registration.
  public let origin: String
  public private(set) var interest: Interest
  /// Its readiness does not count as work (``Reactor/whenQuiet(for:_:)``): a change in a watched folder alone is none.
  public var isBackground = false
  /// Called when the loop ends while this is registered, and has to cancel it: for what may outlive the server, such as a
  /// child process, and has no owner that closes it.
  public var onLoopEnd: (() -> Void)?
  /// Whether it is on a loop: not cancelled.
  public var isRegistered: Bool { loop != nil }

  private(set) var handler: ((Readiness) -> Void)?
  private var loop: Reactor?

  init(
    descriptor: Int32, generation: UInt32, interest: Interest, origin: String, loop: Reactor,
    handler: @escaping (Readiness) -> Void
  ) {
    self.descriptor = descriptor
    self.generation = generation
    self.interest = interest
    self.origin = origin
    self.loop = loop
    self.handler = handler
  }

  /// Changes what is waited for; the empty set stops all reports. Nothing happens if it is the same.
  ///
  /// - Throws: `SystemError` of epoll_ctl (memory, or the user's limit of watches); the interest is then unchanged.
  ///   A cancelled watcher is a bug and traps.
  public func setInterest(_ newInterest: Interest) throws(SystemError) {
    guard let loop else { preconditionFailure("watcher of \(origin) changed after it was cancelled") }
    if newInterest == interest { return }
    try loop.poller.set(newInterest, generation: generation, for: descriptor)
    interest = newInterest
  }

  /// Ends the registration; its handler is not called again, not even for events of this iteration. May be called
  /// from the handler, and more than once.
  public func cancel() {
    guard let loop else { return }
    self.loop = nil
    handler = nil
    onLoopEnd = nil
    loop.forget(self)
  }
}
