import Core
import EventLoop
import Glibc
import Logging

/// A started child: our end of its socket pair, and its process.
struct LaunchedChild {
  let channel: RPCChannel
  let processID: pid_t
  /// Kills it at once (SIGKILL).
  let kill: () -> Void
}

/// One child of the pool: its process, or the wait for the next one.
///
/// A child that ends is replaced: at once after a healthy life, else after a delay that doubles from 0.1 s to 30 s.
///
/// A silent child with work is pinged after half of the permitted silence. A child whose builds wait for programs
/// answers; one whose loop is stuck is killed.
final class ChildSlot {
  /// Time limits of a child.
  struct Limits {
    /// How long a child with requests may stay silent despite a ping: `[server] child_timeout`.
    var silence: Duration
    /// How long a child may take to read the repository.
    var start: Duration
    var firstDelay = Duration.milliseconds(100)
    var longestDelay = Duration.seconds(30)
    /// A child that was ready for this long, or has answered a request, counts as healthy.
    var healthyLife = Duration.seconds(10)
    /// Most bytes queued for a child: one that does not read publications is stuck.
    var queuedBytes = 64 << 20
  }

  /// Starts a child of this name; calls `onExit` once, when its process has ended.
  typealias Launch = (_ name: String, _ onExit: @escaping (ChildProcess.ExitStatus) -> Void) throws -> LaunchedChild

  private enum State {
    /// Not started, or stopped for good.
    case idle
    case starting(LaunchedChild)
    case ready(LaunchedChild)
    /// The pair is closed or the process was killed; its exit is pending.
    case ending(LaunchedChild)
    /// Waiting for the next start.
    case delayed
  }

  let name: String
  /// Called when the child becomes ready, or ends.
  var onChange: () -> Void = {}
  /// How often this child was restarted.
  private(set) var restarts = 0
  /// How often this child was killed because it hung.
  private(set) var hangs = 0
  /// How often this child was pinged.
  private(set) var pings = 0

  private let queue: RPCQueue
  private let loop: Reactor
  private let logger: Logger
  private let limits: Limits
  private let launch: Launch
  private var state = State.idle
  private var isStopping = false
  /// Requests reserved for this child and not sent yet.
  private var reserved = 0
  private var failures = 0
  private var readySince: MonotonicTime?
  private var hasAnswered = false
  private var hasHung = false
  /// Pinged, and silent since.
  private var isPinged = false
  private var silenceTimer: Timer?
  private var restart: Timer?

  init(
    name: String, queue: RPCQueue, loop: Reactor, logger: Logger, limits: Limits, launch: @escaping Launch
  ) {
    self.name = name
    self.queue = queue
    self.loop = loop
    self.logger = logger
    self.limits = limits
    self.launch = launch
  }

  var isReady: Bool { if case .ready = state { true } else { false } }
  var isStarting: Bool { if case .starting = state { true } else { false } }
  /// True while there is a process.
  var isRunning: Bool { launched != nil }
  /// The process; nil if there is none.
  var processID: pid_t? { launched?.processID }
  /// Requests sent to or reserved for the child.
  var load: Int { (queue.pendingCount(of: name) ?? 0) + reserved }

  private var launched: LaunchedChild? {
    switch state {
    case .starting(let child), .ready(let child), .ending(let child): child
    case .idle, .delayed: nil
    }
  }

  /// Reserves a request; `release` when it is sent.
  func reserve() {
    // The silence of an idle child does not count.
    if load == 0, isReady { wait(limits.silence / 2) }
    reserved += 1
  }

  /// Ends a reservation: the request is being sent, or was dropped.
  func release() { reserved -= 1 }

  /// Starts a process.
  func start() {
    guard !isStopping, launched == nil else { return }
    restart?.cancel()
    restart = nil
    hasHung = false
    hasAnswered = false
    isPinged = false
    readySince = nil
    do {
      let child = try launch(name) { [weak self] in self?.exited($0) }
      state = .starting(child)
      queue.addSubscriber(name, channel: child.channel)
      logger.debug("\(name) started with PID \(child.processID)")
      wait(limits.start)
    } catch {
      logger.error("\(name) could not be started: \(error)")
      failed()
    }
    onChange()
  }

  /// Handles a frame: a sign of life.
  func received(_ kind: RPCFrame.Kind) {
    switch state {
    case .starting(let child) where kind == .ready:
      state = .ready(child)
      readySince = loop.now
      logger.debug("\(name) is ready")
      wait(limits.silence / 2)
      onChange()
    case .ready:
      if kind != .log, kind != .alive { hasAnswered = true }
      wait(limits.silence / 2)
    default: break
    }
  }

  /// Handles the end of the pair: the process is ending, or is out of control.
  func channelEnded(_ reason: String) {
    guard let child = launched else { return }
    if case .ending = state { return }
    logger.debug("\(name): the connection ended: \(reason)")
    state = .ending(child)
    silenceTimer?.cancel()
    silenceTimer = nil
    // If something else killed it first, the exit status shows that.
    child.kill()
    onChange()
  }

  /// Starts no new process; the present one ends because its pair closes.
  func stop() {
    isStopping = true
    restart?.cancel()
    restart = nil
    silenceTimer?.cancel()
    silenceTimer = nil
    if let child = launched { state = .ending(child) } else { state = .idle }
  }

  /// Kills the process at once.
  func kill() { launched?.kill() }

  // MARK: Ends

  private func exited(_ status: ChildProcess.ExitStatus) {
    guard let child = launched else { return }
    silenceTimer?.cancel()
    silenceTimer = nil
    // Answers sent before the end are still in the pair.
    child.channel.drain()
    let end = hasHung ? ChildEnd.hung : Self.end(status)
    state = .idle
    let lost = queue.pendingCount(of: name) ?? 0
    queue.removeSubscriber(name, end)
    guard !isStopping else { return onChange() }
    logger.error(
      "\(name) (PID \(child.processID)) ended, \(status)\(hasHung ? " after it hung" : ""), with \(lost) requests")
    let life = readySince.map { loop.now - $0 } ?? .zero
    if hasAnswered || life >= limits.healthyLife { failures = 0 }
    failed()
    onChange()
  }

  private static func end(_ status: ChildProcess.ExitStatus) -> ChildEnd {
    switch status {
    case .signaled(let signal) where [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE].contains(signal):
      .crashed("\(status)")
    default: .ended("\(status)")
    }
  }

  private func failed() {
    restarts += 1
    failures += 1
    state = .delayed
    let doublings = min(failures - 2, 20)
    let delay = failures == 1 ? .zero : min(limits.longestDelay, limits.firstDelay * (1 << doublings))
    if failures > 1 { logger.warning("\(name) restarts in \(delay.threeDecimals) seconds") }
    restart = loop.schedule(after: delay) { [weak self] in self?.start() }
  }

  /// After `limit` of silence with work, pings the child, or kills it if it was pinged already.
  private func wait(_ limit: Duration) {
    isPinged = false
    if let silenceTimer {
      silenceTimer.rearm(after: limit)
    } else {
      silenceTimer = loop.schedule(after: limit) { [weak self] in self?.silenceLimitReached() }
    }
  }

  private func silenceLimitReached() {
    guard let child = launched else { return }
    let isIdle = load == 0 && !isStarting && queue.queuedBytes(of: name) <= limits.queuedBytes
    if isIdle {
      silenceTimer = nil
      return
    }
    if isReady, !isPinged {
      queue.ping(name)
      pings += 1
      wait(limits.silence / 2)
      isPinged = true
      return
    }
    hangs += 1
    hasHung = true
    logger.error("\(name) (PID \(child.processID)) does not answer, killing it")
    state = .ending(child)
    child.kill()
    // The kernel may take a while to end the process; the requests need not wait for that.
    queue.removeSubscriber(name, .hung)
    onChange()
  }
}
