import DequeModule

/// One template that is to be rendered.
public struct TemplateJob: Hashable, Sendable {
  /// Which engine and which form, in renderer/engines.py's words.
  public enum Kind: String, Hashable, Sendable {
    case genshi, cheetah, jinja2
    /// Genshi's older text syntax.
    case oldGenshi = "old-genshi"
    /// A file in XML, from a template in XML.
    case genshiXML = "genshi-xml"
    /// A structure file: a bundle, rules.
    case xml
    /// No template: the modules of TemplateHelper, which are only loaded.
    case helpers
  }

  public var kind: Kind
  /// Absolute path of the template.
  public var path: String
  /// Which version of its text is to be used.
  public var version: Int
  /// The text of that version.
  public var source: [UInt8]
  /// The name of the entry; nil for XML templates.
  public var name: String?
  /// Most bytes of the result.
  public var limitBytes: Int
  /// Whether the file is encrypted, and so what it includes.
  public var isEncrypted = false
  /// Variables by provider; nil values: those of the helper modules.
  public var variables: [Provider] = []
  /// Whether it is loaded and not rendered: what is wrong with it for whichever client is found.
  public var onlyLoads = false
  /// Whether this version was rendered before, for whichever client.
  public var isProven = false

  /// A plugin that gives variables to templates.
  public struct Provider: Hashable, Sendable {
    public let name: String
    public let values: [TemplateValue.Member]?

    public init(name: String, values: [TemplateValue.Member]?) {
      self.name = name
      self.values = values
    }
  }

  public init(kind: Kind, path: String, version: TemplateSource.Version, name: String?, limitBytes: Int) {
    self.kind = kind
    self.path = path
    self.version = version.number
    source = version.bytes
    self.name = name
    self.limitBytes = limitBytes
  }

  func form(withSource: Bool) -> TemplateValue {
    var members: [TemplateValue.Member] = [
      .init("kind", .text(kind.rawValue)), .init("path", .text(path)), .init("version", .int(version)),
      .init("limit", .int(limitBytes)),
    ]
    if let name { members.append(.init("name", .text(name))) }
    if isEncrypted { members.append(.init("is_encrypted", true)) }
    if onlyLoads { members.append(.init("loads", true)) }
    if !variables.isEmpty {
      let list = variables.map { [.text($0.name), $0.values.map { .record($0) } ?? .none] as TemplateValue }
      members.append(.init("variables", .list(list)))
    }
    if withSource { members.append(.init("source", .bytes(source))) }
    return .record(members)
  }
}

/// What became of one template.
public enum RenderResult: Sendable {
  case rendered(Rendering)
  /// The template's text cannot be used; an older version may be.
  case unusable(String)
  /// It failed for this client.
  case failed(RenderFailure)
}

/// A rendered template, and what it was made from.
public struct Rendering: Sendable {
  public let output: [UInt8]
  /// What the template asked, in order; nil where nothing was recorded.
  public let questions: [TemplateValue]?
  /// Files that it read below the repository, with what told their versions apart; empty where one was not there.
  public let files: [(path: String, signature: String)]
  /// Why the result is not to be used again; empty where it is.
  public let reasons: [String]
}

/// Why a template failed.
public struct RenderFailure: Error, Sendable, CustomStringConvertible {
  public let description: String
  /// It raised Genshi's TemplateError, on purpose or because it is wrong.
  public var isTemplateError = false
  /// Python lacks a library.
  public var isMissingLibrary = false
  /// There is no renderer: nothing is known of the template.
  public var isWithoutRenderer = false

  public init(_ description: String, isTemplateError: Bool = false, isMissingLibrary: Bool = false) {
    self.description = description
    self.isTemplateError = isTemplateError
    self.isMissingLibrary = isMissingLibrary
  }
}

/// Templates that are rendered for one client by one process, one after the other.
///
/// Who asked for them takes events by `next`, and answers questions: so answers are made in the asking task, with what it
/// knows of itself.
public final class RenderBatch {
  /// What happens while a batch is rendered.
  public enum Event {
    /// A template asks; the batch waits for `answer`.
    case question(TemplateValue)
    case result(index: Int, RenderResult)
    /// The jobs from `index` on are rendered elsewhere, because the one before them takes long: this batch has results of
    /// those before it only, and `rest` is to be listened to as well.
    case continued(RenderBatch, from: Int)
    /// A line for the log.
    case log(TemplateValue)
  }

  private(set) var jobs: [TemplateJob]
  /// What a renderer has to know of the client, and a number that is the same as long as that is.
  let client: (serial: UInt64, form: TemplateValue)
  let generation: Int
  let helperSerial: Int?
  /// Asked for by a task that answers a question of another batch, in its process.
  let parent: RenderBatch?

  /// The first job that has no result yet.
  private(set) var position = 0
  /// The process that has it, and the number of its request there.
  weak var process: RendererProcess?
  var request: UInt64 = 0
  /// Where the jobs of the request begin.
  var base = 0
  var attempts = 0
  /// A process ended at its only job, and that may have been another template's fault: it is given to a second process.
  var isSecondAttempt = false
  /// Whether it is kept away from the processes of the others: one job that is suspected of costing its process.
  var isApart = false
  /// A question that was not answered yet.
  private(set) var isAsking = false
  private var events: Deque<Event> = []
  private var waiter: CheckedContinuation<Event, Never>?

  init(
    jobs: [TemplateJob], client: (serial: UInt64, form: TemplateValue), generation: Int, helperSerial: Int?,
    parent: RenderBatch?
  ) {
    self.jobs = jobs
    self.client = client
    self.generation = generation
    self.helperSerial = helperSerial
    self.parent = parent
  }

  var isFinished: Bool { position == jobs.count }
  var leftCount: Int { jobs.count - position }
  /// The job that comes next, or is rendered now.
  var job: TemplateJob { jobs[position] }
  var clientName: String { client.form["hostname"]?.text ?? "" }

  /// The next event; nil once every job has its result.
  public func next() async -> Event? {
    if let event = events.popFirst() { return event }
    if isFinished { return nil }
    return await withCheckedContinuation { waiter = $0 }
  }

  /// Takes the jobs behind the one that comes next out; nil where there are none.
  func splitRest() -> RenderBatch? {
    guard leftCount > 1 else { return nil }
    let rest = RenderBatch(
      jobs: Array(jobs[(position + 1)...]), client: client, generation: generation, helperSerial: helperSerial,
      parent: parent)
    jobs.removeSubrange((position + 1)...)
    deliver(.continued(rest, from: position + 1))
    return rest
  }

  /// Answers the question that the template waits for: a value, or what is wrong.
  public func answer(_ answer: Result<TemplateValue, TemplateQuestionError>) {
    guard isAsking else { return }
    isAsking = false
    let form: TemplateValue =
      switch answer {
      case .success(let value): ["value": value]
      case .failure(let error): ["error": .text(error.description), "class": .text(error.kind)]
      }
    process?.answer(form, to: self)
  }

  func finish(_ result: RenderResult) {
    let index = position
    position += 1
    deliver(.result(index: index, result))
  }

  func ask(_ question: TemplateValue) {
    isAsking = true
    deliver(.question(question))
  }

  func log(_ line: TemplateValue) { deliver(.log(line)) }

  /// The process that asked is gone: nobody waits for the answer.
  func forgetQuestion() { isAsking = false }

  private func deliver(_ event: Event) {
    if let waiter = waiter.take() {
      waiter.resume(returning: event)
    } else {
      events.append(event)
    }
  }
}

/// What a template is told where its question cannot be answered.
public struct TemplateQuestionError: Error, CustomStringConvertible {
  public let description: String
  /// `metadata`: the client's metadata contradicts itself; `plugin`: everything else.
  public let kind: String

  public init(_ description: String, kind: String = "plugin") {
    self.description = description
    self.kind = kind
  }
}
