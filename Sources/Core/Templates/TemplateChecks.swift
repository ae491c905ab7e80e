import EventLoop
import Glibc
import Logging
import ServerSettings
import Templates
import XMLRPC

/// Loads templates when they were read, at the start and after an edit, in a renderer and without rendering them: what is
/// wrong with one, or missing for it, is in the log before a client asks.
package final class TemplateChecks {
  /// Templates that are loaded in one message, so that clients have their turn.
  private static let batchCount = 20

  private struct Fresh {
    weak var source: TemplateSource?
  }

  private unowned let templates: TemplateRenderer
  /// Templates that have a version that was not loaded yet, by path.
  private var fresh: NameTable<Fresh> = [:]
  /// Libraries that are missing, as they were told of.
  private var missing: NameSet = []
  /// Whether modules of TemplateHelper were not loaded yet as they are now.
  private var hasFreshHelpers = false
  /// What was told of an interpreter that is not there.
  private var toldOfPython: String?
  /// Whether there was ever anything to load.
  private var hasTemplates = false
  private var hasBegun = false
  private var isRunning = false
  private var isEnded = false

  init(_ templates: TemplateRenderer) { self.templates = templates }

  /// Gathers templates that are read from now on.
  package func gather() {
    TemplateSource.observers[ObjectIdentifier(self)] = { [weak self] in self?.add($0) }
  }

  /// Whether a file is a template that was gathered and not loaded yet.
  package func hasGathered(_ path: String) -> Bool { fresh[path] != nil }

  /// Loads the gathered templates, and those that are read from now on.
  func begin() {
    hasBegun = true
    runLater()
  }

  func end() {
    isEnded = true
    TemplateSource.observers[ObjectIdentifier(self)] = nil
    fresh = [:]
  }

  /// Loads the gathered templates but those of some paths. Returns the paths of those that were loaded.
  package func load(except paths: Set<String>) async -> [String] {
    for path in paths { fresh[path] = nil }
    let all = fresh.sorted().map(\.key)
    await run()
    return all
  }

  /// The modules of TemplateHelper were read.
  package func helpersChanged() {
    hasFreshHelpers = true
    runLater()
  }

  /// Loads the modules of TemplateHelper, where they were not loaded yet.
  package func loadHelpers() async {
    guard hasFreshHelpers else { return }
    hasFreshHelpers = false
    guard let modules = templates.core.interfaces.helperModules else { return }
    let folder = "\(templates.core.settings.repository)/\(modules.name)"
    var job = TemplateJob(
      kind: .helpers, path: folder, version: .init(number: modules.helperSerial, bytes: []), name: nil, limitBytes: 0)
    job.onlyLoads = true
    await load([Load(source: nil, job: job)], in: templates.pool)
  }

  /// `[templates] python` is another one: what could not be loaded may be now.
  func pythonChanged() {
    toldOfPython = nil
    if hasBegun, !hasPython() { return }
    runLater()
  }

  /// What keeps `[templates] python` from being started, where anything is to be loaded; nil where it is there.
  package var pythonProblem: String? {
    let python = templates.settings.python
    guard hasTemplates, access(python, X_OK) != 0 else { return nil }
    let reason = String(cString: strerror(errno))
    let origin = templates.core.settings.origin(of: TemplateOptions.standard.python)
    return "\(origin): [templates] python = \(python): \(reason): templates cannot be rendered"
  }

  /// Whether there is a Python; says once where not.
  private func hasPython() -> Bool {
    guard let problem = pythonProblem else {
      toldOfPython = nil
      return true
    }
    if toldOfPython != problem { templates.logger.error("\(problem)") }
    toldOfPython = problem
    return false
  }

  private func add(_ source: TemplateSource) {
    let core = templates.core
    guard source.path.hasPrefix(core.settings.repository + "/") else { return }
    guard source.isTemplateIn13 || core.settings.compatibility != .v1_3 else { return }
    hasTemplates = true
    fresh[source.path] = Fresh(source: source)
    runLater()
  }

  private func runLater() {
    guard hasBegun, !isRunning, !isEnded, !fresh.isEmpty || hasFreshHelpers else { return }
    isRunning = true
    // What comes in the same turn of the loop goes together.
    templates.core.loop.post { [weak self] in
      Task {
        await self?.run()
        self?.isRunning = false
      }
    }
  }

  /// Loads the modules of queries that were not loaded yet, in a process for queries.
  package func loadQueries() async {
    let sources = fresh.values.compactMap(\.source).filter { $0.kind == .queries }
    guard !sources.isEmpty else { return }
    for source in sources { fresh[source.path] = nil }
    await load(sources, in: templates.queryPool)
  }

  private func run() async {
    // What was not loaded is when there is another Python.
    guard hasPython() else { return }
    while !isEnded, !fresh.isEmpty || hasFreshHelpers {
      await loadHelpers()
      await loadQueries()
      let paths = fresh.sorted().prefix(Self.batchCount).map(\.key)
      let sources = paths.compactMap { fresh[$0]?.source }
      for path in paths { fresh[path] = nil }
      await load(sources, in: templates.pool)
    }
    if !isEnded, templates.core.delegatesRendering {
      templates.pool.rest()
      templates.queries.current?.rest()
    }
  }

  private func load(_ sources: [TemplateSource], in pool: RendererPool) async {
    let loads = sources.compactMap { source -> Load? in
      // A client may have been first.
      guard let version = source.versions.first, !source.isProven(version.number) else { return nil }
      var job = TemplateJob(kind: source.kind, path: source.path, version: version, name: nil, limitBytes: 0)
      job.isEncrypted = source.isEncrypted
      job.onlyLoads = true
      return Load(source: source, job: job)
    }
    if !loads.isEmpty { await load(loads, in: pool) }
  }

  private struct Load {
    /// nil for modules of TemplateHelper.
    let source: TemplateSource?
    let job: TemplateJob
  }

  private func load(_ jobs: [Load], in pool: RendererPool) async {
    TemplateRenderer.lastSerial += 1
    let batch = pool.render(
      jobs.map(\.job), client: (TemplateRenderer.lastSerial, Self.nobody),
      generation: Int(truncatingIfNeeded: templates.core.repositoryGeneration),
      watchSerial: templates.files.forgottenCount, helperSerial: templates.core.interfaces.helperModules?.helperSerial,
      parent: nil)
    await handleEvents(of: batch, jobs)
  }

  private func handleEvents(of batch: RenderBatch, _ jobs: [Load]) async {
    var current = 0
    while let event = await batch.next() {
      if case .result(let index, _) = event { current = index + 1 }
      switch event {
      case .question(let question): batch.answer(answer(question.list ?? [], jobs))
      case .log(let line): templates.log(line)
      case .file(let path): _ = templates.files.watch([path], for: jobs[min(current, jobs.count - 1)].job.path)
      case .continued(let rest, let index): await handleEvents(of: rest, Array(jobs[index...]))
      case .result(_, .rendered), .result(_, .postponed): break
      case .result(let index, .unusable(let reason)):
        let isFirst = jobs[index].source?.isBad(jobs[index].job.version, reason) ?? true
        if isFirst { tell(jobs[index].job, reason) }
      case .result(let index, .failed(let failure)):
        if failure.isWithoutRenderer {
          // The log has a line for the renderer.
          templates.onFailed?(jobs[index].job.path, failure.description)
        } else if failure.isMissingLibrary {
          tellOfLibrary(jobs[index].job, failure.description)
        } else if !isEnded {
          tell(jobs[index].job, failure.description)
        }
      }
    }
  }

  private func tell(_ job: TemplateJob, _ reason: String) {
    if job.kind == .queries {
      templates.logger.error("Ldap: Failed to import \(job.path): \(reason)")
    } else {
      templates.logger.error("\(job.path): Failed to load template: \(reason)")
    }
    templates.onFailed?(job.path, reason)
  }

  /// Once for each library: a thousand templates may need it.
  private func tellOfLibrary(_ job: TemplateJob, _ reason: String) {
    templates.onFailed?(job.path, reason)
    guard missing.insert(reason).inserted else { return }
    if job.kind == .queries {
      templates.logger.error("\(job.path) cannot be used: \(reason)")
    } else {
      templates.logger.warning("\(job.path) and others like it cannot be rendered: \(reason)")
    }
  }

  /// What loading may ask for: texts. Of clients it asks nothing.
  private func answer(
    _ words: [TemplateValue], _ jobs: [Load]
  ) -> Result<TemplateValue, TemplateQuestionError> {
    if words.first?.text == "helpers", let modules = templates.core.interfaces.helperModules {
      return .success(modules.helperForm(known: words.last))
    }
    guard words.count > 1, let path = words[1].text else { return .failure(Self.noClient) }
    switch words[0].text {
    case "source":
      guard let job = jobs.first(where: { Name.areSame($0.job.path, path) && words.last?.int == $0.job.version })?.job
      else {
        return .failure(TemplateQuestionError("\(path) is not to be loaded in this version"))
      }
      return .success(.bytes(job.source))
    case "decrypt":
      guard jobs.contains(where: { $0.job.isEncrypted }) else { return .failure(Self.noClient) }
      do {
        return .success(.bytes(try templates.core.decryptedFile(path)))
      } catch {
        return .failure(TemplateQuestionError("\(error)"))
      }
    default: return .failure(Self.noClient)
    }
  }

  private static let noClient = TemplateQuestionError("a template that is only loaded has no client")

  private static let nobody: TemplateValue = [
    "hostname": "", "profile": .none, "groups": .list([]), "bundles": .list([]), "aliases": .list([]),
    "addresses": .list([]), "categories": .record([]), "uuid": .none, "version": .none, "connectors": .list([]),
  ]
}
