import DequeModule
import EventLoop
import Glibc

/// One renderer: a Python process. It renders its batches in order, and at once those that its own questions lead to.
final class RendererProcess {
  /// What a message may have beyond a template's output: questions, what a template writes to Properties, its trace.
  private static let messageSlackBytes = 16 << 20
  /// Lines that one template may log; renderer/main.py leaves out those beyond 50.
  private static let logLimit = 200
  /// Files that one template may name; renderer/trace.py names no more than it records.
  private static let fileLimit = 4000

  /// How a process ended.
  struct End {
    /// Batches that have no result yet; what was rendered comes first, the innermost before those that wait for it.
    let unfinished: [RenderBatch]
    /// Whether a template was being rendered: the next one of the first batch.
    let hasCulprit: Bool
    /// Whether that may have been innocent: a template before it can have left something behind.
    let isGuiltUncertain: Bool
    let reason: String
    /// Whether it was ended on purpose: nothing is wrong.
    let isWanted: Bool
  }

  /// Called once, when it is gone.
  var onEnd: (End) -> Void = { _ in }
  /// Called when it is ready, and after each batch.
  var onIdle: () -> Void = {}
  /// Called when a template runs for longer than `RendererSettings.slowAfter`, and again while it runs.
  var onSlow: () -> Void = {}
  /// Called with each template that has a result.
  var onResult: ((_ job: TemplateJob, _ client: String) -> Void)?
  private(set) var isReady = false
  private(set) var isEnded = false
  /// Why it ends after the template that it renders; it accepts no new batch. Nil where it does not.
  private var spentReason: String?
  var isSpent: Bool { spentReason != nil || isStripped }
  /// Whether the template that it renders is slow: others are not to wait for it.
  private(set) var isSlow = false
  private var isGuiltUncertain = true
  private var hasRendered = false
  /// Other processes render its later templates: it ends with the one that it renders.
  private var isStripped = false
  private var isWanted = false
  /// It has told that it renders nothing more, though there is more: nobody is to blame for its end.
  private var isBetweenTemplates = false

  private let loop: Reactor
  private let settings: RendererSettings
  private let repositoryFolders: [String]
  private var child: ChildProcess?
  private var channel: RendererChannel?
  private var folder: TemporaryFolder?
  private var timer: Timer?
  private var lastRequest: UInt64 = 0
  /// Batches by request.
  private var batches: [UInt64: RenderBatch] = [:]
  /// What waits for its turn, in the order in which it was sent.
  private var queue: Deque<RenderBatch> = []
  /// The batch that it renders; behind it those that questions led to, the innermost last.
  private var running: [RenderBatch] = []
  /// What each of `running` has left for the template that it renders.
  private var left: [ObjectIdentifier: TemplateAllowance] = [:]
  private var clockStart: MonotonicTime?
  /// When the template, the answer that it waits for, or the start has to be finished.
  private var deadline: MonotonicTime?
  /// Lines that were logged since the last result.
  private var loggedLines = 0
  /// Files that it has named since the last result.
  private var namedFiles = 0
  private var sent = SentForms()
  /// How often the server reads what came without the bell, and compares the time with the deadline.
  private static let lookInterval = Duration.milliseconds(200)
  /// Why it was killed; known before its end is.
  private var verdict: String?

  /// Starts a process.
  ///
  /// - Throws: `SystemError` of what could not be done: the interpreter is not there, no descriptors.
  init(_ settings: RendererSettings, on loop: Reactor) throws {
    self.loop = loop
    self.settings = settings
    repositoryFolders = settings.repositoryFolders()
    if let user = settings.user, user != geteuid(), geteuid() != 0 {
      throw SystemError(call: "setresuid", errno: EPERM, detail: "[templates] user: the server does not run as root")
    }
    let pair = try RendererChannel.makePair()
    let ours = FileDescriptor(owning: pair.0)
    let theirs = FileDescriptor(owning: pair.1)
    if settings.needsTemporaryFolder { folder = try TemporaryFolder(owner: settings.user, group: settings.group) }
    var configuration = ChildProcess.Configuration(
      [settings.python, "-s", "-c", RendererProgram.start, "\(Self.socketNumber)", "\(Self.bellNumber)"])
    configuration.standardError = .null
    configuration.workingDirectory = "/"
    configuration.environment = settings.environment(temporaryFolder: folder?.path)
    configuration.confinement = settings.confinement(temporaryFolder: folder?.path)
    let channel = try RendererChannel(ours, on: loop)
    configuration.descriptors = [Self.socketNumber: theirs.rawValue, Self.bellNumber: channel.bellDescriptor]
    do {
      child = try ChildProcess(configuration, on: loop) { [weak self] status in self?.exited(status) }
    } catch {
      channel.close()
      throw error
    }
    self.channel = channel
    channel.onFrame = { [weak self] in self?.handle($0) }
    // Where it has ended, its status says more.
    channel.onEnd = { [weak self] reason in self?.channelEnded(reason) }
    // Until something is rendered it has nothing to say but that it is ready.
    channel.receiveLimitBytes = 1 << 16
    channel.send(RendererProgram.bootstrap)
    channel.send(.start, settings.startForm(RendererProgram.modules))
    let start = MonotonicTime.now()
    deadline = start + RendererSettings.startTimeout
    timer = loop.schedule(at: start + Self.lookInterval) { [weak self] in self?.look() }
  }

  /// The descriptors of socket and bell in the process.
  private static let socketNumber: Int32 = 3
  private static let bellNumber: Int32 = 4

  /// Its number; for logs and tests.
  var processID: pid_t { child?.processID ?? 0 }

  /// Templates that it has not rendered yet.
  var load: Int { batches.values.reduce(0) { $0 + $1.leftCount } }
  /// Batches that it has.
  var batchCount: Int { batches.count }

  /// Gives it a batch, behind those that it has; one that a question of its own led to comes before them.
  func render(_ batch: RenderBatch) {
    precondition(!isEnded, "a batch for a renderer that is gone")
    lastRequest += 1
    batch.request = lastRequest
    batch.base = batch.position
    batch.process = self
    batches[lastRequest] = batch
    let isNested = batch.parent.map { parent in running.contains { $0 === parent } } ?? false
    if let client = sent.newClient(batch.client) { channel?.send(.client, client) }
    let forms = sent.forms(of: batch.jobs[batch.position...])
    let isSent =
      channel?.send(
        .render, request: lastRequest,
        [
          "templates": .list(forms), "client": .int(Int(batch.client.serial)),
          "generation": .int(batch.generation), "watches": .int(batch.watchSerial),
          "helpers": batch.helperSerial.map { .int($0) } ?? .none,
          "is_nested": .bool(isNested),
        ]) ?? true
    guard isSent else {
      batches[lastRequest] = nil
      while !batch.isFinished { batch.finish(.failed(RenderFailure("what is to be rendered is too large a message"))) }
      return
    }
    if isNested {
      pauseClock()
      run(batch)
    } else {
      queue.append(batch)
      beginNext()
    }
  }

  func answer(_ form: TemplateValue, to batch: RenderBatch) {
    guard batches[batch.request] === batch else { return }
    if channel?.send(.answer, request: batch.request, form) == false {
      channel?.send(.answer, request: batch.request, ["error": "the answer is too large", "class": "plugin"])
    }
    guard running.last === batch else { return }
    pauseClock()
    startClock()
  }

  /// The template that is rendered, if one is.
  var job: TemplateJob? { running.last?.job }

  /// Takes out what waits behind the template that is rendered now, which alone is rendered to its end.
  func removeRest() -> [RenderBatch] {
    guard let outermost = running.first else { return [] }
    let rest = [outermost.splitRest()].compactMap { $0 } + Array(queue)
    guard !rest.isEmpty else { return [] }
    for batch in queue {
      batches[batch.request] = nil
      batch.process = nil
    }
    queue = []
    isStripped = true
    return rest
  }

  /// Whether anything waits behind the template that is rendered now.
  var hasRest: Bool { !queue.isEmpty || (running.first?.leftCount ?? 0) > 1 }

  /// Ends it; `onEnd` returns what it has not rendered.
  ///
  /// - Parameter isWanted: nothing is wrong with it.
  func kill(_ reason: String, isWanted: Bool = false) {
    guard !isEnded else { return }
    self.isWanted = isWanted
    verdict = verdict ?? reason
    child?.killGroup(SIGKILL)
    ended(reason)
  }

  // MARK: Frames

  /// A template can reach the socket, too: what is not in its turn ends the process.
  private func handle(_ frame: RendererFrame) {
    if frame.kind == .ready {
      guard !isReady else { return kill("it was ready twice") }
      isReady = true
      stopClock()
      beginNext()
      onIdle()
      return
    }
    guard isReady, let batch = batches[frame.request] else { return kill("it answered what was not asked") }
    switch frame.kind {
    case .question:
      guard running.last === batch, !batch.isAsking else { return kill("it asked out of its turn") }
      pauseClock()
      guard countQuestion(of: batch) else { return }
      batch.ask(frame.value)
      startClock()
    case .result: finish(frame.value, of: batch)
    case .file:
      guard let path = frame.value.text, !path.isEmpty, path.utf8.count < Int(PATH_MAX) else {
        return kill("it named a file that makes no sense")
      }
      guard isBelowRepository(path) else { return kill("it named a file that is not in the repository") }
      namedFiles += 1
      guard namedFiles <= Self.fileLimit else { return kill("it reads more than \(Self.fileLimit) files") }
      batch.reads(path)
    case .log:
      loggedLines += 1
      guard loggedLines <= Self.logLimit else { return kill("it logs more than \(Self.logLimit) lines") }
      batch.log(frame.value)
    default: kill("it sent a message of another kind")
    }
  }

  /// Whether a path is one of those that renderers record: they name no other.
  private func isBelowRepository(_ path: String) -> Bool {
    guard !path.utf8.contains(0), !path.hasSuffix("/.."), !path.contains("/../") else { return false }
    return repositoryFolders.contains { path == $0 || path.hasPrefix($0 + "/") }
  }

  /// Counts a question; false where the process was ended for it.
  private func countQuestion(of batch: RenderBatch) -> Bool {
    let key = ObjectIdentifier(batch)
    left[key, default: TemplateAllowance(settings.timeout)].questions -= 1
    guard left[key]!.questions < 0 else { return true }
    isGuiltUncertain = false
    kill("the template asks more than \(RendererSettings.questionLimit) questions")
    return false
  }

  private func finish(_ value: TemplateValue, of batch: RenderBatch) {
    guard running.last === batch, !batch.isAsking, value["index"]?.int == batch.position - batch.base,
      let result = RenderResult(value), result.outputBytes <= batch.jobs[batch.position].limitBytes,
      result.files.count <= Self.fileLimit, result.files.allSatisfy({ isBelowRepository($0.path) })
    else { return kill("it answered what makes no sense") }
    if value["memory"]?.bool == true {
      // What was cut short cannot be relied upon.
      isGuiltUncertain = hasRendered
      return kill(
        "the \(settings.subject) needs more memory than \(settings.memoryBytes >> 20) MiB ([templates] memory)")
    }
    left[ObjectIdentifier(batch)] = nil
    stopClock()
    loggedLines = 0
    namedFiles = 0
    isSlow = false
    hasRendered = true
    onResult?(batch.job, batch.clientName)
    if let reason = value["spent"]?.text { spentReason = reason }
    if batch.leftCount == 1 {
      batches[batch.request] = nil
      running.removeLast()
    }
    batch.finish(result)
    if let spentReason, running.count == 1, running[0] === batch {
      // It renders nothing more of its batches.
      isBetweenTemplates = true
      return kill(spentReason)
    }
    guard running.isEmpty else { return startClock() }
    if let spentReason { return kill(spentReason) }
    if isStripped { return kill("what it had was given to others", isWanted: true) }
    beginNext()
    if running.isEmpty { onIdle() }
  }

  private func beginNext() {
    if running.isEmpty, isReady, let next = queue.popFirst() { run(next) }
  }

  private func run(_ batch: RenderBatch) {
    running.append(batch)
    let outputs = running.flatMap(\.jobs).map(\.limitBytes).max() ?? 0
    channel?.receiveLimitBytes = outputs + Self.messageSlackBytes
    startClock()
  }

  // MARK: Time

  private func startClock() {
    guard isReady, let batch = running.last else { return }
    let key = ObjectIdentifier(batch)
    left[key, default: TemplateAllowance(settings.timeout)].isAnswering = batch.isAsking
    guard left[key]!.lateCount <= TemplateAllowance.lateLimit else { return timeIsUp() }
    let time = left[key]!.current
    // Not the loop's time: it may be that of a turn long ago.
    let now = MonotonicTime.now()
    clockStart = now
    deadline = now + time
    timer?.rearm(at: min(now + time, now + Self.lookInterval))
  }

  private func pauseClock() {
    guard let start = clockStart, let batch = running.last else { return }
    let key = ObjectIdentifier(batch)
    left[key, default: TemplateAllowance(settings.timeout)].spend(MonotonicTime.now() - start)
    stopClock()
  }

  private func stopClock() {
    clockStart = nil
    deadline = nil
    timer?.cancel()
  }

  /// Reads what it has sent, then ends it if its time is up: so a late loop ends no process that has answered.
  private func look() {
    let before = deadline
    channel?.receive()
    guard !isEnded, let deadline, deadline == before else { return }
    // What it has sent may be its result.
    if channel?.isReading == true {
      timer?.rearm(at: MonotonicTime.now() + .milliseconds(1))
      return
    }
    let now = MonotonicTime.now()
    guard now >= deadline else {
      timer?.rearm(at: min(deadline, now + Self.lookInterval))
      if isReady, deadline - now <= settings.timeout - settings.slowAfter {
        isSlow = true
        onSlow()
      }
      return
    }
    guard isReady else {
      isGuiltUncertain = false
      return kill("it was not ready within \(RendererSettings.startTimeout.seconds) s")
    }
    timeIsUp()
  }

  private func timeIsUp() {
    isGuiltUncertain = false
    let limit = "\(settings.timeout.seconds) s (\(settings.timeoutOption))"
    kill(
      running.last?.isAsking == true
        ? "the answers to the \(settings.subject)'s questions took longer than \(limit)"
        : "the \(settings.subject) took longer than \(limit)")
  }

  // MARK: End

  private func exited(_ status: ChildProcess.ExitStatus) {
    guard !isEnded else { return }
    let reason = "the renderer ended: \(status)" + (isHardEnd(status) ? memoryHint : "")
    verdict = verdict ?? reason
    // Results that it sent before are in the socket.
    channel?.receiveRest()
    ended(reason)
  }

  /// Whether it may have ended for want of memory: by the kernel, or in a library that does not look.
  private func isHardEnd(_ status: ChildProcess.ExitStatus) -> Bool {
    if case .signaled(let signal) = status { return [SIGKILL, SIGSEGV, SIGABRT, SIGBUS].contains(signal) }
    return false
  }

  private var memoryHint: String { ", with [templates] memory of \(settings.memoryBytes >> 20) MiB" }

  private func channelEnded(_ reason: String?) {
    verdict = verdict ?? reason
    // Its exit is reported too, with its status; should it live on, it is of no use.
    child?.killGroup(SIGKILL)
    if child?.status != nil { ended("its socket was closed") }
  }

  private func ended(_ reason: String) {
    guard !isEnded else { return }
    isEnded = true
    timer?.cancel()
    timer = nil
    channel?.close()
    channel = nil
    folder = nil
    // The innermost first: it is the one that was rendered.
    let unfinished = running.reversed() + Array(queue)
    let hasCulprit = isReady && !running.isEmpty && !isBetweenTemplates
    running = []
    queue = []
    batches = [:]
    for batch in unfinished {
      batch.forgetQuestion()
      batch.process = nil
    }
    onEnd(
      End(
        unfinished: unfinished, hasCulprit: hasCulprit, isGuiltUncertain: isGuiltUncertain, reason: verdict ?? reason,
        isWanted: isWanted))
  }
}
