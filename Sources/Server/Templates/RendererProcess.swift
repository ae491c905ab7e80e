import DequeModule
import EventLoop
import Glibc

/// One renderer: a Python process that renders the batches it is given in order, and those that its own questions lead to
/// at once.
final class RendererProcess {
  /// Clients whose data a renderer keeps; the same in renderer/main.py.
  private static let clientLimit = 8

  /// Called once, when it is gone: with the batches that have no result yet, the one that was rendered first, and why.
  var onEnd: (_ unfinished: [RenderBatch], _ reason: String) -> Void = { _, _ in }
  /// Called when it is ready, and after each batch.
  var onIdle: () -> Void = {}
  private(set) var isReady = false
  private(set) var isEnded = false
  /// Whether what it is given from now on is not rendered by it: it is replaced when it has finished.
  private(set) var isSpent = false

  private let loop: EventLoop
  private let settings: RendererSettings
  private var child: ChildProcess?
  private var channel: RendererChannel?
  private var folder: TemporaryFolder?
  private var timer: Timer?
  private var lastRequest: UInt64 = 0
  /// Batches by request.
  private var batches: [UInt64: RenderBatch] = [:]
  /// What waits for its turn, in the order in which it was sent.
  private var queue: Deque<RenderBatch> = []
  /// What is rendered now; on top of it what its question has led to.
  private var running: [RenderBatch] = []
  /// How much of its time each of `running` has left.
  private var timeLeft: [ObjectIdentifier: Duration] = [:]
  private var clockStart: MonotonicTime?
  private var sentClients: [UInt64] = []
  /// By so much the loop must be late to count as late, and so long it has then to see what the renderer sent.
  private static let grace = Duration.seconds(1)
  private var hasGrace = false
  /// Why it was killed; known before its end is.
  private var verdict: String?

  /// Starts a process.
  ///
  /// - Throws: `SystemError` of what could not be done: the interpreter is not there, no descriptors.
  init(_ settings: RendererSettings, on loop: EventLoop) throws {
    self.loop = loop
    self.settings = settings
    if let user = settings.user, user != geteuid(), geteuid() != 0 {
      throw SystemError(call: "setresuid", errno: EPERM, detail: "[templates] user: the server does not run as root")
    }
    let pair = try RendererChannel.makePair()
    let ours = FileDescriptor(owning: pair.0)
    let theirs = FileDescriptor(owning: pair.1)
    if settings.needsTemporaryFolder { folder = try TemporaryFolder(owner: settings.user, group: settings.group) }
    var configuration = ChildProcess.Configuration(
      [settings.python, "-s", "-c", RendererProgram.bootstrap, "\(Self.socketNumber)"])
    configuration.descriptors = [Self.socketNumber: theirs.rawValue]
    configuration.standardError = .null
    configuration.workingDirectory = "/"
    configuration.environment = settings.environment(temporaryFolder: folder?.path)
    configuration.confinement = confinement(settings)
    let channel = try RendererChannel(ours, on: loop)
    do {
      child = try ChildProcess(configuration, on: loop) { [weak self] status in self?.ended("it ended: \(status)") }
    } catch {
      channel.close()
      throw error
    }
    self.channel = channel
    channel.onFrame = { [weak self] in self?.take($0) }
    // Where it has ended, its status says more.
    channel.onEnd = { [weak self] reason in self?.channelEnded(reason) }
    channel.send(.start, settings.startForm(RendererProgram.modules))
    timer = loop.schedule(at: MonotonicTime.now() + RendererSettings.startTimeout) { [weak self] in self?.timeIsUp() }
  }

  /// The socket's descriptor in the process.
  private static let socketNumber: Int32 = 3

  private func confinement(_ settings: RendererSettings) -> Confinement {
    var confinement = Confinement()
    if let user = settings.user, geteuid() == 0 {
      confinement.account = (user, settings.group ?? user)
    }
    confinement.memoryBytes = settings.memoryBytes
    confinement.descriptorCount = RendererSettings.descriptorLimit
    confinement.allowsSockets = settings.allowsNetwork
    confinement.writablePaths = settings.writablePaths(temporaryFolder: folder?.path)
    return confinement
  }

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
    sendClient(batch.client)
    let isSent =
      channel?.send(
        .render, request: lastRequest,
        [
          "templates": .list(batch.jobs[batch.position...].map(\.form)), "client": .int(Int(batch.client.serial)),
          "generation": .int(batch.generation), "helpers": batch.helperSerial.map { .int($0) } ?? .none,
          "is_nested": .bool(isNested),
        ]) ?? true
    guard isSent else {
      batches[lastRequest] = nil
      while !batch.isFinished { batch.finish(.failed(RenderFailure("what is to be rendered is too large a message"))) }
      return
    }
    if isNested {
      pauseClock()
      running.append(batch)
      startClock()
    } else {
      queue.append(batch)
      beginNext()
    }
  }

  private func sendClient(_ client: (serial: UInt64, form: TemplateValue)) {
    guard !sentClients.contains(client.serial), case .record(let members) = client.form else { return }
    channel?.send(.client, .record(members + [.init("serial", .int(Int(client.serial)))]))
    sentClients.append(client.serial)
    if sentClients.count > Self.clientLimit { sentClients.removeFirst() }
  }

  func answer(_ form: TemplateValue, to batch: RenderBatch) {
    guard batches[batch.request] === batch else { return }
    if channel?.send(.answer, request: batch.request, form) == false {
      channel?.send(.answer, request: batch.request, ["error": "the answer is too large", "class": "plugin"])
    }
    if running.last === batch { startClock() }
  }

  /// Ends it: what it has not rendered is given back.
  func kill(_ reason: String) {
    guard !isEnded else { return }
    verdict = verdict ?? reason
    child?.killGroup(SIGKILL)
    ended(reason)
  }

  // MARK: Frames

  private func take(_ frame: RendererFrame) {
    if frame.kind == .ready {
      isReady = true
      timer?.cancel()
      beginNext()
      startClock()
      onIdle()
      return
    }
    guard let batch = batches[frame.request] else { return }
    switch frame.kind {
    case .question:
      guard running.last === batch else { return kill("it asked out of its turn") }
      pauseClock()
      batch.ask(frame.value)
    case .result: takeResult(frame.value, of: batch)
    case .log: batch.log(frame.value)
    default: kill("it sent a message of another kind")
    }
  }

  private func takeResult(_ value: TemplateValue, of batch: RenderBatch) {
    guard running.last === batch, value["index"]?.int == batch.position - batch.base,
      let result = RenderResult(value)
    else { return kill("it answered what makes no sense") }
    timeLeft[ObjectIdentifier(batch)] = nil
    clockStart = nil
    if value["spent"]?.bool == true { isSpent = true }
    if batch.leftCount == 1 {
      batches[batch.request] = nil
      running.removeLast()
    }
    batch.finish(result)
    beginNext()
    startClock()
    if running.isEmpty {
      if isSpent, !isEnded { return kill("it had too little memory") }
      onIdle()
    }
  }

  private func beginNext() {
    if running.isEmpty, isReady, let next = queue.popFirst() { running.append(next) }
  }

  // MARK: Time

  private func startClock() {
    guard isReady, let batch = running.last, !batch.isAsking else { return }
    let left = timeLeft[ObjectIdentifier(batch)] ?? settings.timeout
    timeLeft[ObjectIdentifier(batch)] = left
    // Not the loop's time: it may be that of a turn long ago.
    let now = MonotonicTime.now()
    clockStart = now
    hasGrace = false
    timer?.rearm(at: now + left)
  }

  private func pauseClock() {
    guard let start = clockStart, let batch = running.last else { return }
    timeLeft[ObjectIdentifier(batch)] = max(
      (timeLeft[ObjectIdentifier(batch)] ?? settings.timeout) - (MonotonicTime.now() - start), .milliseconds(1))
    clockStart = nil
    timer?.cancel()
  }

  private func timeIsUp() {
    // A loop that was late itself first looks at what has come meanwhile.
    if let deadline = timer?.deadline, MonotonicTime.now() - deadline > Self.grace, !hasGrace {
      hasGrace = true
      timer?.rearm(at: MonotonicTime.now() + Self.grace)
      return
    }
    kill(
      isReady
        ? "the template took longer than \(settings.timeout.seconds) s ([templates] timeout)"
        : "it was not ready within \(RendererSettings.startTimeout.seconds) s")
  }

  // MARK: End

  private func channelEnded(_ reason: String) {
    // Its exit is reported too, with its status; should it live on, it is of no use.
    child?.killGroup(SIGKILL)
    if child?.status != nil { ended(reason) }
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
    running = []
    queue = []
    batches = [:]
    for batch in unfinished {
      batch.forgetQuestion()
      batch.process = nil
    }
    onEnd(unfinished, verdict ?? reason)
  }
}

extension RenderResult {
  /// What a renderer says of one template; nil where it makes no sense.
  init?(_ value: TemplateValue) {
    guard let isRendered = value["ok"]?.bool else { return nil }
    guard isRendered else {
      guard let error = value["error"]?.text else { return nil }
      self =
        value["load"]?.bool == true
        ? .unusable(error)
        : .failed(RenderFailure(error, isTemplateError: value["is_template_error"]?.bool ?? false))
      return
    }
    guard let output = value["output"]?.contents else { return nil }
    let files = (value["files"]?.list ?? []).compactMap { item -> (path: String, signature: String)? in
      guard let parts = item.list, parts.count == 2, let path = parts[0].text, let signature = parts[1].text else {
        return nil
      }
      return (path, signature)
    }
    self = .rendered(
      Rendering(
        output: output, questions: value["questions"]?.list, files: files, reasons: value["reasons"]?.texts ?? []))
  }
}

extension Duration {
  /// Whole seconds where it is that, else with a fraction.
  fileprivate var seconds: String {
    let parts = components
    return parts.attoseconds == 0
      ? "\(parts.seconds)" : "\(Double(parts.seconds) + Double(parts.attoseconds) / 1e18)"
  }
}
