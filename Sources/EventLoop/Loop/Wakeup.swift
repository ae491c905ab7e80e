import CLinux
import Glibc

/// An eventfd on a loop: the one way for another thread to get the loop's attention.
@MainActor public final class Wakeup {
  /// The eventfd: a child process that inherits it wakes the loop by writing an integer of eight bytes, 1, to it.
  public nonisolated let descriptor: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private let loop: Reactor

  /// Calls the handler on the loop once for any number of signals since its last call.
  ///
  /// - Throws: `SystemError` of eventfd (descriptors used up) or epoll_ctl.
  public init(on loop: Reactor, handler: @escaping () -> Void) throws(SystemError) {
    let raw = try check("eventfd") { clinux_eventfd() }
    descriptor = raw
    owner = FileDescriptor(owning: raw)
    self.loop = loop
    watcher = try loop.register(raw, interest: .read) { _ in
      var count: UInt64 = 0
      // Clears the count; EAGAIN means that it was cleared already, which is as good.
      _ = read(raw, &count, 8)
      handler()
    }
  }

  /// Wakes the loop. From any thread, also from a signal handler; never blocks.
  public nonisolated func signal() {
    var one: UInt64 = 1
    // EAGAIN: the count is at its maximum, so the loop is about to wake anyway.
    _ = write(descriptor, &one, 8)
  }

  isolated deinit { close() }

  /// Ends it. No thread may signal from here on.
  public func close() {
    watcher?.cancel()
    watcher = nil
    if let owner = owner.take() { loop.closeLater(owner) }
  }
}
