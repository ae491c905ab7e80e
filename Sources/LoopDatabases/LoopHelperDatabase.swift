public import Databases
import DequeModule
public import EventLoop
import Glibc
public import Logging

/// A database behind a helper process (`DatabaseHelper`), which does one job at a time, in the order in which they were given.
///
/// A helper that ends is replaced with the next job. The job that it had fails with `unavailable`: whether its transaction was
/// committed is not known. A helper that has nothing to do for a while ends.
public final class LoopHelperDatabase: LoopDatabase {
  /// Bounds of what waits.
  public nonisolated static let queueLimit = 4096
  public nonisolated static let queueBytes = 64 << 20
  /// How long a helper without a job is kept.
  public nonisolated static let idleTime = Duration.seconds(60)

  private final class Job {
    let question: [UInt8]
    let continuation: CheckedContinuation<Result<[StatementResult], DatabaseError>, Never>
    var timer: Timer?

    init(
      _ question: [UInt8], _ continuation: CheckedContinuation<Result<[StatementResult], DatabaseError>, Never>
    ) {
      self.question = question
      self.continuation = continuation
    }

    func end(_ result: Result<[StatementResult], DatabaseError>) {
      timer?.cancel()
      timer = nil
      continuation.resume(returning: result)
    }
  }

  private unowned let loop: Reactor
  private let logger: Logger
  private let settings: DatabaseSettings
  private let program: String
  private let patience: Duration

  private var queue: Deque<Job> = []
  private var queuedBytes = 0
  private var current: Job?
  private var helper: FrameHelper?
  private var idleTimer: Timer?
  private var isClosed = false

  /// - Parameters:
  ///   - program: the executable that calls `DatabaseHelper.runIfAsked()`.
  ///   - patience: how long a job may take, with its wait in the queue.
  public init(
    _ settings: DatabaseSettings, on loop: Reactor, logger: Logger, program: String = "/proc/self/exe",
    patience: Duration = .seconds(30)
  ) {
    self.settings = settings
    self.loop = loop
    self.logger = logger
    self.program = program
    self.patience = patience
  }

  /// The helper's process; nil while there is none.
  public var helperProcess: Int32? { helper?.child.processID }

  public func run(_ statements: [LoopStatement]) async throws(DatabaseError) -> [StatementResult] {
    guard !isClosed else { throw DatabaseError(.unavailable, "the database is closed") }
    guard !statements.isEmpty else { return [] }
    guard statements.count <= StatementFrames.statementLimit else {
      throw DatabaseError(
        .other, "a transaction of \(statements.count) statements, more than \(StatementFrames.statementLimit)")
    }
    let payload = StatementFrames.bytes(of: statements)
    guard payload.count <= StatementFrames.limitBytes else {
      throw DatabaseError(.other, "a transaction of \(payload.count) bytes, more than \(StatementFrames.limitBytes)")
    }
    guard queue.count < Self.queueLimit, queuedBytes + payload.count <= Self.queueBytes + StatementFrames.limitBytes
    else {
      throw DatabaseError(.unavailable, "\(settings.name): \(queue.count) transactions wait already")
    }
    let result = await withCheckedContinuation { continuation in
      let job = Job(StatementFrames.frame(StatementFrames.Kind.statements, payload), continuation)
      job.timer = loop.schedule(after: patience) { [weak self, weak job] in
        if let self, let job { expire(job) }
      }
      queue.append(job)
      queuedBytes += job.question.count
      pump()
    }
    return try result.get()
  }

  public func close() {
    guard !isClosed else { return }
    isClosed = true
    idleTimer?.cancel()
    endHelper()
    let left = [current].compactMap { $0 } + queue
    current = nil
    queue = []
    queuedBytes = 0
    for job in left { job.end(.failure(DatabaseError(.unavailable, "the database is closed"))) }
  }

  // MARK: Jobs

  private func pump() {
    guard current == nil, !isClosed, let job = queue.popFirst() else { return }
    queuedBytes -= job.question.count
    current = job
    idleTimer?.cancel()
    do throws(SystemError) {
      if let helper { helper.send(job.question) } else { try startHelper().send(job.question) }
    } catch {
      lose("\(error)")
    }
  }

  private func finish(_ result: Result<[StatementResult], DatabaseError>) {
    let job = current.take()
    job?.end(result)
    pump()
    guard current == nil else { return }
    idleTimer = loop.schedule(after: Self.idleTime) { [weak self] in
      if let self, current == nil { endHelper() }
    }
  }

  /// A job took too long. One that waits leaves the queue; one that is done is given up with its helper, which rolls back.
  private func expire(_ job: Job) {
    if job === current { return lose("no answer within \(patience)") }
    guard let index = queue.firstIndex(where: { $0 === job }) else { return }
    queue.remove(at: index)
    queuedBytes -= job.question.count
    job.end(.failure(DatabaseError(.unavailable, "\(settings.name): others took longer than \(patience)")))
  }

  // MARK: Helper

  private func startHelper() throws(SystemError) -> FrameHelper {
    let started = try FrameHelper(
      ChildProcess.Configuration([program, DatabaseHelper.argument]), socketNumber: DatabaseHelper.socketNumber,
      limitBytes: StatementFrames.limitBytes, on: loop
    ) { [weak self] in
      self?.receive($0)
    } onEnd: { [weak self] reason in
      self?.lose(reason)
    }
    started.send(StatementFrames.frame(StatementFrames.Kind.settings, StatementFrames.bytes(of: settings)))
    helper = started
    return started
  }

  private func receive(_ frame: FrameHelper.Frame) {
    guard current != nil else { return lose("it answers what nobody asked") }
    do throws(StatementFrames.Malformed) {
      switch frame.kind {
      case StatementFrames.Kind.results: finish(.success(try StatementFrames.results(frame.payload)))
      case StatementFrames.Kind.failure: finish(.failure(try StatementFrames.failure(frame.payload)))
      default: throw StatementFrames.Malformed()
      }
    } catch {
      lose("its answer makes no sense")
    }
  }

  private func lose(_ reason: String) {
    endHelper()
    guard current != nil else { return }
    logger.warning("The helper process of the database \(settings.name) was lost: \(reason)")
    finish(.failure(DatabaseError(.unavailable, "\(settings.name): the database's helper process was lost: \(reason)")))
  }

  private func endHelper() {
    helper?.close()
    helper = nil
  }
}
