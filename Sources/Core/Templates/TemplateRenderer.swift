import EventLoop
import Identity
package import Logging
import Repository
public import Templates
import XMLRPC

/// Renders the repository's templates: text templates of Cfg, structure files in XML.
///
/// Renderer processes do the rendering. Results are kept with what they were made from, and used again, also for other
/// clients, where what the template read is the same.
public final class TemplateRenderer {
  /// One template for one entry.
  public struct Request {
    public let kind: TemplateJob.Kind
    public let source: TemplateSource
    /// The name of the entry; nil for structure files.
    public let entryName: String?
    /// Most bytes of the result.
    public let limitBytes: Int
    /// The option that sets them, as messages name it; nil where none does.
    public let limitOption: String?
    /// Whether the file is encrypted, and so what it includes.
    public var isEncrypted = false
    /// What becomes of the output; it is kept in its place.
    public let make: ([UInt8]) throws -> AnyObject

    public init(
      kind: TemplateJob.Kind, source: TemplateSource, entryName: String?, limitBytes: Int, limitOption: String? = nil,
      isEncrypted: Bool = false, make: @escaping ([UInt8]) throws -> AnyObject
    ) {
      self.kind = kind
      self.source = source
      self.entryName = entryName
      self.limitBytes = limitBytes
      self.limitOption = limitOption
      self.isEncrypted = isEncrypted
      self.make = make
    }

    /// The same, of which something else is made.
    package func making(_ make: @escaping ([UInt8]) throws -> AnyObject) -> Request {
      Request(
        kind: kind, source: source, entryName: entryName, limitBytes: limitBytes, limitOption: limitOption,
        isEncrypted: isEncrypted, make: make)
    }
  }

  /// What a rendering read, and why its result is or is not kept.
  public struct Report {
    public let questions: [TemplateValue]
    public let files: [String]
    /// Why it is not.
    public let reasons: [String]
    public let isRepeatable: Bool
  }

  /// The batch whose question is being answered by this task.
  @TaskLocal static var asking: RenderBatch?

  unowned let core: ServerCore
  package var logger = Logger(label: "Templates")
  let kept: RenderingCache
  /// Files that templates read beside the repository's watched ones.
  private(set) lazy var files = TemplateFiles(core: core)
  /// Answers about several clients, and what they were made from.
  var answers = QueryAnswers()
  /// Called with what each rendering read.
  public var onReport: ((_ path: String, Report) -> Void)?
  /// Called with each template that failed for a client, or cannot be loaded, and why.
  package var onFailed: ((_ path: String, _ reason: String) -> Void)?
  /// Loads templates when they were read.
  package private(set) lazy var checks = TemplateChecks(self)
  /// Whether renderers keep the user of this process, whatever `[templates] user` says.
  package var keepsUser = false
  /// Whether templates' writes are dropped, for tools that only show a result.
  public var dropsWrites = false
  /// For tools that render once: a failure's message does not say when the template is tried again.
  package var rendersOnce = false

  /// Processes that run queries for templates.
  let queries = QueryProcesses()

  private(set) var settings: RendererSettings
  /// Templates that were rendered without an error.
  package private(set) var renderedCount = 0
  /// Renderer processes that failed.
  package private(set) var failedProcessCount = 0
  /// Renderer processes that earlier pools started.
  private var retiredStarts = 0
  private var current: RendererPool?
  private var retired: [RendererPool] = []
  private var loggedOnce: NameSet = []
  static var lastSerial: UInt64 = 0
  /// Bytes of a line that a template logs, at most.
  private static let logLineBytes = 4096
  /// Bytes of what is recorded of one rendering, at most: one that read more is not kept. renderer/trace.py stops sooner.
  private static let traceBytes = 1 << 20

  init(core: ServerCore) {
    self.core = core
    settings = RendererSettings(core.settings, isChild: core.isChild)
    kept = RenderingCache(limitBytes: core.settings.templateCacheBytes)
    core.answerCache.renderings = kept
    kept.onForgotten = { [unowned core] in core.answerCache.renderingForgotten($0) }
  }

  /// The processes; started when the first template needs one.
  var pool: RendererPool {
    if let current { return current }
    let pool = makePool(settings)
    current = pool
    return pool
  }

  func makePool(_ settings: RendererSettings) -> RendererPool {
    var settings = settings
    if keepsUser { settings.user = nil }
    let pool = RendererPool(settings, on: core.loop)
    pool.suspects.tellsPause = !rendersOnce
    pool.onFailure = { [weak self, logger] process, template, reason in
      if process != 0 { self?.failedProcessCount += 1 }
      let place = (process == 0 ? "" : "renderer \(process): ") + (template.map { "\($0): " } ?? "")
      logger.error("\(place)\(reason)")
    }
    return pool
  }

  /// Numbers of the renderer processes that are there.
  public var processIDs: [Int32] { current?.processIDs ?? [] }
  /// Results that are kept, and how many times one was used.
  public var cacheCount: (results: Int, used: Int) { (kept.count, kept.used) }

  /// Bytes of the results that are kept, and their bound.
  package var cacheBytes: (held: Int, limit: Int) { (kept.heldBytes, kept.limitBytes) }
  /// Processes that were started so far, and those that are there.
  package var processCounts: (started: Int, running: Int) {
    (retiredStarts + (current?.startCount ?? 0), (retired + [current].compactMap { $0 }).reduce(0) { $0 + $1.count })
  }
  /// Batches of templates that wait for a process.
  package var waitingCount: Int { current?.waitingCount ?? 0 }

  /// Forgets all results, so that templates are rendered again.
  package func forgetResults() { kept.removeAll() }

  /// One line of what was rendered so far; nil where nothing was.
  package var counters: String? {
    guard renderedCount > 0 || kept.used > 0 else { return nil }
    return "Templates: \(renderedCount) rendered, \(kept.used) kept results used, \(kept.count) kept now in "
      + "\(kept.heldBytes) bytes, \(processIDs.count) renderers"
  }

  func settingsChanged() {
    let new = RendererSettings(core.settings, isChild: core.isChild)
    kept.limitBytes = core.settings.templateCacheBytes
    kept.removeAll()
    guard new != settings else { return }
    let hasOtherPython = new.python != settings.python
    settings = new
    queries.replace()
    defer { if hasOtherPython { checks.pythonChanged() } }
    if let current {
      retiredStarts += current.startCount
      // It finishes what it renders.
      current.retire { [weak self, unowned current] in self?.retired.removeAll { $0 === current } }
      if current.count > 0 { retired.append(current) }
    }
    current = nil
  }

  func shutdown() {
    checks.end()
    for pool in retired { pool.close() }
    current?.close()
    current = nil
    queries.close()
  }

  // MARK: Rendering

  /// Renders a template for a client, or finds the result of an earlier rendering.
  ///
  /// - Throws: `PluginExecutionError` with what is wrong with the template, with file and line.
  public func render(_ request: Request, _ metadata: ClientMetadata) async throws -> AnyObject {
    beginStructures(metadata)
    return try await CallCost.waiting(for: .templates) {
      if let ahead = metadata.templates.ahead?.remove(request) {
        return try recorded(ahead, await ahead.value(metadata), metadata)
      }
      let pending = PendingRendering(request)
      await run([pending], metadata)
      return try recorded(pending, await pending.value(metadata), metadata)
    }
  }

  /// Begins to render templates that a configuration is going to need, in few messages; `render` then finds them, beside
  /// those that were begun before.
  func renderAhead(_ requests: [Request], _ metadata: ClientMetadata) {
    guard requests.count > 1 else { return }
    let pending = requests.map { PendingRendering($0) }
    let ahead = metadata.templates.ahead ?? RenderedAhead()
    metadata.templates.ahead = ahead
    for one in pending { ahead.add(one) }
    Task { await run(pending, metadata) }
  }

  /// Gives each of them its result: a kept one, or a new one.
  private func run(_ all: [PendingRendering], _ metadata: ClientMetadata) async {
    let awaited = AwaitedQueries()
    var rest: [PendingRendering] = []
    for pending in all {
      guard let version = pending.request.source.versions.first else {
        pending.finish(.failure(noTemplate(pending.request)))
        continue
      }
      pending.version = version
      do {
        pending.variables = try variables(of: pending.request, metadata)
      } catch {
        pending.finish(.failure(error))
        continue
      }
      if await useKept(pending, metadata) { continue }
      rest.append(pending)
    }
    while !rest.isEmpty {
      let alone = removeSuspects(&rest, metadata)
      // Enough for a message each that it is worth another process.
      let share = max(8, (rest.count + pool.idleCount - 1) / pool.idleCount)
      let parts =
        stride(from: 0, to: rest.count, by: share).map { Array(rest[$0..<min($0 + share, rest.count)]) }
        + alone.map { [$0] }
      var unusable = parts.count == 1 ? await render(parts[0], metadata, awaited) : []
      if parts.count > 1 {
        let tasks = parts.map { part in Task { await render(part, metadata, awaited) } }
        for task in tasks { unusable += await task.value }
      }
      await awaited.fetched()
      // With the version before, where there is one, or with what was fetched.
      rest = unusable.filter { pending in
        guard let version = pending.request.source.versions.first else {
          pending.finish(.failure(noTemplate(pending.request)))
          return false
        }
        pending.version = version
        return true
      }
    }
  }

  /// Takes out the templates that are known to cost their process, or its time: those that nobody is to wait for. What is
  /// not to be tried yet fails.
  private func removeSuspects(_ rest: inout [PendingRendering], _ metadata: ClientMetadata) -> [PendingRendering] {
    guard !pool.suspects.isEmpty else { return [] }
    let generation = Int(truncatingIfNeeded: core.repositoryGeneration)
    let client = metadata.facts.hostname.text
    var alone: [PendingRendering] = []
    rest.removeAll { pending in
      let job = pending.job
      if let refusal = pool.suspects.refusal(of: job, client, generation: generation) {
        metadata.markUncacheable()
        pending.finish(.failure(TemplateFailure(RenderFailure(refusal))))
        return true
      }
      guard pool.suspects.isSuspect(job, client) || pool.suspects.isSlow(job) else { return false }
      alone.append(pending)
      return true
    }
    return alone
  }

  /// The error of a template without a usable version: Bcfg2's words, and the reason that the log has. Bcfg2 compiles a
  /// Cheetah template when it renders it, and so gives the reason alone.
  private func noTemplate(_ request: Request) -> any Error {
    guard let problem = request.source.problem else {
      return PluginExecutionError("Failed to load template \(request.source.path)")
    }
    let text = request.kind == .cheetah ? problem : "Failed to load template: \(problem)"
    return TemplateFailure(RenderFailure(text, isTemplateError: true))
  }

  /// Renders in one process; returns those whose version could not be used, and those that have to wait for queries.
  private func render(
    _ all: [PendingRendering], _ metadata: ClientMetadata, _ awaited: AwaitedQueries
  ) async -> [PendingRendering] {
    let batch = pool.render(
      all.map(\.job), client: client(metadata), generation: Int(truncatingIfNeeded: core.repositoryGeneration),
      watchSerial: files.forgottenCount, helperSerial: core.interfaces.helperModules?.helperSerial, parent: Self.asking)
    return await handleEvents(of: batch, all, metadata, awaited, askedIn: stateOfAll)
  }

  /// - Parameter asked: the state in which the first question may have been asked.
  private func handleEvents(
    of batch: RenderBatch, _ all: [PendingRendering], _ metadata: ClientMetadata, _ awaited: AwaitedQueries,
    askedIn asked: StateOfAll
  ) async -> [PendingRendering] {
    var unusable: [PendingRendering] = []
    var others: [Task<[PendingRendering], Never>] = []
    /// The template that is rendered.
    var current = 0
    while let event = await batch.next() {
      if case .result(let index, _) = event { current = index + 1 }
      switch event {
      case .question(let question):
        let requests = all.map { ($0.request, $0.version) }
        batch.answer(
          await Self.$asking.withValue(batch) { await answer(question, metadata, requests, awaited) })
      case .log(let line): log(line)
      // At once: where the template hangs, an edit of the file is what mends it.
      case .file(let path):
        _ = files.watch([path], for: all[min(current, all.count - 1)].request.source.path)
      case .continued(let rest, let index):
        others.append(Task { await handleEvents(of: rest, Array(all[index...]), metadata, awaited, askedIn: asked) })
      case .result(let index, .unusable(let reason)):
        let pending = all[index]
        if pending.request.source.isBad(pending.version.number, reason) {
          logger.error("\(pending.request.source.path): Failed to load template: \(reason)")
          onFailed?(pending.request.source.path, reason)
        }
        unusable.append(pending)
      case .result(let index, .postponed): unusable.append(all[index])
      case .result(let index, .failed(let failure)):
        metadata.markUncacheable()
        let failed = TemplateFailure(failure, limitOption: all[index].request.limitOption)
        onFailed?(all[index].request.source.path, failed.description)
        all[index].finish(.failure(failed))
      case .result(let index, .rendered(let rendering)):
        await finish(rendering, all[index], metadata, askedIn: asked)
      }
    }
    for other in others { unusable += await other.value }
    return unusable
  }

  /// - Parameter asked: the state when the template asked about other clients, or an earlier one.
  private func finish(
    _ rendering: Rendering, _ pending: PendingRendering, _ metadata: ClientMetadata, askedIn asked: StateOfAll
  ) async {
    pending.request.source.isGood(pending.version.number)
    renderedCount += 1
    let isRepeatable = settings.isTraced && rendering.questions != nil && rendering.reasons.isEmpty
    let digest = isRepeatable ? FileDigest(rendering.output) : nil
    let value: AnyObject
    do {
      value = try keptValue(pending.key, ofOutput: digest) ?? pending.request.make(rendering.output)
    } catch {
      return pending.finish(.failure(error))
    }
    // Watch first, then compare: a change from here on raises an event.
    let isWatched =
      files.watch(rendering.files.map(\.path), for: pending.request.source.path)
      && rendering.files.allSatisfy { Name.areSame(files.signature($0.path), $0.signature) }
    let forgotten = files.forgottenCount
    let questions = (rendering.questions ?? []) + rendering.files.map { ["file", .text($0.path)] }
    onReport?(
      pending.request.source.path,
      Report(
        questions: questions, files: rendering.files.map(\.path), reasons: rendering.reasons, isRepeatable: isRepeatable
      ))
    guard let digest, isWatched, questions.reduce(0, { $0 + $1.weight }) <= Self.traceBytes else {
      pending.isUncacheable = true
      return pending.finish(.success(value))
    }
    var trace: [(question: TemplateValue, answer: TemplateValue)] = []
    for question in questions {
      guard let answer = await traceAnswer(question, metadata) else {
        pending.isUncacheable = true
        return pending.finish(.success(value))
      }
      trace.append((question, answer))
    }
    let dependsOnOthers = questions.contains { Self.isAboutOthers($0) }
    // The answers are those of now: others than the template got, where others have changed, and files may be unwatched.
    guard !dependsOnOthers || asked == stateOfAll, forgotten == files.forgottenCount else {
      pending.isUncacheable = true
      return pending.finish(.success(value))
    }
    kept.keep(
      pending.key, trace, value, output: (digest, rendering.output.count), dependsOnOthers: dependsOnOthers)
    pending.isUncacheable = dependsOnOthers
    pending.finish(.success(value))
  }

  /// What was made of the same output before.
  private func keptValue(_ key: RenderingCache.Key, ofOutput digest: FileDigest?) -> AnyObject? {
    guard let digest, onReport == nil else { return nil }
    return kept.value(key, ofOutput: digest)
  }

  private func useKept(_ pending: PendingRendering, _ metadata: ClientMetadata) async -> Bool {
    guard settings.isTraced, onReport == nil else { return false }
    guard let found = await find(pending.key, metadata) else { return false }
    pending.isUncacheable = found.dependsOnOthers
    pending.finish(.success(found.value))
    return true
  }

  /// What answers about other clients are made from.
  private struct StateOfAll: Equatable {
    let repository: UInt64
    let clients: UInt64
  }

  private var stateOfAll: StateOfAll {
    StateOfAll(repository: core.repositoryGeneration, clients: core.clientChanges)
  }

  // MARK: What renderers are told

  private func client(_ metadata: ClientMetadata) -> (serial: UInt64, form: TemplateValue) {
    (serial(of: metadata), metadata.templateForm)
  }

  /// A number that is the same as long as what is known of a client is.
  package func serial(of metadata: ClientMetadata) -> UInt64 {
    if let serial = metadata.templateSerial { return serial }
    Self.lastSerial += 1
    metadata.templateSerial = Self.lastSerial
    return Self.lastSerial
  }

  private func variables(of request: Request, _ metadata: ClientMetadata) throws -> [TemplateJob.Provider] {
    let path = request.source.path
    return try core.interfaces.templateDataProviders.compactMap { provider in
      if provider is any HelperModules { return request.kind == .xml ? nil : .init(name: provider.name, values: nil) }
      let values: [String: any ConnectorData]
      if request.kind == .xml {
        values = try provider.xmlTemplateData(path: path, metadata: metadata)
      } else {
        let entry = Element("Path", ["name": request.entryName ?? ""])
        values = try provider.templateData(entry: entry, metadata: metadata, template: path)
      }
      guard !values.isEmpty else { return nil }
      let members = values.sorted { $0.key < $1.key }.map { name, value in
        TemplateValue.Member(name, (value as? any TemplateReadable)?.templateForm["value"] ?? .record([]))
      }
      return .init(name: provider.name, values: members)
    }
  }

  func log(_ line: TemplateValue, to other: Logger? = nil) {
    let logger = other ?? logger
    guard let whole = line["text"]?.text else { return }
    let text = String(decoding: whole.utf8.prefix(Self.logLineBytes), as: UTF8.self)
    if let path = line["broken"]?.text { onFailed?(path, text) }
    if let once = line["once"]?.text {
      // Bounded by what the repository's helper modules can say; forgotten all at once.
      if loggedOnce.count > 10_000 { loggedOnce.removeAll() }
      guard loggedOnce.insert("\(once.utf8.count > 4096 ? "" : once) \(text)").inserted else { return }
    }
    switch line["level"]?.text {
    case "error": logger.error("\(text)")
    case "warning": logger.warning("\(text)")
    default: logger.info("\(text)")
    }
  }
}

/// A rendering that failed, as the error of its entry.
package struct TemplateFailure: Error, CustomStringConvertible {
  package let description: String
  /// Genshi's TemplateError: the template is wrong, or says on purpose that it is not for this client.
  package let isTemplateError: Bool

  /// - Parameter limitOption: the option that bounds the output.
  init(_ failure: RenderFailure, limitOption: String? = nil) {
    let option = failure.isTooLarge ? limitOption.map { " (\($0))" } : nil
    description = failure.description + (option ?? "")
    isTemplateError = failure.isTemplateError
  }
}
