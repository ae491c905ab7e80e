import EventLoop
package import Logging
package import Templates

/// Runs queries of plugins, which are Python in the repository, in processes beside those of the templates: a server
/// elsewhere that does not answer keeps no template from being rendered.
extension TemplateRenderer {
  /// What became of a request.
  package enum QueryOutcome {
    case answer(TemplateValue)
    /// The module cannot be used, or nothing can run it.
    case unusable(String)
    /// The process was ended: it took too long, or too much.
    case failed(String)
  }

  /// How queries are run, as a plugin's options say; nil where no plugin has any.
  package var querySettings: QuerySettings? {
    get { queries.settings }
    set { queries.settings = newValue }
  }

  /// The processes for queries; started when the first one is asked.
  var queryPool: RendererPool { queries.pool(self) }

  /// Numbers of the processes for queries that are there.
  package var queryProcessIDs: [Int32] { queries.current?.processIDs ?? [] }

  /// Asks queries for a client: those of the newest version of the module that can be loaded.
  ///
  /// - Parameter request: what renderer/queries.py is asked.
  package func ask(
    _ module: TemplateSource, _ request: [TemplateValue.Member], _ metadata: ClientMetadata, logger: Logger
  ) async -> QueryOutcome {
    while let version = module.versions.first {
      var job = TemplateJob(
        kind: .queries, path: module.path, version: version, name: nil, limitBytes: QuerySettings.resultBytes)
      job.variables = [TemplateJob.Provider(name: "ask", values: request)]
      switch await Self.$asking.withValue(nil, operation: { await run(job, metadata, logger) }) {
      case .rendered(let rendering):
        module.isGood(version.number)
        guard let answer = try? PythonMarshal.decode(rendering.output) else {
          return .failed("the process for queries answered what makes no sense")
        }
        return .answer(answer)
      case .unusable(let reason):
        if module.isBad(version.number, reason) {
          logger.error("Ldap: Failed to import \(module.path): \(reason)")
          onFailed?(module.path, reason)
        }
      case .failed(let failure):
        if failure.isMissingLibrary || failure.isWithoutRenderer { return .unusable(failure.description) }
        return .failed(failure.description)
      case .postponed: return .failed("queries cannot ask for what queries give")
      }
    }
    return .unusable(module.problem ?? "there is no \(module.path)")
  }

  private func run(_ job: TemplateJob, _ metadata: ClientMetadata, _ logger: Logger) async -> RenderResult {
    let batch = queryPool.render(
      [job], client: (serial(of: metadata), metadata.templateForm),
      generation: Int(truncatingIfNeeded: core.repositoryGeneration), watchSerial: files.forgottenCount,
      helperSerial: core.interfaces.helperModules?.helperSerial, parent: nil)
    var result = RenderResult.failed(RenderFailure("the process for queries said nothing"))
    while let event = await batch.next() {
      switch event {
      case .question(let question): batch.answer(await answer(ofQuery: question, job, metadata))
      case .log(let line): log(line, to: logger)
      case .result(_, let found): result = found
      // Nothing is recorded, and there is one job.
      case .file, .continued: break
      }
    }
    return result
  }

  /// Answers what a query asks: about its client as a template does, but not for what queries give.
  private func answer(
    ofQuery question: TemplateValue, _ job: TemplateJob, _ metadata: ClientMetadata
  ) async -> Result<TemplateValue, TemplateQuestionError> {
    switch question.list?.first?.text {
    case "source": .success(.bytes(job.source))
    case "queried": .failure(TemplateQuestionError("queries cannot ask for what queries give"))
    case "write": .failure(TemplateQuestionError("queries cannot write files"))
    default: await answer(question, metadata, [], AwaitedQueries())
    }
  }
}

/// How processes for queries are started and bounded.
package struct QuerySettings: Hashable {
  /// Bytes of an answer, at most.
  static let resultBytes = 16 << 20

  /// Processes, at most.
  package var processes: Int
  /// How long one request may take.
  package var timeout: Duration
  /// Whether modules are 1.3's.
  package var isLegacy: Bool

  package init(processes: Int, timeout: Duration, isLegacy: Bool) {
    self.processes = processes
    self.timeout = timeout
    self.isLegacy = isLegacy
  }
}

/// The processes for queries of one core.
final class QueryProcesses {
  var settings: QuerySettings? { didSet { if settings != oldValue { replace() } } }
  private(set) var current: RendererPool?
  private var retired: [RendererPool] = []

  func pool(_ templates: TemplateRenderer) -> RendererPool {
    if let current { return current }
    var settings = templates.settings
    let own = self.settings ?? QuerySettings(processes: 1, timeout: settings.timeout, isLegacy: false)
    settings.processes = own.processes
    settings.timeout = own.timeout
    settings.isTraced = false
    // A server elsewhere is what they are for.
    settings.allowsNetwork = true
    settings.queries = RendererSettings.Queries(
      isLegacy: own.isLegacy, option: "[ldap] timeout", networkTimeout: own.timeout / 3)
    let pool = templates.makePool(settings)
    current = pool
    return pool
  }

  /// The processes end when they have answered; others are started as the settings say then.
  func replace() {
    guard let pool = current.take() else { return }
    pool.retire { [weak self, unowned pool] in self?.retired.removeAll { $0 === pool } }
    if pool.count > 0 { retired.append(pool) }
  }

  func close() {
    for pool in retired { pool.close() }
    current.take()?.close()
  }
}
