import COpenSSL
import Identity
import OrderedCollections
import Templates
import XMLRPC

/// Answers about several clients, as long as nothing that concerns clients changes.
struct QueryAnswers {
  private var repository: UInt64 = 0
  private var clients: UInt64 = 0
  private var known: [TemplateValue: TemplateValue] = [:]

  /// The answer to a question in the state of the core; nil where it has to be made.
  mutating func answer(_ question: TemplateValue, _ core: ServerCore) -> TemplateValue? {
    if repository != core.repositoryGeneration || clients != core.clientChanges {
      known.removeAll()
      repository = core.repositoryGeneration
      clients = core.clientChanges
    }
    return known[question]
  }

  mutating func keep(_ answer: TemplateValue, of question: TemplateValue) {
    if known.count < 1000 { known[question] = answer }
  }
}

extension TemplateRenderer {
  // MARK: Questions of a template that is being rendered

  /// Answers what a renderer asks: see `ask` in renderer/main.py for the forms.
  func answer(
    _ question: TemplateValue, _ metadata: ClientMetadata,
    _ requests: [(request: Request, version: TemplateSource.Version)], _ awaited: AwaitedQueries
  ) async -> Result<TemplateValue, TemplateQuestionError> {
    do {
      return .success(try await value(question.list ?? [], metadata, requests, awaited))
    } catch let error as TemplateQuestionError {
      return .failure(error)
    } catch let error as MetadataConsistencyError {
      return .failure(TemplateQuestionError("\(error)", kind: "metadata"))
    } catch {
      return .failure(TemplateQuestionError("\(error)"))
    }
  }

  private func value(
    _ words: [TemplateValue], _ metadata: ClientMetadata,
    _ requests: [(request: Request, version: TemplateSource.Version)], _ awaited: AwaitedQueries
  ) async throws -> TemplateValue {
    func word(_ index: Int) throws -> String {
      guard index < words.count, let text = words[index].text else { throw Self.nonsense }
      return text
    }
    switch try word(0) {
    case "source":
      let path = try word(1)
      for (request, version) in requests
      where Name.areSame(request.source.path, path) && words.last?.int == version.number {
        return .bytes(version.bytes)
      }
      throw TemplateQuestionError("\(path) is not to be rendered in this version")
    case "query": return try await query(try word(1), Array(words.dropFirst(2)))
    case "clients": return try await clients(try word(1), words.count > 2 ? words[2] : .none)
    case "client": return try await client(named: try word(1)).templateFormWithSerial
    case "password":
      return try await client(try word(1), metadata).facts.password.map { .text($0) } ?? .none
    case "connector":
      let data = try await client(try word(1), metadata).facts.data[try word(2)]
      return (data as? any TemplateReadable)?.templateForm ?? NoConnectorData().templateForm
    case "queried":
      let asked = try await client(try word(1), metadata)
      guard let data = asked.facts.data[try word(2)] as? any TemplateQueryData else { throw Self.nonsense }
      let name = words.count > 3 ? try word(3) : nil
      guard let answer = await awaited.answer(.list(words), data, name, asked, on: core.loop) else {
        throw TemplateQuestionError("a query has not been answered yet", kind: "later")
      }
      return answer
    case "property":
      let data = try await client(try word(1), metadata).facts.data[try word(2)]
      guard let source = (data as? any TemplateFileData)?.templateFile(try word(3)) else {
        throw TemplateQuestionError("there is no \(try word(3))")
      }
      return source.form(known: words.last?.int)
    case "helpers":
      guard let plugin = core.interfaces.helperModules else { throw Self.nonsense }
      return plugin.helperForm(known: words.last)
    case "decrypt":
      let path = try word(1)
      guard requests.contains(where: { $0.request.isEncrypted }) else { throw Self.nonsense }
      return .bytes(try core.decryptedFile(path))
    case "write":
      guard let plugin = core.plugins[try word(1)] as? any TemplateFileWriter, let bytes = words.last?.contents else {
        throw Self.nonsense
      }
      if dropsWrites { return true }
      try await plugin.writeTemplateFile(bytes, to: try word(2))
      return true
    default: throw Self.nonsense
    }
  }

  private static let nonsense = TemplateQuestionError("the renderer asked what makes no sense")

  /// The client that a scope names: the one that is rendered for, or another by name.
  private func client(_ scope: String, _ metadata: ClientMetadata) async throws -> ClientMetadata {
    scope.isEmpty ? metadata : try await client(named: scope)
  }

  /// A client that the server knows: asking about another name makes no client of it.
  private func client(named name: String) async throws -> ClientMetadata {
    guard let name = try? ClientName(recorded: name), core.metadata.knowsClient(name) else {
      throw MetadataConsistencyError("there is no client \(name)")
    }
    return try await core.buildMetadata(name)
  }

  private func query(_ name: String, _ arguments: [TemplateValue]) async throws -> TemplateValue {
    let question = TemplateValue.list([.text(name)] + arguments)
    if let known = answers.answer(question, core) { return known }
    let answer: TemplateValue
    switch name {
    case "all_clients": answer = .texts(await core.metadata.listClients().map(\.text))
    case "all_groups": answer = .texts(core.metadata.knownGroups.sorted())
    case "all_groups_in_category":
      let category = arguments.first?.text
      let groups = core.metadata.groups.values.filter { group in
        group.category.map { one in category.map { Name.areSame(one, $0) } ?? false } ?? (category == nil)
      }
      answer = .texts(Self.inOrder(groups.map(\.name)))
    case "names_by_groups", "names_by_profiles":
      answer = .texts(try await matching(name, arguments.first ?? .none).map(\.facts.hostname.text))
    default: throw Self.nonsense
    }
    answers.keep(answer, of: question)
    return answer
  }

  private func clients(_ name: String, _ names: TemplateValue) async throws -> TemplateValue {
    .list(try await matching(name, names).map(\.templateFormWithSerial))
  }

  private func matching(_ question: String, _ names: TemplateValue) async throws -> [ClientMetadata] {
    let wanted = NameSet(names.texts)
    // What is no text is the name of no group.
    let areNames = names.texts.count == names.list?.count ?? 0
    var found: [ClientMetadata] = []
    for name in await core.metadata.listClients() {
      let client = try await core.buildMetadata(name)
      let fits =
        switch question {
        case "names_by_groups", "by_groups": areNames && client.facts.groups.isSuperset(of: wanted)
        case "names_by_profiles", "by_profiles": client.facts.profile.map { wanted.contains($0) } ?? false
        default: true
        }
      if fits { found.append(client) }
    }
    return found
  }

  // MARK: Questions of a trace

  /// Finds a kept result that stands for a client. Many templates ask the same: a question is answered once.
  func find(_ key: RenderingCache.Key, _ metadata: ClientMetadata) async -> RenderingCache.Result? {
    let answers = metadata.templates.answers
    let now = state(of: metadata)
    // swift-format-ignore: OnlyOneTrailingClosureArgument
    return await kept.find(key, known: { answers.answer($0, in: now) }) { question in
      let asked = state(of: metadata)
      let answer = await traceAnswer(question.value, metadata)
      // What depends on other clients changes with them, too.
      if let answer, asked == state(of: metadata), !Self.isAboutOthers(question.value),
        question.value.list?.first?.text != "query"
      {
        answers.keep(answer, of: question, in: asked)
      }
      return answer
    }
  }

  /// What a question of a trace is answered with now; nil where it cannot be.
  func traceAnswer(_ question: TemplateValue, _ metadata: ClientMetadata) async -> TemplateValue? {
    let words = question.list ?? []
    func word(_ index: Int) -> String? { index < words.count ? words[index].text : nil }
    do {
      switch word(0) {
      case "of":
        guard let scope = word(1), let field = word(2) else { return nil }
        if scope.isEmpty, let known = answerNow(question, metadata) { return known }
        let asked = try await client(scope, metadata)
        if let data = Self.queryData(question, asked) {
          return Self.answer(of: await data.answer(Self.queryName(question), asked))
        }
        return Self.answer(field, word(3), word(4), of: asked.facts).map { Self.digest($0) }
      case "query":
        guard let name = word(1) else { return nil }
        return Self.digest(try await query(name, Array(words.dropFirst(2))))
      case "client":
        guard let name = word(1) else { return nil }
        // That there is none is an answer: a result that was made without it goes when the client comes.
        guard let known = try? ClientName(recorded: name), core.metadata.knowsClient(known) else {
          return TemplateValue.none
        }
        return .text(try await client(named: name).facts.hostname.text)
      case "clients":
        return [
          .int(Int(truncatingIfNeeded: core.repositoryGeneration)), .int(Int(truncatingIfNeeded: core.clientChanges)),
        ]
      case "file": return answerNow(question, metadata)
      default: return nil
      }
    } catch {
      return nil
    }
  }

  /// The same of what is answered without waiting: questions about the client itself, and about files. nil also where the
  /// others have to be asked.
  func answerNow(_ question: TemplateValue, _ metadata: ClientMetadata) -> TemplateValue? {
    let words = question.list ?? []
    func word(_ index: Int) -> String? { index < words.count ? words[index].text : nil }
    switch word(0) {
    case "of":
      guard let scope = word(1), scope.isEmpty, let field = word(2) else { return nil }
      // Many templates ask the same of one client.
      let answers = metadata.templates.answers
      if let known = answers.answer(question, in: state(of: metadata)) { return known }
      if let data = Self.queryData(question, metadata) {
        return data.knownAnswer(Self.queryName(question), metadata).flatMap { Self.answer(of: $0) }
      }
      let answer = Self.answer(field, word(3), word(4), of: metadata.facts).map { Self.digest($0) }
      if let answer { answers.keep(answer, of: question) }
      return answer
    case "file": return word(1).map { .text(files.signature($0)) }
    default: return nil
    }
  }

  func state(of metadata: ClientMetadata) -> TraceAnswers.State {
    TraceAnswers.State(
      repository: core.repositoryGeneration, client: serial(of: metadata),
      queries: core.interfaces.templateQueries?.querySerial ?? 0)
  }

  /// The data that a question `of` is about, where it is fetched.
  private static func queryData(_ question: TemplateValue, _ metadata: ClientMetadata) -> (any TemplateQueryData)? {
    guard let words = question.list, words.count > 3, ["item", "keys"].contains(words[2].text),
      let connector = words[3].text
    else { return nil }
    return metadata.facts.data[connector] as? any TemplateQueryData
  }

  /// The name of the result that such a question is about; nil: of all names.
  private static func queryName(_ question: TemplateValue) -> String? {
    question.list.flatMap { $0.count > 4 ? $0[4].text : nil }
  }

  /// What a trace keeps of an answer; nil where it says that there is none.
  private static func answer(of fetched: TemplateValue) -> TemplateValue? {
    fetched["problem"] == nil ? digest(fetched) : nil
  }

  private static func answer(
    _ field: String, _ first: String?, _ second: String?, of client: ClientMetadata.Facts
  ) -> TemplateValue? {
    func optional(_ text: String?) -> TemplateValue { text.map { .text($0) } ?? .none }
    func set(_ name: String?) -> [String]? {
      switch name {
      case "groups": client.groups.sorted()
      case "bundles": inOrder(client.bundles.map(\.text))
      case "aliases": inOrder(client.aliases.map(\.text))
      case "addresses": client.addresses.sorted()
      default: nil
      }
    }
    switch field {
    case "hostname": return .text(client.hostname.text)
    case "profile": return optional(client.profile)
    case "uuid": return optional(client.uuid)
    case "version": return optional(client.version)
    case "password": return optional(client.password)
    case "connectors": return .texts(client.connectors)
    case "category": return first.map { optional(client.categories[$0]) }
    case "categories":
      return .list(client.categories.sorted().map { [.text($0.key), .text($0.value)] })
    case "in":
      guard let second else { return nil }
      switch first {
      case "groups": return .bool(client.groups.contains(second))
      case "bundles": return .bool(client.bundles.contains(Name(second)))
      case "aliases": return .bool(client.aliases.contains { $0.isSame(as: second) })
      case "addresses": return .bool(client.addresses.contains(second))
      default: return nil
      }
    case "connector", "keys", "item":
      guard let first else { return nil }
      let data = client.data[first]
      guard let readable = data as? any TemplateReadable else { return data == nil ? TemplateValue.none : .record([]) }
      switch field {
      case "connector": return readable.templateForm
      case "keys": return .texts(readable.templateKeys)
      default: return second.map { readable.templateItem($0) ?? .none }
      }
    default: return set(field).map { .texts($0) }
    }
  }

  /// Names in the order of their bytes, which is Python's.
  static func inOrder(_ names: [String]) -> [String] { names.map { Name($0) }.sorted().map(\.text) }

  /// A short value is its own answer, of a long one its digest.
  private static func digest(_ value: TemplateValue) -> TemplateValue {
    switch value {
    case .none, .bool, .int, .double: return value
    case .text(let text) where text.utf8.count <= 64: return value
    default: break
    }
    let bytes = PythonMarshal.encode(value)
    if bytes.count <= 64 { return value }
    return .bytes(
      [UInt8](unsafeUninitializedCapacity: Int(SHA256_DIGEST_LENGTH)) { digest, count in
        SHA256(bytes, bytes.count, digest.baseAddress)
        count = Int(SHA256_DIGEST_LENGTH)
      })
  }

  /// Whether a question is about clients other than the one that is rendered for.
  static func isAboutOthers(_ question: TemplateValue) -> Bool {
    guard let words = question.list, let first = words.first?.text else { return true }
    switch first {
    case "of": return words.count < 2 || words[1].text != ""
    case "file": return false
    // The groups of a category are the repository's.
    case "query": return !["all_groups_in_category", "all_groups"].contains(words[1].text)
    default: return true
    }
  }
}

extension ClientMetadata {
  /// The form of another client, which a renderer keeps no longer than the template that asked for it.
  fileprivate var templateFormWithSerial: TemplateValue {
    .record((templateForm.members ?? []) + [.init("data", .record([]))])
  }
}
