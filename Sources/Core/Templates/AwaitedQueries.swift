import EventLoop
public import Templates

/// A connector's data that is fetched when templates ask for it: what Ldap's queries give.
public protocol TemplateQueryData: TemplateReadable {
  /// The answer that renderers get, where it is known: nil where it has to be fetched.
  ///
  /// - Parameter name: of a result: `blob`, marshal's bytes of it, or nothing where there is none of that name. nil asks for
  ///   `names`, those of all. `problem` in either says why nothing can be told.
  func knownAnswer(_ name: String?, _ metadata: ClientMetadata) -> TemplateValue?
  /// The same, fetched where it has to be.
  func answer(_ name: String?, _ metadata: ClientMetadata) async -> TemplateValue
}

/// A plugin with data that is fetched when templates ask for it.
public protocol TemplateQueries: Plugin {
  /// Another number after each change of an answer that was given for the same metadata.
  var querySerial: UInt64 { get }
}

/// What the templates of one request asked queries for before there was an answer.
///
/// A template does not keep its process waiting for a server elsewhere: it ends, and is rendered once more when the answer is
/// there. The answers are held here for it, whatever is forgotten meanwhile.
final class AwaitedQueries {
  /// How long a template waits for an answer in its process: most come sooner, and it need not be rendered again.
  static var patience = Duration.milliseconds(100)
  /// How often templates are rendered again for an answer that took longer. Then they wait, within their time.
  private static let roundLimit = 100

  private var answers: [TemplateValue: TemplateValue] = [:]
  private var underway: [Task<Void, Never>] = []
  private var rounds = 0

  /// The answer to a question of a template; nil where the template is to be rendered again after `fetched`.
  ///
  /// - Parameter question: by which it is known.
  func answer(
    _ question: TemplateValue, _ data: any TemplateQueryData, _ name: String?, _ metadata: ClientMetadata,
    on loop: Reactor
  ) async -> TemplateValue? {
    if let held = answers[question] ?? data.knownAnswer(name, metadata) { return held }
    // Not as part of the batch that asks: its process is not to run what others need.
    let task = TemplateRenderer.$asking.withValue(nil) {
      Task { answers[question] = await data.answer(name, metadata) }
    }
    guard rounds < Self.roundLimit else {
      await task.value
      return answers[question]
    }
    await Self.wait(for: task, atMost: Self.patience, on: loop)
    if let answer = answers[question] { return answer }
    underway.append(task)
    return nil
  }

  /// Waits until all that was asked for is there.
  func fetched() async {
    guard !underway.isEmpty else { return }
    rounds += 1
    let tasks = underway
    underway = []
    for task in tasks { await task.value }
  }

  private static func wait(for task: Task<Void, Never>, atMost time: Duration, on loop: Reactor) async {
    let first = FirstOfTwo()
    await withCheckedContinuation { continuation in
      first.continuation = continuation
      first.timer = loop.schedule(after: time) { first.resume() }
      Task {
        await task.value
        first.resume()
      }
    }
  }

  /// Resumes a task once.
  private final class FirstOfTwo {
    var continuation: CheckedContinuation<Void, Never>?
    var timer: Timer?

    func resume() {
      timer?.cancel()
      timer = nil
      continuation.take()?.resume()
    }
  }
}
