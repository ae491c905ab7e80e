/// Results of templates, kept with the questions that they asked and the answers that they got.
///
/// For each template a tree of questions: below a question a branch for each answer that it has had, at the end of a path the
/// result. A result is found for anyone for whom every question on its path has the same answer as it had then, by asking no
/// other questions. What was used least recently goes first.
public final class KeptRenderings {
  /// Which results can stand for each other where their questions have the same answers.
  struct Key: Hashable {
    let kind: TemplateJob.Kind
    /// Texts, compared by their bytes.
    let path: TemplateValue
    let version: Int
    let name: TemplateValue
    let variables: [TemplateJob.Provider]
    let limitBytes: Int

    /// Beside the path, by which its tree is found, little tells keys apart.
    func hash(into hasher: inout Hasher) {
      hasher.combine(version)
      hasher.combine(name)
    }
  }

  /// A question of traces; those that are equal are one object.
  public final class Question {
    public let value: TemplateValue
    /// Another one for each question that ever was.
    let number: Int
    /// Branches that have it.
    fileprivate var uses = 0

    fileprivate init(_ value: TemplateValue, number: Int) {
      self.value = value
      self.number = number
    }
  }

  /// What was made of a template's output.
  public final class Result {
    public let value: AnyObject
    /// Bytes that it is counted with.
    let bytes: Int
    /// Whether it depends on clients other than the one that it was made for.
    let dependsOnOthers: Bool
    /// Owns this; nil once it is dropped.
    fileprivate weak var node: Node?
    fileprivate unowned(unsafe) var newer: Result?
    fileprivate unowned(unsafe) var older: Result?

    fileprivate init(_ value: AnyObject, bytes: Int, dependsOnOthers: Bool, node: Node) {
      self.value = value
      self.bytes = bytes
      self.dependsOnOthers = dependsOnOthers
      self.node = node
    }
  }

  fileprivate final class Node {
    var branches: [Branch] = []
    var result: Result?
    /// Where it hangs; nil for the root of a template's tree.
    unowned(unsafe) let parent: Node?
    let answer: TemplateValue

    init(parent: Node?, answer: TemplateValue) {
      self.parent = parent
      self.answer = answer
    }

    var isEmpty: Bool { result == nil && branches.isEmpty }
  }

  /// The results of one template for one entry.
  final class Tree {
    let key: Key
    fileprivate let root = Node(parent: nil, answer: .none)
    /// Whether results are still sought and kept here.
    fileprivate(set) var isCurrent = true

    fileprivate init(_ key: Key) { self.key = key }
  }

  fileprivate struct Branch {
    let question: Question
    var nodes: [TemplateValue: Node]
  }

  /// What a result costs beside its output and its questions: measured, rounded up.
  static let resultBytes = 400
  /// What a question costs on a path that no other result has, at least; a long one costs its bytes.
  static let questionBytes = 160

  /// The most bytes that are held; 0 keeps nothing.
  public var limitBytes: Int { didSet { shrink() } }
  public private(set) var heldBytes = 0
  public private(set) var count = 0
  /// How many times a kept result was used.
  public private(set) var used = 0
  private var trees: [TemplateValue: [Key: Tree]] = [:]
  /// Those that branches have.
  private var questions: [TemplateValue: Question] = [:]
  private static var lastNumber = 0
  private unowned(unsafe) var oldest: Result?
  private unowned(unsafe) var newest: Result?

  public init(limitBytes: Int) { self.limitBytes = limitBytes }

  /// Finds a result for which every question has the answer that it had.
  ///
  /// - Parameters:
  ///   - known: the answer to a question that was asked before; nil where it has to be asked.
  ///   - answer: asks a question; nil where it cannot be answered, so that nothing that depends on it is found.
  func find(
    _ key: Key, known: (Question) -> TemplateValue? = { _ in nil }, answer: (Question) async -> TemplateValue?
  ) async -> Result? {
    guard let root = tree(key)?.root else { return nil }
    let found: Result?
    switch Self.findNow(root, known) {
    case .found(let result): found = result
    case .nothing: found = nil
    case .unanswered: found = await Self.find(root, answer)
    }
    if let found { use(found) }
    return found
  }

  /// The tree in which results are found; nil where none was kept. It is the same one as long as it is current.
  func tree(_ key: Key) -> Tree? { trees[key.path]?[key] }

  /// Finds a result as `find` does, where that takes no questions but known ones; nil where there is none, or where
  /// `find` has to be asked.
  func findNow(in tree: Tree, _ known: (Question) -> TemplateValue?) -> Result? {
    guard case .found(let result) = Self.findNow(tree.root, known) else { return nil }
    use(result)
    return result
  }

  private func use(_ result: Result) {
    // It may have gone while questions were answered; then it is right all the same.
    if result.node?.result === result { touch(result) }
    used += 1
  }

  /// What is found without asking anything.
  private enum Search {
    case found(Result)
    case nothing
    /// A question has to be asked.
    case unanswered
  }

  private static func findNow(_ node: Node, _ known: (Question) -> TemplateValue?) -> Search {
    if let result = node.result { return .found(result) }
    for branch in node.branches {
      guard let answer = known(branch.question) else { return .unanswered }
      guard let next = branch.nodes[answer] else { continue }
      switch findNow(next, known) {
      case .nothing: continue
      case let search: return search
      }
    }
    return .nothing
  }

  private static func find(_ node: Node, _ answer: (Question) async -> TemplateValue?) async -> Result? {
    if let result = node.result { return result }
    for branch in node.branches {
      guard let found = await answer(branch.question), let next = branch.nodes[found] else { continue }
      if let result = await find(next, answer) { return result }
    }
    return nil
  }

  /// Keeps a result with what was asked for it, in order.
  func keep(
    _ key: Key, _ trace: [(question: TemplateValue, answer: TemplateValue)], _ value: AnyObject, outputBytes: Int,
    dependsOnOthers: Bool
  ) {
    guard limitBytes > 0 else { return }
    // Other versions are not asked for any more.
    if let known = trees[key.path], known.keys.contains(where: { $0.version != key.version }) {
      for other in known.keys where other.version != key.version { forget(known[other]) }
      trees[key.path] = known.filter { $0.key.version == key.version }
    }
    let tree = tree(key) ?? Tree(key)
    trees[key.path, default: [:]][key] = tree
    var node = tree.root
    for (question, answer) in trace {
      let index =
        node.branches.firstIndex { $0.question.value == question }
        ?? {
          node.branches.append(Branch(question: use(question), nodes: [:]))
          return node.branches.count - 1
        }()
      if let next = node.branches[index].nodes[answer] {
        node = next
      } else {
        let next = Node(parent: node, answer: answer)
        node.branches[index].nodes[answer] = next
        node = next
      }
    }
    // Its place in the tree is the new one's.
    if let old = node.result { unlink(old) }
    let bytes = trace.reduce(outputBytes + Self.resultBytes) {
      $0 + max(Self.questionBytes, $1.question.weight + $1.answer.weight)
    }
    let result = Result(value, bytes: bytes, dependsOnOthers: dependsOnOthers, node: node)
    node.result = result
    append(result)
    heldBytes += bytes
    count += 1
    shrink()
  }

  /// Forgets the results of a template.
  public func forget(path: String) { forget(.text(path)) }

  private func forget(_ path: TemplateValue) {
    for tree in trees.removeValue(forKey: path)?.values ?? [:].values { forget(tree) }
  }

  public func removeAll() {
    for path in Array(trees.keys) { forget(path) }
  }

  private func forget(_ tree: Tree?) {
    guard let tree else { return }
    tree.isCurrent = false
    forget(tree.root)
  }

  private func forget(_ node: Node) {
    if let result = node.result { unlink(result) }
    for branch in node.branches {
      for next in branch.nodes.values { forget(next) }
      leave(branch.question)
    }
    node.branches = []
  }

  private func shrink() {
    while heldBytes > limitBytes, let oldest { drop(oldest) }
  }

  /// Takes a result out, with what only it hung on.
  private func drop(_ result: Result) {
    guard var node = result.node else { return }
    unlink(result)
    while node.isEmpty, let parent = node.parent {
      for index in parent.branches.indices where parent.branches[index].nodes[node.answer] === node {
        parent.branches[index].nodes[node.answer] = nil
      }
      for branch in parent.branches where branch.nodes.isEmpty { leave(branch.question) }
      parent.branches.removeAll { $0.nodes.isEmpty }
      node = parent
    }
  }

  // MARK: Questions

  /// Different questions that are known.
  var questionCount: Int { questions.count }

  private func use(_ value: TemplateValue) -> Question {
    let question: Question
    if let known = questions[value] {
      question = known
    } else {
      Self.lastNumber += 1
      question = Question(value, number: Self.lastNumber)
      questions[value] = question
    }
    question.uses += 1
    return question
  }

  private func leave(_ question: Question) {
    question.uses -= 1
    if question.uses == 0 { questions[question.value] = nil }
  }

  // MARK: Order of use

  private func touch(_ result: Result) {
    guard newest !== result else { return }
    detach(result)
    append(result)
  }

  private func unlink(_ result: Result) {
    detach(result)
    heldBytes -= result.bytes
    count -= 1
    result.node?.result = nil
  }

  private func append(_ result: Result) {
    result.older = newest
    result.newer = nil
    newest?.newer = result
    newest = result
    if oldest == nil { oldest = result }
  }

  private func detach(_ result: Result) {
    let newer = result.newer
    if let older = result.older { older.newer = newer } else { oldest = newer }
    if let newer { newer.older = result.older } else { newest = result.older }
    result.older = nil
    result.newer = nil
  }
}
