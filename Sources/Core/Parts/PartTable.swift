import Templates

/// Finds parts by the answers of a client to the questions that were asked when they were made.
///
/// How a part is made is decided by the answers so far: what is asked first is the same for every client, and what is
/// asked next depends on the answers before. So the parts of one key are the leaves of a tree of questions, and for a
/// client one path through it leads to its part, if there is one.
final class PartTable {
  /// Questions that all parts below have answered alike; then a part, or the next question.
  final class Node {
    fileprivate var run: [(question: ClientQuestion, answer: ClientAnswer)]
    fileprivate var part: Part?
    fileprivate var question: ClientQuestion?
    /// By the answer to `question`.
    fileprivate var next: [ClientAnswer: Node] = [:]
    // Which owns it.
    fileprivate unowned(unsafe) var before: Node?
    /// The answer that leads here.
    fileprivate var answer: ClientAnswer?

    fileprivate init(_ run: [(question: ClientQuestion, answer: ClientAnswer)]) { self.run = run }

    nonisolated deinit {}
  }

  /// What a question of a part's trace costs, as it is kept here.
  static let questionBytes = 48

  private var roots: [PartKey: Node] = [:]
  private(set) var count = 0

  /// The part that stands for a client; nil if there is none.
  ///
  /// - Parameters:
  ///   - rendering: the kept result of a template that stands for the client; nil where there is none.
  ///   - outdated: called with a part that was found but must be made again.
  func find(
    _ key: PartKey, _ metadata: ClientMetadata, rendering: (RenderingCache.Key) async -> AnyObject?,
    outdated: (Part) -> Void
  ) async -> Part? {
    var node = roots[key]
    while let here = node {
      for (question, expected) in here.run {
        var answer = question.answer(metadata)
        if answer == nil { answer = await Self.answer(question, rendering) }
        guard answer == expected else { return nil }
      }
      if let part = here.part {
        if part.isCurrent { return part }
        outdated(part)
        return nil
      }
      guard let question = here.question else { return nil }
      var answer = question.answer(metadata)
      if answer == nil { answer = await Self.answer(question, rendering) }
      node = answer.flatMap { here.next[$0] }
    }
    return nil
  }

  private static func answer(
    _ question: ClientQuestion, _ rendering: (RenderingCache.Key) async -> AnyObject?
  ) async -> ClientAnswer? {
    guard case .rendering(let key) = question.kind else { return nil }
    return await rendering(key).map { .object(ClientQuestion.Identity($0)) }
  }

  /// Keeps a part under its questions. Parts that asked something else at the same place go: they were made from
  /// something that has changed since.
  ///
  /// - Parameter dropped: called with each part that goes.
  func insert(
    _ part: Part, _ trace: [(question: ClientQuestion, answer: ClientAnswer)], dropped: (Part) -> Void
  ) {
    count += 1
    guard let root = roots[part.key] else {
      roots[part.key] = leaf(part, trace[...])
      return
    }
    var node = root
    var rest = trace[...]
    while true {
      var index = 0
      while index < node.run.count {
        guard let (question, answer) = rest.first, Self.areSame(question, node.run[index].question) else {
          return replace(node, part, trace, dropped)
        }
        if answer != node.run[index].answer {
          split(node, at: index)
          break
        }
        rest.removeFirst()
        index += 1
      }
      guard let question = node.question, let (asked, answer) = rest.first, Self.areSame(question, asked) else {
        return replace(node, part, trace, dropped)
      }
      rest.removeFirst()
      guard let next = node.next[answer] else {
        let leaf = leaf(part, rest)
        leaf.before = node
        leaf.answer = answer
        node.next[answer] = leaf
        return
      }
      node = next
    }
  }

  /// Takes a part out, with the questions that only it had.
  func remove(_ part: Part) {
    guard let node = part.place else { return }
    part.place = nil
    node.part = nil
    count -= 1
    cut(node, part.key)
  }

  /// Takes all parts out.
  func removeAll(_ dropped: (Part) -> Void) {
    for root in roots.values { drop(below: root, dropped) }
    roots = [:]
  }

  private func leaf(_ part: Part, _ rest: ArraySlice<(question: ClientQuestion, answer: ClientAnswer)>) -> Node {
    let node = Node(Array(rest))
    node.part = part
    part.place = node
    return node
  }

  /// Makes the question at `index` of the run one with several answers.
  private func split(_ node: Node, at index: Int) {
    let (question, answer) = node.run[index]
    let below = Node(Array(node.run[(index + 1)...]))
    below.part = node.part
    below.part?.place = below
    below.question = node.question
    below.next = node.next
    for child in below.next.values { child.before = below }
    below.before = node
    below.answer = answer
    node.run.removeSubrange(index...)
    node.part = nil
    node.question = question
    node.next = [answer: below]
  }

  /// Puts a part in place of everything below the root: the trees do not fit.
  private func replace(
    _ node: Node, _ part: Part, _ trace: [(question: ClientQuestion, answer: ClientAnswer)], _ dropped: (Part) -> Void
  ) {
    // Only what is below the node contradicts the trace.
    drop(below: node, dropped)
    var depth = 0
    var above = node.before
    while let one = above {
      depth += one.run.count + 1
      above = one.before
    }
    let new = leaf(part, trace[depth...])
    guard let before = node.before, let answer = node.answer else {
      roots[part.key] = new
      return
    }
    new.before = before
    new.answer = answer
    before.next[answer] = new
  }

  private func drop(below node: Node, _ dropped: (Part) -> Void) {
    if let part = node.part {
      node.part = nil
      part.place = nil
      count -= 1
      dropped(part)
    }
    for child in node.next.values { drop(below: child, dropped) }
  }

  private func cut(_ node: Node, _ key: PartKey) {
    var node = node
    while node.part == nil, node.next.isEmpty {
      guard let before = node.before, let answer = node.answer else {
        roots[key] = nil
        return
      }
      before.next[answer] = nil
      node = before
    }
  }

  private static func areSame(_ one: ClientQuestion, _ other: ClientQuestion) -> Bool {
    one === other || one.kind == other.kind
  }
}
