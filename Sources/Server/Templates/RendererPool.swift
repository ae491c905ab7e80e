import DequeModule
import EventLoop

/// The renderer processes: started when they are needed, replaced when they fail.
///
/// What a failed process was rendering is rendered once more, by another one: a template before it may have left something
/// behind that ended the process. It fails where that one ends, too, or where it took too long. What a process had not
/// begun is rendered by another one.
public final class RendererPool {
  /// Batches that one process has at a time, at most: the next one waits in it, so that it never waits for the server.
  private static let depth = 2
  /// How often a batch is given to a new process because the one before it ended while starting.
  private static let startAttempts = 2
  /// After a failed start templates fail at once for so long.
  private static let startPause = Duration.seconds(2)

  /// Called with each process that failed: its number and why.
  public var onFailure: (_ processID: Int32, _ reason: String) -> Void = { _, _ in }
  /// Processes that were started so far.
  public private(set) var startCount = 0
  /// Processes that are there.
  public var count: Int { processes.count }
  /// Numbers of the processes that are there.
  public var processIDs: [Int32] { processes.map(\.processID) }

  private let loop: EventLoop
  private let settings: RendererSettings
  private var processes: [RendererProcess] = []
  private var waiting: Deque<RenderBatch> = []
  private var isClosed = false
  private var isRetired = false
  private var onEmpty: (() -> Void)?
  private var failedStart: (until: MonotonicTime, reason: String)?

  public init(_ settings: RendererSettings, on loop: EventLoop) {
    self.settings = settings
    self.loop = loop
  }

  /// Has templates rendered; take the events of what is returned.
  ///
  /// - Parameters:
  ///   - client: a number that is the same as long as what is known of the client is, and what that is.
  ///   - generation: another one after each change of a file.
  ///   - parent: the batch whose question this is asked for, if any.
  public func render(
    _ jobs: [TemplateJob], client: (serial: UInt64, form: TemplateValue), generation: Int, helperSerial: Int?,
    parent: RenderBatch?
  ) -> RenderBatch {
    let batch = RenderBatch(
      jobs: jobs, client: client, generation: generation, helperSerial: helperSerial, parent: parent)
    give(batch)
    return batch
  }

  /// Ends all processes; what they have fails.
  public func close() {
    isClosed = true
    for process in processes { process.kill("the server stops") }
    while let batch = waiting.popFirst() { fail(batch, "the server stops") }
  }

  /// How many further processes could begin at once.
  public var idleCount: Int {
    max(1, settings.processes - processes.count { $0.batchCount > 0 } - waiting.count)
  }

  /// Takes nothing new; each process ends when it has rendered what it has.
  ///
  /// - Parameter onEmpty: called when the last one has ended.
  public func retire(_ onEmpty: @escaping () -> Void) {
    isRetired = true
    self.onEmpty = onEmpty
    endIdle()
  }

  private func endIdle() {
    guard isRetired, waiting.isEmpty else { return }
    for process in processes where process.batchCount == 0 { process.kill("the settings have changed") }
    if processes.isEmpty, let onEmpty {
      self.onEmpty = nil
      onEmpty()
    }
  }

  private func give(_ batch: RenderBatch) {
    // Whoever waits for the outer one's answer renders the inner one: everyone else may be waiting too.
    if let process = batch.parent?.process, !process.isEnded { return process.render(batch) }
    if batch.parent?.process == nil, batch.parent != nil, batch.parent?.isFinished == false {
      // The process that asked is gone, and its question with it.
      return fail(batch, "the template that asked has failed")
    }
    waiting.append(batch)
    pump()
  }

  private func pump() {
    while !isClosed, let batch = waiting.first {
      guard let process = processForMore() else { return }
      waiting.removeFirst()
      guard let process = process.process else {
        fail(batch, process.reason)
        continue
      }
      process.render(batch)
    }
    if isClosed { while let batch = waiting.popFirst() { fail(batch, "the server stops") } }
  }

  /// A process that takes another batch, or why there is none; nil where all are busy.
  private func processForMore() -> (process: RendererProcess?, reason: String)? {
    let usable = processes.filter { !$0.isSpent }
    let least = usable.min { $0.batchCount < $1.batchCount }
    if let least, least.batchCount == 0 { return (least, "") }
    if usable.count < settings.processes {
      if let failed = failedStart, MonotonicTime.now() < failed.until {
        // Others may be there all the same.
        guard let least else { return (nil, failed.reason) }
        return least.batchCount < Self.depth ? (least, "") : nil
      }
      do {
        return (try start(), "")
      } catch {
        let reason = "no renderer could be started: \(error)"
        failedStart = (MonotonicTime.now() + Self.startPause, reason)
        onFailure(0, reason)
        guard let least else { return (nil, reason) }
        return least.batchCount < Self.depth ? (least, "") : nil
      }
    }
    guard let least, least.batchCount < Self.depth else { return nil }
    return (least, "")
  }

  private func start() throws -> RendererProcess {
    let process = try RendererProcess(settings, on: loop)
    startCount += 1
    processes.append(process)
    process.onIdle = { [weak self] in
      self?.pump()
      self?.endIdle()
    }
    process.onEnd = { [weak self, unowned process] unfinished, reason in
      self?.ended(process, unfinished, reason)
    }
    return process
  }

  private func ended(_ process: RendererProcess, _ unfinished: [RenderBatch], _ reason: String) {
    processes.removeAll { $0 === process }
    if !isClosed && !(isRetired && unfinished.isEmpty) { onFailure(process.processID, reason) }
    var rest = unfinished
    if process.isReady, process.isGuiltUncertain, !isClosed, let batch = rest.first, batch.parent == nil,
      batch.suspect != batch.position
    {
      batch.suspect = batch.position
      rest.removeFirst()
      waiting.prepend(batch)
    } else if process.isReady {
      // The innermost is what failed; what waits for its answer cannot go on either.
      var isFirst = true
      while let batch = rest.first, isFirst || batch.isInside(unfinished[0]) {
        rest.removeFirst()
        batch.finish(.failed(RenderFailure(isFirst ? reason : "a template that it needs failed: \(reason)")))
        if !batch.isFinished { requeue(batch) }
        isFirst = false
      }
    } else {
      failedStart = (
        MonotonicTime.now() + Self.startPause, "no renderer could be started: \(settings.python): \(reason)"
      )
    }
    for batch in rest {
      batch.attempts += process.isReady ? 0 : 1
      if batch.attempts >= Self.startAttempts || isClosed {
        fail(batch, "no renderer could be started: \(settings.python): \(reason)")
      } else {
        if !process.isReady { failedStart = nil }
        requeue(batch)
      }
    }
    pump()
    endIdle()
  }

  private func requeue(_ batch: RenderBatch) {
    if batch.parent != nil {
      fail(batch, "the template that asked has failed")
    } else {
      waiting.append(batch)
    }
  }

  private func fail(_ batch: RenderBatch, _ reason: String) {
    while !batch.isFinished { batch.finish(.failed(RenderFailure(reason))) }
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
