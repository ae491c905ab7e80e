import Templates

/// Records what a part of an answer is made from, while it is made.
///
/// `ClientMetadata` has one while a part is made with it: what plugins ask about the client is recorded there, and the
/// plugin kit records the files that it reads (`ClientMetadata.read`). A plugin that asks cannot forget to say so.
package final class PartRecorder {
  /// Most questions of a part; one that asks more is not kept. Templates may ask for what clients name.
  static let questionLimit = 4096
  private static var lastSerial: UInt64 = 0

  private let serial: UInt64
  /// The clock of inputs when making began.
  let madeAt = BuildInput.clock
  private(set) var inputs: [BuildInput] = []
  private(set) var trace: [(question: ClientQuestion, answer: ClientAnswer)] = []
  /// False once something was used that cannot be recorded: the part is then made for this answer alone.
  private(set) var isKeepable = true

  init() {
    Self.lastSerial += 1
    serial = Self.lastSerial
    inputs.reserveCapacity(32)
    trace.reserveCapacity(16)
  }

  func markUnkeepable() { isKeepable = false }

  func read(_ input: BuildInput) {
    guard input.recordedBy != serial else { return }
    input.recordedBy = serial
    inputs.append(input)
  }

  /// Asks a question of yes or no.
  func ask(_ question: ClientQuestion, _ answer: @autoclosure () -> Bool) -> Bool {
    if question.recordedBy == serial { return question.lastAnswer }
    let answer = answer()
    question.recordedBy = serial
    question.lastAnswer = answer
    add(question, answer ? .yes : .no)
    return answer
  }

  /// Records that something about a client was read.
  func ask(_ question: ClientQuestion, of metadata: ClientMetadata) {
    guard question.recordedBy != serial else { return }
    question.recordedBy = serial
    guard let answer = question.answer(metadata) else { return markUnkeepable() }
    add(question, answer)
  }

  /// Records the result of a template.
  func used(_ result: AnyObject, of key: RenderingCache.Key) {
    add(.rendering(key), .object(ClientQuestion.Identity(result)))
  }

  /// The results of templates that were recorded.
  var renderings: Set<ObjectIdentifier> {
    var found: Set<ObjectIdentifier> = []
    for case (let question, .object(let identity)) in trace {
      if case .rendering = question.kind { found.insert(ObjectIdentifier(identity.object)) }
    }
    return found
  }

  /// Records what another recorder did: of something that was made earlier, or for a purpose of its own.
  ///
  /// - Parameter asksSame: whether its questions were about the same client; others have answers that never change.
  func add(_ other: PartRecorder, asksSame: Bool = true) {
    if !other.isKeepable { markUnkeepable() }
    for input in other.inputs { read(input) }
    guard asksSame else { return }
    for (question, answer) in other.trace {
      switch question.kind {
      case .rendering: add(question, answer)
      default:
        guard question.recordedBy != serial else { continue }
        question.recordedBy = serial
        question.lastAnswer = answer == .yes
        add(question, answer)
      }
    }
  }

  private func add(_ question: ClientQuestion, _ answer: ClientAnswer) {
    guard trace.count < Self.questionLimit else { return markUnkeepable() }
    trace.append((question, answer))
  }
}
