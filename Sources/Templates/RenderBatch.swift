import DequeModule

/// Templates that are rendered for one client by one process, one after the other.
///
/// The task that asked for them receives events by `next`, and answers questions: so an answer is made in that task, with
/// its task-local values.
public final class RenderBatch {
  /// What happens while a batch is rendered.
  public enum Event {
    /// A template asks; the batch waits for `answer`.
    case question(TemplateValue)
    case result(index: Int, RenderResult)
    /// Another process renders the jobs from `index` on, because the one before them is slow: this batch has results of
    /// those before `index` only; the others are events of the first value.
    case continued(RenderBatch, from: Int)
    /// A line for the log.
    case log(TemplateValue)
    /// A file of the repository that a template begins to read, or a folder.
    case file(String)
  }

  private(set) var jobs: [TemplateJob]
  /// What a renderer has to know of the client, and a number that is the same as long as that is.
  let client: (serial: UInt64, form: TemplateValue)
  let generation: Int
  /// Another number when the server has forgotten the files that renderers told of.
  let watchSerial: Int
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
  /// A process ended at its only job, and that may have been another template's fault: a second process renders it.
  var isSecondAttempt = false
  /// Whether it is kept away from the processes of the others: one job that is suspected of costing its process.
  var isApart = false
  /// A question that was not answered yet.
  private(set) var isAsking = false
  private var events: Deque<Event> = []
  private var waiter: CheckedContinuation<Event, Never>?

  init(
    jobs: [TemplateJob], client: (serial: UInt64, form: TemplateValue), generation: Int, watchSerial: Int,
    helperSerial: Int?, parent: RenderBatch?
  ) {
    self.jobs = jobs
    self.client = client
    self.generation = generation
    self.watchSerial = watchSerial
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
      jobs: Array(jobs[(position + 1)...]), client: client, generation: generation, watchSerial: watchSerial,
      helperSerial: helperSerial, parent: parent)
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

  func reads(_ path: String) { deliver(.file(path)) }

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

/// The error that a template gets if its question cannot be answered.
public struct TemplateQuestionError: Error, CustomStringConvertible {
  public let description: String
  /// `metadata`: the client's metadata contradicts itself; `plugin`: everything else.
  public let kind: String

  public init(_ description: String, kind: String = "plugin") {
    self.description = description
    self.kind = kind
  }
}
