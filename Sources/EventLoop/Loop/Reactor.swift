public import Logging

/// A reactor on one thread: descriptors, deadlines and posted work.
///
/// One iteration is: wait, dispatch, timers, executor jobs, posted work, end hooks, deferred close. Work that is posted
/// during an iteration runs in the next one, which then does not wait. In the daemon the loop is also the executor of
/// the main actor and of every task (``LoopActor``).
///
/// `@MainActor` is written out here and on other classes with an isolated deinit: release builds of Swift 6.3.1 check
/// the deinit before they infer the module's default isolation.
@MainActor public final class Reactor {
  /// Executor jobs run per iteration, at most; the rest follow after the descriptors had their turn. A job is a piece
  /// of a task between two suspensions, some hundred nanoseconds to a few milliseconds.
  public static let jobsPerIteration = 256

  /// Deadlines fired per iteration, at most: a thousand peers that connected together time out together, and closing each
  /// takes 50 to 100 µs.
  public static let timersPerIteration = 16

  /// Bounds of ``busyTimes``: a kept answer takes some 0.1 ms, a large configuration up to some seconds.
  private static let busyBounds: [Duration] = [
    .microseconds(100), .microseconds(500), .milliseconds(1), .milliseconds(5), .milliseconds(10), .milliseconds(50),
    .milliseconds(100), .milliseconds(500), .seconds(1), .seconds(5), .seconds(10),
  ]

  /// Where the loop reports leaked watchers; labelled `EventLoop`.
  public var logger = Logger(label: "EventLoop")

  /// Called before each wait and at the end: flushes what was gathered during an iteration.
  public var beforeWait: (() -> Void)?

  /// Limits the programs that run at once; further ones wait. See `ChildProcess.run`. A server sets its own limits here.
  public let childQueue = ChildQueue(limit: 16, waitingLimit: 4096, timeLimit: .seconds(300))

  let poller: any Poller
  let timers: Timers
  private let clock: () -> MonotonicTime
  /// By descriptor.
  private var watchers: [Watcher?] = []
  private var lastGeneration: UInt32 = 0
  private var events: [PollEvent] = []
  private var posted: [() -> Void] = []
  private var endHooks: [() -> Void] = []
  private var closing: [Int32] = []
  private var closeObservers: [() -> Void] = []
  /// Fires after `delay` without a foreground event.
  private var quiet: (timer: Timer, delay: Duration)?
  private var hadWork = false
  private var isInIteration = false
  private var stopRequested = false
  /// The task executor that this loop drains, in a program begun by ``runAsMain(_:)``.
  var jobs: LoopJobs?
  /// How long iterations were busy, from the end of one wait to the beginning of the next: what all others waited at most.
  public private(set) var busyTimes = DurationHistogram(bounds: Reactor.busyBounds)
  /// When the last wait ended; nil before the first.
  private var busySince: MonotonicTime?
  /// Writes files without waiting for the disk.
  public private(set) lazy var fileWriter = FileWriter(on: self)

  /// A loop over epoll. Throws `SystemError` of epoll_create1.
  public convenience init() throws(SystemError) { self.init(poller: try EpollPoller()) }

  /// A loop over any poller; tests play the kernel and the clock.
  public init(poller: any Poller, clock: @escaping () -> MonotonicTime = MonotonicTime.now) {
    self.poller = poller
    self.clock = clock
    timers = Timers(now: clock())
  }

  isolated deinit {
    timers.removeAll()
    for descriptor in closing { FileDescriptor.close(descriptor) }
  }

  // MARK: Time

  /// The time when this iteration's wait ended; the same for all its handlers.
  public var now: MonotonicTime { timers.now }

  /// Reads the clock into ``now``, after work that took long.
  @discardableResult
  public func refreshNow() -> MonotonicTime {
    timers.now = clock()
    return timers.now
  }

  /// Calls the handler once, `delay` after ``now``, unless the timer is cancelled.
  @discardableResult
  public func schedule(after delay: Duration, _ handler: @escaping () -> Void) -> Timer {
    if !isInIteration { refreshNow() }
    return timers.add(at: now + delay, handler: handler)
  }

  /// Calls the handler once the deadline has come, in an iteration's timer phase.
  @discardableResult
  public func schedule(at deadline: MonotonicTime, _ handler: @escaping () -> Void) -> Timer {
    timers.add(at: deadline, handler: handler)
  }

  /// Calls the hook once no descriptor has been ready for `delay`, and again only after one was ready: for releasing what
  /// is needed only while there is work. Background watchers do not count. Replaces an earlier hook.
  public func whenQuiet(for delay: Duration, _ hook: @escaping () -> Void) {
    quiet?.timer.cancel()
    quiet = (schedule(after: delay, hook), delay)
  }

  // MARK: Descriptors

  /// Watches a descriptor, which stays the caller's and must be cancelled before it is closed.
  ///
  /// - Parameter handler: called with what the descriptor is ready for, at most once per iteration; hangup and error
  ///   come unasked as long as the interest is not empty.
  /// - Throws: `SystemError` of epoll_ctl: EPERM (a regular file), ENOSPC (watches of the user), ENOMEM.
  public func register(
    _ descriptor: Int32, interest: Interest, fileID: StaticString = #fileID, line: UInt = #line,
    handler: @escaping (Readiness) -> Void
  ) throws(SystemError) -> Watcher {
    precondition(descriptor >= 0, "a negative number is no descriptor")
    let slot = Int(descriptor)
    while watchers.count <= slot { watchers.append(nil) }
    if let other = watchers[slot] {
      preconditionFailure("descriptor \(descriptor) is already watched since \(other.origin)")
    }
    lastGeneration &+= 1
    try poller.set(interest, generation: lastGeneration, for: descriptor)
    let watcher = Watcher(
      descriptor: descriptor, generation: lastGeneration, interest: interest, origin: "\(fileID):\(line)",
      loop: self, handler: handler)
    watchers[slot] = watcher
    return watcher
  }

  func forget(_ watcher: Watcher) {
    poller.remove(watcher.descriptor)
    watchers[Int(watcher.descriptor)] = nil
  }

  /// The watchers that are registered now.
  public var registeredWatchers: [Watcher] { watchers.compactMap { $0 } }

  /// Closes a descriptor at the end of the iteration, so that no event of it can meet a new file of the same number.
  /// Its watcher must be cancelled by then.
  public func closeLater(_ descriptor: consuming FileDescriptor) { closing.append(descriptor.take()) }

  /// Calls the observer once, after the loop has next closed a descriptor: a paused listener can accept again.
  public func afterNextClose(_ observer: @escaping () -> Void) { closeObservers.append(observer) }

  /// The poller's own descriptor, readable while an event waits.
  public var pollDescriptor: Int32? { poller.descriptor }

  // MARK: Work

  /// Runs the work in the next iteration: what is left of a bounded turn, after the others had theirs.
  public func post(_ work: @escaping () -> Void) { posted.append(work) }

  /// Runs the hook once, at the end of this iteration (or of the next, when there is none): for work that many events
  /// of one iteration share, such as a change set of files or an fsync. A hook that adds a hook adds it to the next
  /// iteration.
  public func atEndOfIteration(_ hook: @escaping () -> Void) { endHooks.append(hook) }

  // MARK: Iterations

  /// Runs until ``stop()``. Afterwards call ``shutDown()``.
  public func run() {
    stopRequested = false
    while !stopRequested { runOnce() }
  }

  /// Ends ``run()`` after the current iteration, or the next one when called from outside of one.
  public func stop() {
    stopRequested = true
    // The next wait must not block: posted work makes it return at once.
    if !isInIteration { posted.append {} }
  }

  /// One iteration.
  ///
  /// - Parameter limit: how long to wait for the first event at most; nil: until there is work; zero: only look.
  public func runOnce(wait limit: Duration? = nil) {
    precondition(!isInIteration, "an iteration was begun inside of another")
    isInIteration = true
    defer { isInIteration = false }
    beforeWait?()
    let readsClock = !hasWork && timers.wakeTime != nil
    let wait = waitLimit(limit)
    if wait != .zero {
      // Only a loop without timers, which waits for ever, reads the clock for this alone.
      if !readsClock { refreshNow() }
      endBusyTime()
    }
    poller.wait(atMost: wait, into: &events)
    refreshNow()
    // The end of a wait of no time is that of the iteration before it.
    if wait == .zero { endBusyTime() }
    busySince = now
    hadWork = false
    for event in events { dispatch(event) }
    if hadWork, let quiet { quiet.timer.rearm(after: quiet.delay) }
    timers.fire(now: now, limit: Reactor.timersPerIteration)
    jobs?.drain(limit: Reactor.jobsPerIteration)
    runPosted()
    runEndHooks()
    closeDescriptors()
  }

  /// Calls `Watcher.onLoopEnd`, then cancels the watchers that are left, with one warning each that names where it was
  /// registered, and returns them.
  ///
  /// A leaked watcher is a bug, but at the end of the program no longer worth a trap.
  @discardableResult
  public func shutDown() -> [Watcher] {
    runEndHooks()
    fileWriter.close()
    jobs?.detach()
    for watcher in registeredWatchers { watcher.onLoopEnd?() }
    let leaked = registeredWatchers
    for watcher in leaked {
      logger.warning("descriptor \(watcher.descriptor) is still watched for \(watcher.interest): \(watcher.origin)")
      watcher.cancel()
    }
    closeDescriptors()
    timers.removeAll()
    quiet = nil
    beforeWait?()
    return leaked
  }

  private func endBusyTime() {
    guard let busySince else { return }
    self.busySince = nil
    busyTimes.add(nanoseconds: now.nanoseconds - busySince.nanoseconds)
  }

  private var hasWork: Bool {
    !posted.isEmpty || !endHooks.isEmpty || !closing.isEmpty || jobs?.isEmpty == false
  }

  private func waitLimit(_ limit: Duration?) -> Duration? {
    if hasWork { return .zero }
    guard let wakeTime = timers.wakeTime else { return limit }
    let untilTimer = max(.zero, wakeTime - refreshNow())
    return limit.map { min($0, untilTimer) } ?? untilTimer
  }

  private func dispatch(_ event: PollEvent) {
    let slot = Int(event.descriptor)
    guard slot < watchers.count, let watcher = watchers[slot], watcher.generation == event.generation else { return }
    // An earlier handler of this batch may have withdrawn the interest.
    let readiness = event.readiness.wanted(by: watcher.interest)
    if readiness.isEmpty || watcher.interest.isEmpty { return }
    if !watcher.isBackground { hadWork = true }
    watcher.handler?(readiness)
  }

  private func runPosted() {
    if posted.isEmpty { return }
    // What these post goes to a new array, and so to the next iteration.
    let work = posted
    posted = []
    for item in work { item() }
  }

  private func runEndHooks() {
    if endHooks.isEmpty { return }
    let hooks = endHooks
    endHooks = []
    for hook in hooks { hook() }
  }

  private func closeDescriptors() {
    if closing.isEmpty { return }
    for descriptor in closing {
      if Int(descriptor) < watchers.count, let watcher = watchers[Int(descriptor)] {
        preconditionFailure("descriptor \(descriptor) is closed while it is watched: \(watcher.origin)")
      }
      FileDescriptor.close(descriptor)
    }
    closing.removeAll(keepingCapacity: true)
    let observers = closeObservers
    closeObservers = []
    for observer in observers { observer() }
  }
}
