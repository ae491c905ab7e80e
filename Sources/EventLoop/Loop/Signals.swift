import CLinux
import Glibc

/// Signals as events of a loop (signalfd): a handler for them is ordinary code.
@MainActor public final class Signals {
  /// One signal, as signalfd_siginfo tells it. Several of the same number that come at once are reported as one.
  public nonisolated struct Event: Hashable, Sendable {
    public var signal: Int32
    /// Who sent it with kill(2); 0 when the kernel did.
    public var senderProcess: Int32
    public var senderUser: UInt32
  }

  private let loop: Reactor
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var previousMask = sigset_t()
  private var isClosed = false

  /// Blocks the signals in this thread and reports them on the loop instead. Begin before any other thread exists,
  /// since a signal goes to any thread that does not block it. Also ignores SIGPIPE: a write to a gone peer is EPIPE.
  ///
  /// Children start with nothing blocked and every signal at its default (``ChildProcess``).
  ///
  /// - Throws: `SystemError` of signalfd or epoll_ctl.
  public init(
    _ signals: [Int32], on loop: Reactor, handler: @escaping (Event) -> Void
  ) throws(SystemError) {
    self.loop = loop
    Signals.ignoreBrokenPipes()
    var mask = sigset_t()
    sigemptyset(&mask)
    for signal in signals { sigaddset(&mask, signal) }
    let descriptor = FileDescriptor(owning: try check("signalfd") { clinux_signalfd(&mask) })
    let raw = descriptor.rawValue
    owner = consume descriptor
    let failed = pthread_sigmask(SIG_BLOCK, &mask, &previousMask)
    precondition(failed == 0, "pthread_sigmask refuses its own constant")
    do throws(SystemError) {
      watcher = try loop.register(raw, interest: .read) { [weak self] _ in
        while let self, let event = self.next(raw) { handler(event) }
      }
    } catch {
      pthread_sigmask(SIG_SETMASK, &previousMask, nil)
      throw error
    }
  }

  isolated deinit { close() }

  /// SIGPIPE is ignored from here on in this process.
  public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

  /// Ends the reports and gives this thread the signal mask back that it had.
  public func close() {
    if isClosed { return }
    isClosed = true
    watcher?.cancel()
    watcher = nil
    if let owner = owner.take() { loop.closeLater(owner) }
    pthread_sigmask(SIG_SETMASK, &previousMask, nil)
  }

  private func next(_ raw: Int32) -> Event? {
    if isClosed { return nil }
    var number: Int32 = 0
    var process: Int32 = 0
    var user: UInt32 = 0
    switch clinux_signalfd_read(raw, &number, &process, &user) {
    case 1: return Event(signal: number, senderProcess: process, senderUser: user)
    case 0: return nil
    default: preconditionFailure("signalfd: \(String(cString: strerror(errno)))")
    }
  }
}
