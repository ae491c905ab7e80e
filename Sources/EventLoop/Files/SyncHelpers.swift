import Glibc
public import Logging

/// Waits for the disk in helper processes, so that a slow disk delays only those who wait for it.
///
/// A helper gets the descriptor over a socket and calls fsync. One is enough for a disk that is quick; where it keeps
/// somebody waiting for 20 ms, another one is started, up to a limit. Where more files wait than there are helpers, they
/// share one syncfs of their file system. Helpers that have nothing to do end.
///
/// Processes rather than io_uring, which containers and hardened kernels refuse, and rather than threads, which the
/// server has none of. Where no helper can be had, the loop waits for the disk itself.
public final class SyncHelpers: FileSynchronizer {
  nonisolated static let helperLimit = 8
  /// Files that wait; where there are more, they share one synchronization.
  nonisolated static let sharingLimit = 16
  /// How long all helpers may be busy before there is one more.
  nonisolated static let patience = Duration.milliseconds(20)
  /// How long a helper beyond the first has nothing to do before it ends, and the first.
  nonisolated static let spareTime = Duration.seconds(1)
  nonisolated static let idleTime = Duration.seconds(10)
  /// Helpers that may die of one file.
  private nonisolated static let attemptLimit = 2

  private final class Request {
    let descriptor: Int32
    let device: UInt
    let completion: (Int32) -> Void
    var attempts = 0

    init(_ descriptor: Int32, _ completion: @escaping (Int32) -> Void) {
      self.descriptor = descriptor
      self.completion = completion
      var status = stat()
      device = fstat(descriptor, &status) == 0 ? UInt(status.st_dev) : 0
    }
  }

  private typealias Pool = HelperPool<[Request], Int32>

  private unowned let loop: Reactor
  private let logger: Logger
  private let pool: Pool
  private var queue: [Request] = []
  private var patienceTimer: Timer?
  private var idleTimer: Timer?
  private var hasComplained = false
  private var isClosed = false

  /// - Parameter start: how a helper is started; by default it is this executable, which must call
  ///   `SyncHelper.runIfAsked()` first.
  public init(
    on loop: Reactor, logger: Logger = Logger(label: "SyncHelpers"),
    start: HelperStart? = nil
  ) {
    self.loop = loop
    self.logger = logger
    pool = Pool(
      on: loop, start: start ?? SyncHelper.process.start(),
      answerLimitBytes: HelperProcess.numberBytes + SyncHelper.codeBytes,
      decode: SyncHelper.code)
    pool.onAnswer = { [unowned self] _, requests, code in receive(code, for: requests) }
    pool.onLoss = { [unowned self] requests, reason in retry(requests ?? [], reason) }
  }

  /// How many helpers run.
  public var helperCount: Int { pool.count }

  public func synchronize(_ descriptor: Int32, _ completion: @escaping (Int32) -> Void) {
    guard !isClosed else { return completion(ECANCELED) }
    queue.append(Request(descriptor, completion))
    pump()
  }

  public func close() {
    isClosed = true
    patienceTimer?.cancel()
    idleTimer?.cancel()
    let left = pool.jobs.flatMap { $0 } + queue
    queue = []
    pool.endAll()
    for request in left { request.completion(ECANCELED) }
  }

  // MARK: Files

  /// Gives waiting files to helpers, as long as one is idle.
  private func pump() {
    while !queue.isEmpty, !isClosed {
      if let helper = pool.idle ?? (pool.count == 0 ? addHelper() : nil) {
        send(nextRequests(), to: helper)
      } else if pool.count == 0 {
        let request = queue.removeFirst()
        request.completion(SyncHelper.synchronize(request.descriptor, .file))
      } else {
        waitForPatience()
        return
      }
    }
  }

  /// The file that has waited longest; where many wait, all those of its file system.
  private func nextRequests() -> [Request] {
    guard queue.count > Self.sharingLimit else { return [queue.removeFirst()] }
    let device = queue[0].device
    let shared = queue.filter { $0.device == device && $0.attempts == 0 }
    guard shared.count > 1 else { return [queue.removeFirst()] }
    queue.removeAll { $0.device == device && $0.attempts == 0 }
    return shared
  }

  private func waitForPatience() {
    guard pool.count < Self.helperLimit, patienceTimer?.isScheduled != true else { return }
    patienceTimer = loop.schedule(after: Self.patience) { [weak self] in
      guard let self, !queue.isEmpty, pool.idle == nil else { return }
      if addHelper() != nil { pump() }
    }
  }

  private func send(_ requests: [Request], to helper: Pool.Helper) {
    for request in requests { request.attempts += 1 }
    let kind = requests.count > 1 ? SyncHelper.Kind.fileSystem : .file
    pool.send(requests, [kind.rawValue], descriptor: requests[0].descriptor, to: helper)
  }

  private func receive(_ code: Int32, for requests: [Request]) {
    hasComplained = false
    if requests.count > 1 && code != 0 {
      // The error may belong to one of them, or to a file of another program: synchronize each by itself to find out.
      queue.insert(contentsOf: requests, at: 0)
    } else {
      for request in requests { request.completion(code) }
    }
    pump()
    scheduleIdleEnd()
  }

  // MARK: Helpers

  private func addHelper() -> Pool.Helper? {
    do throws(SystemError) {
      return try pool.add()
    } catch {
      complain("\(error)")
      return nil
    }
  }

  /// A helper has ended, or its answer makes no sense: another one gets its files.
  private func retry(_ requests: [Request], _ reason: String) {
    complain("a helper was lost: \(reason)")
    for request in requests.reversed() {
      if request.attempts < Self.attemptLimit {
        queue.insert(request, at: 0)
      } else {
        request.completion(SyncHelper.synchronize(request.descriptor, .file))
      }
    }
    pump()
  }

  /// Logs a reason once per outage, which the next answer ends.
  private func complain(_ reason: String) {
    if hasComplained { return }
    hasComplained = true
    logger.warning("No helper process waits for the disk, so a slow disk delays all clients: \(reason)")
  }

  /// Ends helpers that have had nothing to do for a while.
  private func scheduleIdleEnd() {
    idleTimer?.cancel()
    guard queue.isEmpty, pool.isIdle else { return }
    let isSpare = pool.count > 1
    idleTimer = loop.schedule(after: isSpare ? Self.spareTime : Self.idleTime) { [weak self] in
      guard let self, queue.isEmpty, pool.isIdle else { return }
      for helper in isSpare ? Array(pool.helpers.dropFirst()) : pool.helpers { pool.end(helper) }
      if isSpare { scheduleIdleEnd() }
    }
  }
}
