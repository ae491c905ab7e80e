import DequeModule
public import EventLoop

/// The renderer processes: started when they are needed, replaced when they fail.
///
/// What a failed process was rendering is rendered once more, by a process apart: a template before it may have left
/// something behind that ended the process. It fails where that one ends, too, or where it took too long; from then on it
/// is one of `suspects`. What a process had not begun is rendered by another one, and so is what waits behind a template
/// that takes long.
public final class RendererPool {
  /// Batches that one process has at a time, at most: the next one waits in it, so that it never waits for the server.
  private static let depth = 2
  /// How many processes are started for a batch, where each ends while it starts.
  private static let startAttempts = 2
  /// Most batches that wait for the separate process; one more fails. Each may wait for a template that uses all its time.
  private static let apartLimit = 1000
  /// After a failed start templates fail at once for so long.
  private static let startPause = Duration.seconds(2)

  /// Called with each process that failed: its number, the template that it rendered, if any, and why.
  public var onFailure: (_ processID: Int32, _ template: String?, _ reason: String) -> Void = { _, _, _ in }
  /// Processes that were started so far.
  public private(set) var startCount = 0
  /// Batches that were asked for so far.
  public private(set) var batchCount = 0
  /// Batches that wait for a process.
  public var waitingCount: Int { waiting.count + waitingApart.count }
  /// Processes that are there.
  public var count: Int { processes.count + (apart == nil ? 0 : 1) }
  /// Numbers of the processes that are there.
  public var processIDs: [Int32] { (processes + [apart].compactMap { $0 }).map(\.processID) }
  /// Templates that cost their process.
  package var suspects = SuspectTemplates()

  private let loop: Reactor
  private let settings: RendererSettings
  private var processes: [RendererProcess] = []
  /// The process for what may cost its process, one at a time; it is there as long as there is such a template.
  private var apart: RendererProcess?
  private var waiting: Deque<RenderBatch> = []
  private var waitingApart: Deque<RenderBatch> = []
  private var isClosed = false
  private var isRetired = false
  private var onEmpty: (() -> Void)?
  private var failedStart: (until: MonotonicTime, reason: String)?

  public init(_ settings: RendererSettings, on loop: Reactor) {
    self.settings = settings
    self.loop = loop
  }

  /// Has templates rendered; the caller handles the events of the batch.
  ///
  /// - Parameters:
  ///   - client: a number that is the same as long as what is known of the client is, and what that is.
  ///   - generation: another one after each change of a file.
  ///   - watchSerial: another one when the server has forgotten the files that renderers told of.
  ///   - parent: the batch whose question this is asked for, if any.
  public func render(
    _ jobs: [TemplateJob], client: (serial: UInt64, form: TemplateValue), generation: Int, watchSerial: Int,
    helperSerial: Int?, parent: RenderBatch?
  ) -> RenderBatch {
    batchCount += 1
    let batch = RenderBatch(
      jobs: jobs, client: client, generation: generation, watchSerial: watchSerial, helperSerial: helperSerial,
      parent: parent)
    batch.isApart = jobs.count == 1 && suspects.isSuspect(jobs[0], batch.clientName)
    submit(batch)
    return batch
  }

  /// Ends all processes; what they have fails.
  public func close() {
    isClosed = true
    for process in processes + [apart].compactMap({ $0 }) { process.kill("the server stops") }
    pump()
  }

  /// How many further processes could begin at once.
  public var idleCount: Int {
    max(1, settings.processes - processes.count { $0.batchCount > 0 && !$0.isSlow } - waiting.count)
  }

  /// Accepts no new batch; each process ends when it has rendered its batches.
  ///
  /// - Parameter onEmpty: called when the last one has ended.
  public func retire(_ onEmpty: @escaping () -> Void) {
    isRetired = true
    self.onEmpty = onEmpty
    endIdle()
  }

  /// Ends processes that have nothing to do.
  package func rest() {
    for process in processes where process.batchCount == 0 { process.kill("it is not needed", isWanted: true) }
  }

  /// Ends what is not needed any more: beyond the processes that are wanted, and all where the pool is retired.
  private func endIdle() {
    if let apart, apart.batchCount == 0, waitingApart.isEmpty { apart.kill("it is not needed", isWanted: true) }
    for process in processes where process.batchCount == 0 && waiting.isEmpty {
      guard isRetired || usable.count > settings.processes else { break }
      process.kill("it is not needed", isWanted: true)
    }
    if isRetired, waiting.isEmpty, waitingApart.isEmpty, count == 0, let onEmpty {
      self.onEmpty = nil
      onEmpty()
    }
  }

  /// Processes that accept another batch.
  private var usable: [RendererProcess] { processes.filter { !$0.isSpent && !$0.isSlow } }

  // MARK: Submitting

  private func submit(_ batch: RenderBatch) {
    // The process that waits for the outer template's answer renders the inner one, because every other process may be
    // waiting, too. A suspect inner template could end that process, so it goes to the process apart.
    if let process = batch.parent?.process, !process.isEnded, !batch.isApart || process === apart {
      return process.render(batch)
    }
    if batch.parent?.process == nil, batch.parent != nil, batch.parent?.isFinished == false {
      // The process that asked is gone, and its question with it.
      return fail(batch, "the template that asked has failed")
    }
    enqueue(batch)
    pump()
  }

  private func enqueue(_ batch: RenderBatch) {
    guard batch.isApart else { return waiting.append(batch) }
    guard waitingApart.count < Self.apartLimit else {
      return fail(batch, "more than \(Self.apartLimit) templates wait for the process that renders what failed before")
    }
    waitingApart.append(batch)
  }

  private func pump() {
    while !isClosed, let batch = waiting.first {
      guard let process = processForMore() else { break }
      waiting.removeFirst()
      guard let process = process.process else {
        fail(batch, process.reason)
        continue
      }
      process.render(batch)
    }
    while !isClosed, let batch = waitingApart.first, (apart?.batchCount ?? 0) == 0 {
      waitingApart.removeFirst()
      renderApart(batch)
    }
    guard isClosed else { return }
    while let batch = waiting.popFirst() ?? waitingApart.popFirst() { fail(batch, "the server stops") }
  }

  /// A process that accepts another batch, or why there is none; nil where all are busy.
  private func processForMore() -> (process: RendererProcess?, reason: String)? {
    let usable = usable
    let least = usable.min { $0.batchCount < $1.batchCount }
    if let least, least.batchCount == 0 { return (least, "") }
    if mayStart(usable.count) {
      if let failed = failedStart, MonotonicTime.now() < failed.until {
        // No process can be started now: use an existing one.
        guard let least else { return (nil, failed.reason) }
        return least.batchCount < Self.depth ? (least, "") : nil
      }
      do {
        let process = try start()
        processes.append(process)
        return (process, "")
      } catch {
        let reason = recordFailedStart(error)
        guard let least else { return (nil, reason) }
        return least.batchCount < Self.depth ? (least, "") : nil
      }
    }
    guard let least, least.batchCount < Self.depth else { return nil }
    return (least, "")
  }

  /// Whether another process may be started: a spare one for each that is slow.
  private func mayStart(_ usableCount: Int) -> Bool {
    usableCount < settings.processes && processes.count < 2 * settings.processes
  }

  private func renderApart(_ batch: RenderBatch) {
    if let refusal = suspects.refusal(of: batch.job, batch.clientName, generation: batch.generation) {
      return fail(batch, refusal)
    }
    if let apart { return apart.render(batch) }
    do {
      let process = try start()
      apart = process
      process.onResult = { [weak self] job, client in self?.suspects.ended(job, client) }
      process.render(batch)
    } catch {
      fail(batch, recordFailedStart(error))
    }
  }

  private func recordFailedStart(_ error: any Error) -> String {
    let reason = "no renderer could be started: [templates] python \(settings.python): \(error)"
    failedStart = (MonotonicTime.now() + Self.startPause, reason)
    onFailure(0, nil, reason)
    return reason
  }

  private func start() throws -> RendererProcess {
    let process = try RendererProcess(settings, on: loop)
    startCount += 1
    process.onIdle = { [weak self] in
      self?.pump()
      self?.endIdle()
    }
    process.onSlow = { [weak self, unowned process] in self?.isSlow(process) }
    process.onEnd = { [weak self, unowned process] in self?.ended(process, $0) }
    return process
  }

  // MARK: Slow templates

  /// Another process renders what waits for a slow one, if there is one or may be one.
  private func isSlow(_ process: RendererProcess) {
    if let job = process.job { suspects.markSlow(job) }
    guard process !== apart else { return }
    let usable = usable
    if process.hasRest, usable.contains(where: { $0.batchCount == 0 }) || mayStart(usable.count) {
      for batch in process.removeRest().reversed() { waiting.prepend(batch) }
    }
    pump()
  }

  // MARK: Ends

  private func ended(_ process: RendererProcess, _ end: RendererProcess.End) {
    if apart === process { apart = nil } else { processes.removeAll { $0 === process } }
    var rest = end.unfinished
    if !isClosed && !end.isWanted && process.isReady {
      onFailure(process.processID, end.hasCulprit ? rest.first?.job.path : nil, end.reason)
    }
    if isClosed {
      for batch in rest { fail(batch, "the server stops") }
    } else if !process.isReady {
      failedToStart(rest, end.reason)
    } else {
      if end.hasCulprit { rest.removeFirst(judge(rest, end)) }
      for batch in rest { requeue(batch) }
    }
    pump()
    endIdle()
  }

  /// The template that was rendered fails, or is tried apart; what waits for it cannot go on either. Returns how many of
  /// the batches are settled.
  private func judge(_ unfinished: [RenderBatch], _ end: RendererProcess.End) -> Int {
    let first = unfinished[0]
    if settings.queries != nil {
      // What a server elsewhere does is no fault of the text: the next request is tried as this one was.
      while !first.isFinished { first.finish(.failed(RenderFailure(end.reason))) }
      return 1
    }
    if end.isGuiltUncertain, first.parent == nil, !first.isSecondAttempt {
      if let rest = first.splitRest() { waiting.append(rest) }
      first.isSecondAttempt = true
      first.isApart = true
      enqueue(first)
      return 1
    }
    let reason = suspects.failed(first.job, first.clientName, generation: first.generation, end.reason)
    var count = 0
    for batch in unfinished where count == 0 || batch.isInside(first) {
      batch.finish(
        .failed(RenderFailure(count == 0 ? reason : "a template that it needs failed: \(end.reason)")))
      if !batch.isFinished { requeue(batch) }
      count += 1
    }
    return count
  }

  private func failedToStart(_ batches: [RenderBatch], _ reason: String) {
    let reason = "no renderer could be started: [templates] python \(settings.python): \(reason)"
    failedStart = (MonotonicTime.now() + Self.startPause, reason)
    if batches.isEmpty || batches.contains(where: { $0.attempts + 1 >= Self.startAttempts }) {
      onFailure(0, nil, reason)
    }
    for batch in batches {
      batch.attempts += 1
      if batch.attempts >= Self.startAttempts {
        fail(batch, reason)
      } else {
        failedStart = nil
        requeue(batch)
      }
    }
  }

  private func requeue(_ batch: RenderBatch) {
    if batch.parent != nil, !batch.isApart {
      fail(batch, "the template that asked has failed")
    } else {
      enqueue(batch)
    }
  }

  private func fail(_ batch: RenderBatch, _ reason: String) {
    var failure = RenderFailure(reason)
    failure.isWithoutRenderer = reason == failedStart?.reason
    while !batch.isFinished { batch.finish(.failed(failure)) }
  }
}

extension RenderBatch {
  /// Whether this batch's question has led to another one, directly or not.
  func isInside(_ inner: RenderBatch) -> Bool {
    var next = inner.parent
    while let batch = next {
      if batch === self { return true }
      next = batch.parent
    }
    return false
  }
}
