import Glibc
import Synchronization
@_spi(ExperimentalCustomExecutors) @_spi(ExperimentalScheduling) import _Concurrency

/// The actor of the one thread: the main actor, whose executor is the event loop.
///
/// The only file that uses the concurrency runtime's custom executors, which are SPI of Swift 6.3. Without them, every
/// continuation, `Task.sleep` and detached task would go through a pool of threads of its own.
public typealias LoopActor = MainActor

extension Reactor {
  /// Runs a program on one loop, as the executor of the main actor and of every task: first thing in a synchronous
  /// `@main`, once per process.
  ///
  /// - Parameter body: begun as a task in the first iteration; the loop stops when it returns, whatever else waits.
  /// - Returns: what the body returned, or 0 if ``stop()`` came first.
  /// - Throws: `SystemError` when the loop's own descriptors cannot be made.
  public static func runAsMain(_ body: @escaping (Reactor) async -> Int32) throws(SystemError) -> Int32 {
    let loop = try LoopExecutor.install()
    var status: Int32 = 0
    Task {
      status = await body(loop)
      loop.stop()
    }
    loop.run()
    loop.shutDown()
    return status
  }
}

/// Makes a loop the executor of everything asynchronous.
public enum LoopExecutor {
  /// Creates the loop of this thread and makes it the main actor's and the global executor. Before any other use of
  /// tasks or the main actor's executor; a second call traps.
  public static func install() throws(SystemError) -> Reactor {
    precondition(LoopJobs.shared.loop == nil, "the executors were installed twice")
    _createExecutors(factory: LoopExecutorFactory.self)
    let loop = try Reactor()
    try LoopJobs.shared.attach(to: loop)
    return loop
  }
}

/// A job waiting for its turn, and where it must run.
private nonisolated struct QueuedJob {
  var job: UnownedJob
  var isMain: Bool
  /// nil: now.
  var deadline: MonotonicTime?
}

/// The jobs that wait for the loop, in order of arrival; priorities are not looked at, since one program's tasks all
/// serve the same clients.
///
/// Unchecked: `local`, `head` and `loop` belong to the loop's thread, which every access checks; other threads go
/// through `foreign` and the wakeup.
final nonisolated class LoopJobs: @unchecked Sendable {
  static let shared = LoopJobs()

  private let thread = pthread_self()
  private var local: [QueuedJob] = []
  private var head = 0
  private let foreign = Mutex<[QueuedJob]>([])
  private let wakeup = Mutex<Wakeup?>(nil)
  fileprivate private(set) var loop: Reactor?

  var isOnLoopThread: Bool { pthread_equal(thread, pthread_self()) != 0 }

  @MainActor func attach(to loop: Reactor) throws(SystemError) {
    let made = try Wakeup(on: loop) {}
    wakeup.withLock { $0 = made }
    self.loop = loop
    loop.jobs = self
  }

  /// Stops other threads from waking the loop, which is about to end.
  @MainActor func detach() {
    let made = wakeup.withLock { slot in
      defer { slot = nil }
      return slot
    }
    made?.close()
  }

  /// Whether nothing waits. On the loop's thread.
  var isEmpty: Bool { head == local.count && foreign.withLock { $0.isEmpty } }

  fileprivate func add(_ job: QueuedJob) {
    if isOnLoopThread {
      if let deadline = job.deadline, let loop {
        MainActor.assumeIsolated { schedule(job, at: deadline, on: loop) }
      } else {
        local.append(job)
      }
      return
    }
    foreign.withLock { $0.append(job) }
    wakeup.withLock { $0?.signal() }
  }

  @MainActor private func schedule(_ job: QueuedJob, at deadline: MonotonicTime, on loop: Reactor) {
    var due = job
    due.deadline = nil
    loop.schedule(at: deadline) { self.local.append(due) }
  }

  /// Runs jobs in order of arrival, those included that they add, up to the limit.
  @MainActor func drain(limit: Int) {
    let arrived = foreign.withLock { queue in
      defer { queue.removeAll(keepingCapacity: true) }
      return queue
    }
    for job in arrived { add(job) }
    var left = limit
    while left > 0 && head < local.count {
      let next = local[head]
      head += 1
      left -= 1
      if next.deadline != nil {
        // Delayed before the loop existed.
        add(next)
      } else if next.isMain {
        next.job.runSynchronously(on: LoopMainExecutor.shared.asUnownedSerialExecutor())
      } else {
        next.job.runSynchronously(on: LoopJobs.noSerialExecutor)
      }
    }
    if head == local.count {
      local.removeAll(keepingCapacity: local.capacity <= 4096)
      head = 0
    } else if head > 4096 && head > local.count / 2 {
      local.removeFirst(head)
      head = 0
    }
  }

  /// The runtime's generic executor, which tasks without isolation expect to run on: two zero words, as
  /// `SerialExecutorRef::generic()` in the runtime's Executor.h. With any other, each hop would enqueue them again.
  private static let noSerialExecutor = unsafeBitCast((0, 0) as (UInt, UInt), to: UnownedSerialExecutor.self)
}

/// Runs the main actor's jobs on the loop.
final nonisolated class LoopMainExecutor: MainExecutor, SchedulingExecutor {
  static let shared = LoopMainExecutor()

  func enqueue(_ job: consuming ExecutorJob) {
    LoopJobs.shared.add(QueuedJob(job: UnownedJob(job), isMain: true, deadline: nil))
  }

  func enqueue<C: Clock>(
    _ job: consuming ExecutorJob, after delay: C.Duration, tolerance: C.Duration?, clock: C
  ) {
    LoopJobs.shared.add(QueuedJob(job: UnownedJob(job), isMain: true, deadline: deadline(after: delay)))
  }

  func checkIsolated() {
    precondition(LoopJobs.shared.isOnLoopThread, "code of the main actor runs on another thread")
  }

  func isIsolatingCurrentContext() -> Bool? { LoopJobs.shared.isOnLoopThread }

  func run() throws { MainActor.assumeIsolated { LoopJobs.shared.loop?.run() } }

  func runUntil(_ condition: () -> Bool) throws {
    while !condition() { MainActor.assumeIsolated { LoopJobs.shared.loop?.runOnce() } }
  }

  func stop() { MainActor.assumeIsolated { LoopJobs.shared.loop?.stop() } }
}

/// Runs the jobs of tasks without isolation on the loop, in place of the thread pool.
final nonisolated class LoopGlobalExecutor: TaskExecutor, SchedulingExecutor {
  static let shared = LoopGlobalExecutor()

  func enqueue(_ job: consuming ExecutorJob) {
    LoopJobs.shared.add(QueuedJob(job: UnownedJob(job), isMain: false, deadline: nil))
  }

  func enqueue<C: Clock>(
    _ job: consuming ExecutorJob, after delay: C.Duration, tolerance: C.Duration?, clock: C
  ) {
    LoopJobs.shared.add(QueuedJob(job: UnownedJob(job), isMain: false, deadline: deadline(after: delay)))
  }
}

/// The monotonic instant after a delay of any clock. A clock that does not count in `Swift.Duration` has no meaning
/// to the kernel; the standard library's all do.
private nonisolated func deadline<D: DurationProtocol>(after delay: D) -> MonotonicTime {
  guard let duration = delay as? Duration else { preconditionFailure("a clock that counts in \(D.self)") }
  return MonotonicTime.now() + duration
}

/// Tells the runtime (`_createExecutors`) which executors to use.
nonisolated struct LoopExecutorFactory: ExecutorFactory {
  static var mainExecutor: any MainExecutor { LoopMainExecutor.shared }
  static var defaultExecutor: any TaskExecutor { LoopGlobalExecutor.shared }
}
