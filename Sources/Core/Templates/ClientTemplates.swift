import Repository
package import Templates

/// The state of one client's templates while its configuration is built: renderings ahead, and answers to traces.
final class ClientTemplates {
  /// Templates that are being rendered for the configuration that is built, or were.
  var ahead: RenderedAhead?
  /// Structures whose entries are bound next, as long as none of their templates had to be rendered.
  var structures: ArraySlice<Element>?
  let answers = TraceAnswers()
}

/// Answers about one client in one state of the repository.
final class TraceAnswers {
  /// Questions, at most; beyond it all of them are forgotten.
  private static let limit = 1000
  private var state = State(repository: 0, client: 0, queries: 0)
  private var known: [TemplateValue: TemplateValue] = [:]
  /// The same, by the number of a kept question.
  private var numbered: [Int: TemplateValue] = [:]
  private let lists = RenderingCache.Memory()

  /// What answers are made from: files, and what is known of the client so far.
  struct State: Equatable {
    let repository: UInt64
    let client: UInt64
    /// Of what queries give.
    let queries: UInt64
  }

  func answer(_ question: TemplateValue, in state: State) -> TemplateValue? {
    enter(state)
    return known[question]
  }

  func answer(_ question: RenderingCache.Question, in state: State) -> TemplateValue? {
    enter(state)
    return numbered[question.number]
  }

  /// What was answered to whole lists of questions.
  func lists(in state: State) -> RenderingCache.Memory {
    enter(state)
    return lists
  }

  func keep(_ answer: TemplateValue, of question: TemplateValue) {
    if known.count >= Self.limit { known.removeAll() }
    known[question] = answer
  }

  /// - Parameter state: the one in which the question was asked; nothing is kept where it is over.
  func keep(_ answer: TemplateValue, of question: RenderingCache.Question, in state: State) {
    guard self.state == state else { return }
    if numbered.count >= Self.limit { numbered.removeAll() }
    numbered[question.number] = answer
  }

  private func enter(_ state: State) {
    guard self.state != state else { return }
    known.removeAll()
    numbered.removeAll()
    lists.removeAll()
    self.state = state
  }
}

extension TemplateRenderer {
  /// The result of `render`, if it was rendered ahead or kept; nil where only `render` can tell.
  ///
  /// - Throws: as `render` does.
  package func ready(
    _ kind: TemplateJob.Kind, _ source: TemplateSource, entryName: String, limitBytes: Int, _ metadata: ClientMetadata
  ) throws -> AnyObject? {
    let templates = metadata.templates
    switch templates.ahead?.removeFinished(source, entryName: entryName) {
    case .finished(let pending): return try recorded(pending, pending.finishedValue(metadata), metadata)
    case .waiting: return nil
    case nil, .some(.none): break
    }
    guard settings.isTraced, onReport == nil, core.interfaces.templatesShareVariables,
      let tree = keptTree(kind, source, entryName, limitBytes)
    else { return nil }
    guard let found = findNow(in: tree, metadata) else { return nil }
    if found.dependsOnOthers { metadata.markUncacheable() }
    metadata.recorder?.used(found.value, of: tree.key)
    return found.value
  }

  /// Records the result of a template for the part that is made with it.
  func recorded(_ pending: PendingRendering, _ value: AnyObject, _ metadata: ClientMetadata) -> AnyObject {
    guard let recorder = metadata.recorder else { return value }
    // Variables of other plugins differ from client to client without a question.
    if core.interfaces.templatesShareVariables {
      recorder.used(value, of: pending.key)
    } else {
      recorder.markUnkeepable()
    }
    return value
  }

  /// The kept result that stands for a client; nil where there is none.
  func keptResult(_ key: RenderingCache.Key, _ metadata: ClientMetadata) async -> AnyObject? {
    guard settings.isTraced, onReport == nil, let tree = kept.tree(key) else { return nil }
    if let found = findNow(in: tree, metadata) { return found.value }
    return await find(key, metadata)?.value
  }

  /// A kept result for a client, without waiting; nil where there is none, or only `find` can tell.
  private func findNow(in tree: RenderingCache.Tree, _ metadata: ClientMetadata) -> RenderingCache.Result? {
    let answers = metadata.templates.answers
    let state = state(of: metadata)
    return kept.findNow(in: tree, answers.lists(in: state)) { question in
      if let known = answers.answer(question, in: state) { return known }
      let answer = answerNow(question.value, metadata)
      if let answer { answers.keep(answer, of: question, in: state) }
      return answer
    }
  }

  private func keptTree(
    _ kind: TemplateJob.Kind, _ source: TemplateSource, _ entryName: String, _ limitBytes: Int
  ) -> RenderingCache.Tree? {
    guard let version = source.newestNumber else { return nil }
    if let place = source.keptPlace, place.version == version, place.limitBytes == limitBytes, place.kind == kind,
      place.tree.isCurrent, TemplateValue.areSame(place.entryName, entryName)
    {
      return place.tree
    }
    let variables = core.interfaces.templateDataProviders.map { TemplateJob.Provider(name: $0.name, values: nil) }
    let key = RenderingCache.Key(
      kind: kind, path: .text(source.path), version: version, name: .text(entryName), variables: variables,
      limitBytes: limitBytes)
    guard let tree = kept.tree(key) else { return nil }
    source.keptPlace = TemplateSource.KeptPlace(
      kind: kind, version: version, limitBytes: limitBytes, entryName: entryName, tree: tree)
    return tree
  }

  /// Begins to render the templates of all entries that are bound next, so that they go to the renderers together: once,
  /// when the first one has to be rendered.
  func beginStructures(_ metadata: ClientMetadata) {
    let templates = metadata.templates
    guard let structures = templates.structures else { return }
    templates.structures = nil
    // What is asked here is asked again, by the part that it is for, when an entry is bound.
    let recorder = metadata.recorder
    metadata.recorder = nil
    defer { metadata.recorder = recorder }
    let generators = core.interfaces.templateGenerators.filter(\.hasTemplates)
    var requests: [Request] = []
    for entry in structures.lazy.flatMap(\.children) where !entry.isBound {
      guard let name = entry.name else { continue }
      // An entry that is being bound has the name in altsrc.
      let realName = entry["realname"] ?? name
      for generator in generators {
        let looked = entry["altsrc"] ?? name
        if let request = generator.templateRequest(tag: entry.tag, name: looked, realName: realName, metadata) {
          requests.append(request)
        }
        let files = generator.structureFiles(tag: entry.tag, name: looked, metadata)
        requests += files.compactMap { self.request(of: $0) }
      }
    }
    renderAhead(requests, metadata)
  }
}

extension ClientMetadata {
  /// The state of its templates.
  var templates: ClientTemplates {
    if let known = templateState { return known }
    let made = ClientTemplates()
    templateState = made
    return made
  }
}
