import Core
import EventLoop
import Glibc
import Logging

/// A started child: our end of its pair, and its process.
struct LaunchedChild {
  let channel: RPCChannel
  let processID: pid_t
  /// Ends it at once (SIGKILL).
  let kill: () -> Void
}

/// The place of one child in the pool: its process, or the time until the next one.
///
/// A child that ends is replaced: at once after a healthy life, else after a delay that doubles from 0.1 s to 30 s.
///
/// A child that has something to do and says nothing is asked whether it is alive after half of the silence that it is
/// given. So one whose builds wait for programs goes on; one whose loop does not turn is killed.
final class ChildSlot {
  /// Times that a child is given.
  struct Limits {
    /// How long a child may say nothing while it has requests, though it is asked: `[server] child_timeout`.
    var silence: Duration
    /// How long a child may take to read the repository.
    var start: Duration
    var firstDelay = Duration.milliseconds(100)
    var longestDelay = Duration.seconds(30)
    /// A child that was ready for so long, or has answered something, was healthy.
    var healthyLife = Duration.seconds(10)
    /// Most bytes that wait for a child: one that does not read what is published has stopped.
    var queuedBytes = 64 << 20
  }

  /// Starts a child of this name; `onExit` is called once, when its process has ended.
  typealias Launch = (_ name: String, _ onExit: @escaping (ChildProcess.ExitStatus) -> Void) throws -> LaunchedChild

  private enum State {
    /// Not begun, or the server stops and the process is gone.
    case idle
    case starting(LaunchedChild)
    case ready(LaunchedChild)
    /// The pair is closed or the process was killed; its end is to come.
    case ending(LaunchedChild)
    /// Until the next start.
    case delayed
  }

  let name: String
  /// Called when the child became ready, or ended.
  var onChange: () -> Void = {}
  /// How often this child was started again.
  private(set) var restarts = 0
  /// How often this child was killed because it hung.
  private(set) var hangs = 0
  /// How often a child was asked whether it is alive.
  private(set) var pings = 0

  private let queue: RPCQueue
  private let loop: Reactor
  private let logger: Logger
  private let limits: Limits
  private let launch: Launch
  private var state = State.idle
  private var isStopping = false
  /// Requests that are promised to this child and not sent yet.
  private var reserved = 0
  private var failures = 0
  private var readySince: MonotonicTime?
  private var hasAnswered = false
  private var hasHung = false
  /// Asked whether it is alive, and silent since.
  private var isAsked = false
  private var patience: Timer?
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
  /// The process; nil while there is none.
  var processID: pid_t? { launched?.processID }
  /// Requests that the child has, or is about to get.
  var load: Int { (queue.pendingCount(of: name) ?? 0) + reserved }

  private var launched: LaunchedChild? {
    switch state {
    case .starting(let child), .ready(let child), .ending(let child): child
    case .idle, .delayed: nil
    }
  }

  /// Promises a request to the child; `release` when it is sent.
  func reserve() {
    // The silence of a child that had nothing to do does not count.
    if load == 0, isReady { wait(limits.silence / 2) }
    reserved += 1
  }

  /// The promised request is being sent, or will not be.
  func release() { reserved -= 1 }

  /// Starts a process.
  func start() {
    guard !isStopping, launched == nil else { return }
    restart?.cancel()
    restart = nil
    hasHung = false
    hasAnswered = false
    isAsked = false
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

  /// A frame came: a sign of life.
  func heard(_ kind: RPCFrame.Kind) {
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

  /// The pair has ended: the process is ending, or has lost its mind.
  func channelEnded(_ reason: String) {
    guard let child = launched else { return }
    if case .ending = state { return }
    logger.debug("\(name): the connection ended: \(reason)")
    state = .ending(child)
    patience?.cancel()
    patience = nil
    // Whatever killed it was there first: the status tells.
    child.kill()
    onChange()
  }

  /// No new process; the present one ends itself, its pair being closed.
  func stop() {
    isStopping = true
    restart?.cancel()
    restart = nil
    patience?.cancel()
    patience = nil
    if let child = launched { state = .ending(child) } else { state = .idle }
  }

  /// Ends the process at once.
  func kill() { launched?.kill() }

  // MARK: Ends

  private func exited(_ status: ChildProcess.ExitStatus) {
    guard let child = launched else { return }
    patience?.cancel()
    patience = nil
    // What it answered before its end is still in the pair.
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
    if failures > 1 { logger.warning("\(name) is started again in \(delay.threeDecimals) seconds") }
    restart = loop.schedule(after: delay) { [weak self] in self?.start() }
  }

  /// Asks the child, or kills it where it was asked, if it then has been silent for so long with something to do.
  private func wait(_ limit: Duration) {
    isAsked = false
    if let patience {
      patience.rearm(after: limit)
    } else {
      patience = loop.schedule(after: limit) { [weak self] in self?.outOfPatience() }
    }
  }

  private func outOfPatience() {
    guard let child = launched else { return }
    let isIdle = load == 0 && !isStarting && queue.queuedBytes(of: name) <= limits.queuedBytes
    if isIdle {
      patience = nil
      return
    }
    if isReady, !isAsked {
      queue.ping(name)
      pings += 1
      wait(limits.silence / 2)
      isAsked = true
      return
    }
    hangs += 1
    hasHung = true
    logger.error("\(name) (PID \(child.processID)) does not answer, killing it")
    state = .ending(child)
    child.kill()
    // It may take the kernel a while to end the process; the requests need not wait for that.
    queue.removeSubscriber(name, .hung)
    onChange()
  }
}
