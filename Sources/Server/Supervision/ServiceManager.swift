package import EventLoop
import Glibc
package import Logging

/// Tells the service manager how this process is: loading, ready, reading again, stopping; and that its loop turns.
@MainActor package final class ServiceManager {
  /// A message that asks for an answer of the manager, or that it waits for, is tried again if its socket is full.
  private static let retryDelay: Duration = .milliseconds(100)
  private static let retryLimit = 600
  private static let pendingLimit = 16
  /// How long a manager is to wait for the next sign of progress, and how often it gets one.
  static let patience: Duration = .seconds(60)
  private static let progressInterval: Duration = .seconds(1)

  /// Calls back once whatever serves besides the loop has had a turn.
  package var proveLife: (_ answer: @escaping () -> Void) -> Void = { $0() }
  private let socket: NotifySocket
  private let watchdog: Duration?
  private let loop: Reactor
  private let logger: Logger
  private var pending: [[String]] = []
  private var retries = 0
  private var retryTimer: Timer?
  private var watchdogTimer: Timer?
  private var lastProgress: MonotonicTime?
  private var lastStatus = ""
  private var isReady = false
  private var isLoading = true
  /// Counted since the start or SIGHUP.
  private var filesRead = 0
  /// What is loaded now.
  private var phase = ""

  /// - Parameter watchdog: the longest time between two signs of life that the manager accepts.
  package init(_ socket: NotifySocket, watchdog: Duration?, on loop: Reactor, logger: Logger) {
    self.socket = socket
    self.watchdog = watchdog
    self.loop = loop
    self.logger = logger
  }

  isolated deinit { stopTimers() }

  /// Whether somebody listens.
  package var isActive: Bool { socket.isActive }

  /// Tells what is being loaded.
  package func loads(_ phase: String) {
    guard isActive else { return }
    self.phase = phase
    report()
  }

  /// One file was read. At most once a second the manager hears of it, and waits longer for what is to follow: a start that
  /// makes progress takes as long as it takes, one that hangs does not.
  package func readsFile() {
    filesRead += 1
    // The clock costs more than some files.
    guard isActive, filesRead & 7 == 0 else { return }
    if let lastProgress, MonotonicTime.now() - lastProgress < Self.progressInterval { return }
    report()
  }

  private func report() {
    lastProgress = MonotonicTime.now()
    // While many files are read again, the loop does not turn.
    if isReady, watchdog != nil { socket.send(["WATCHDOG=1"]) }
    guard isLoading else { return }
    let microseconds = Self.patience.components.seconds * 1_000_000
    socket.send([
      "EXTEND_TIMEOUT_USEC=\(microseconds)",
      NotifySocket.status(filesRead == 0 ? phase : "\(phase), \(filesRead) files read"),
    ])
  }

  /// Clients are served.
  package func ready(_ status: String) {
    guard isActive else { return }
    isLoading = false
    lastStatus = status
    send(["READY=1", "MAINPID=\(getpid())", NotifySocket.status(status)])
    guard !isReady else { return }
    isReady = true
    guard let watchdog else { return }
    socket.send(["WATCHDOG=1"])
    feed(every: watchdog / 2)
  }

  /// A timer of the loop, and what serves besides: one that hangs feeds nobody.
  private func feed(every interval: Duration) {
    watchdogTimer = loop.schedule(after: interval) { [weak self] in
      guard let self else { return }
      proveLife { [socket] in socket.send(["WATCHDOG=1"]) }
      watchdogTimer?.rearm(after: interval)
    }
  }

  /// What is served has changed.
  package func status(_ text: String) {
    guard isActive, text != lastStatus else { return }
    lastStatus = text
    socket.send([NotifySocket.status(text)])
  }

  /// Configuration and repository are read again; `ready` follows.
  package func reloading(_ status: String) {
    guard isActive else { return }
    isLoading = true
    filesRead = 0
    phase = status
    let now = MonotonicTime.now().nanoseconds / 1000
    send(["RELOADING=1", "MONOTONIC_USEC=\(now)", NotifySocket.status(status)])
  }

  /// The process is about to end.
  package func stopping(_ status: String) {
    send(["STOPPING=1", NotifySocket.status(status)])
  }

  /// Sends, now or as soon as the manager has room, in order.
  private func send(_ lines: [String]) {
    if pending.isEmpty, socket.send(lines) { return }
    if pending.count < Self.pendingLimit { pending.append(lines) }
    if retryTimer == nil { retry() }
  }

  private func retry() {
    retryTimer = loop.schedule(after: Self.retryDelay) { [weak self] in
      guard let self else { return }
      retryTimer = nil
      while let first = pending.first, socket.send(first) { pending.removeFirst() }
      retries = pending.isEmpty ? 0 : retries + 1
      if retries > Self.retryLimit {
        logger.warning("The service manager takes no messages: \(pending.count) of them are lost")
        pending = []
        retries = 0
      }
      if !pending.isEmpty { retry() }
    }
  }

  /// Ends the timers: the loop is about to end.
  package func stopTimers() {
    watchdogTimer?.cancel()
    retryTimer?.cancel()
  }
}
