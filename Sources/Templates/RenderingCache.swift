/// Results of templates, kept with the questions that they asked and the answers that they got.
///
/// A result is found for anyone for whom every question has the same answer as it had then, in the order in which they were
/// asked: where one has another answer, those behind it are not asked. Many templates ask the same: lists of questions are
/// shared, with the answers that they have had, so that for one client each list is gone through once. What was used least
/// recently goes first.
public final class RenderingCache {
  /// Which results can stand for each other where their questions have the same answers.
  package struct Key: Hashable {
    package let kind: TemplateJob.Kind
    /// Texts, compared by their bytes.
    package let path: TemplateValue
    package let version: Int
    package let name: TemplateValue
    package let variables: [TemplateJob.Provider]
    package let limitBytes: Int

    package init(
      kind: TemplateJob.Kind, path: TemplateValue, version: Int, name: TemplateValue, variables: [TemplateJob.Provider],
      limitBytes: Int
    ) {
      self.kind = kind
      self.path = path
      self.version = version
      self.name = name
      self.variables = variables
      self.limitBytes = limitBytes
    }

    /// Beside the path, by which its tree is found, little tells keys apart.
    package func hash(into hasher: inout Hasher) {
      hasher.combine(version)
      hasher.combine(name)
    }
  }

  /// A question of traces; those that are equal are one object.
  public final class Question {
    public let value: TemplateValue
    /// Another one for each question that ever was.
    package let number: Int
    /// Lists that have it.
    fileprivate var uses = 0

    fileprivate init(_ value: TemplateValue, number: Int) {
      self.value = value
      self.number = number
    }
  }

  /// The questions of renderings, in their order, and the answers that they have had.
  public final class QuestionList {
    fileprivate let questions: [Question]
    fileprivate let root = Answers(nil, .none)
    /// Another one for each list that ever was.
    let number: Int
    /// Trees that have results by it.
    fileprivate var uses = 0
    /// Grows with each answer that there has not been.
    fileprivate var version = 0

    fileprivate init(_ questions: [Question], number: Int) {
      self.questions = questions
      self.number = number
    }

    /// What a client answers, as there have been such answers; `.other` where there have not.
    fileprivate func find(_ known: (Question) -> TemplateValue?) -> Found {
      var place = root
      for question in questions {
        guard let answer = known(question) else { return .unknown }
        guard let next = place.next[answer] else { return .other }
        place = next
      }
      return .answers(place)
    }

    fileprivate enum Found {
      case answers(Answers)
      case other
      /// A question has to be asked.
      case unknown
    }

    /// The same of who is asked what is not known; nil also where a question cannot be answered.
    fileprivate func answers(_ answer: (Question) async -> TemplateValue?) async -> Answers? {
      var place = root
      for question in questions {
        guard let found = await answer(question), let next = place.next[found] else { return nil }
        place = next
      }
      return place
    }
  }

  /// Answers to the first questions of a list, or to all of them.
  public final class Answers {
    /// Has this, as long as a result does.
    fileprivate unowned(unsafe) let before: Answers?
    fileprivate let answer: TemplateValue
    fileprivate var next: [TemplateValue: Answers] = [:]
    /// Results that have these.
    fileprivate var uses = 0

    fileprivate init(_ before: Answers?, _ answer: TemplateValue) {
      self.before = before
      self.answer = answer
    }

    /// Whether a result may have these; later ones that are the same are another object.
    fileprivate var isCurrent: Bool { uses > 0 }
  }

  /// What one client answers to lists of questions, as long as it answers the same.
  package final class Memory {
    package init() {}

    /// By the number of the list: the answers, or nil where there had been none such in a version of the list.
    fileprivate var known: [Int: (answers: Answers?, version: Int)] = [:]

    package func removeAll() { if !known.isEmpty { known.removeAll() } }
  }

  /// What was made of a template's output.
  public final class Result {
    public let value: AnyObject
    /// Bytes that it is counted with.
    let bytes: Int
    /// Whether it depends on clients other than the one that it was made for.
    package let dependsOnOthers: Bool
    fileprivate unowned let group: Group
    fileprivate let answers: Answers
    fileprivate var isKept = true
    fileprivate unowned(unsafe) var newer: Result?
    fileprivate unowned(unsafe) var older: Result?

    fileprivate init(_ value: AnyObject, bytes: Int, dependsOnOthers: Bool, _ group: Group, _ answers: Answers) {
      self.value = value
      self.bytes = bytes
      self.dependsOnOthers = dependsOnOthers
      self.group = group
      self.answers = answers
    }
  }

  /// The results of one template for one entry.
  package final class Tree {
    package let key: Key
    fileprivate var groups: [Group] = []
    /// Whether results are still sought and kept here.
    package fileprivate(set) var isCurrent = true

    fileprivate init(_ key: Key) { self.key = key }
  }

  /// Those of them that asked the same.
  fileprivate final class Group {
    unowned let tree: Tree
    let list: QuestionList
    var results: [ObjectIdentifier: Result] = [:]

    init(_ tree: Tree, _ list: QuestionList) {
      self.tree = tree
      self.list = list
    }
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
  /// Those that lists have, and the lists that trees have, by the numbers of their questions.
  private var lists: [[Int]: QuestionList] = [:]
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
  package func find(
    _ key: Key, known: (Question) -> TemplateValue? = { _ in nil }, answer: (Question) async -> TemplateValue?
  ) async -> Result? {
    guard let tree = tree(key) else { return nil }
    var asked: [Int: TemplateValue] = [:]
    for group in tree.groups {
      let answers = await group.list.answers { question in
        if let known = known(question) ?? asked[question.number] { return known }
        let found = await answer(question)
        asked[question.number] = found
        return found
      }
      guard let answers, let result = group.results[ObjectIdentifier(answers)] else { continue }
      use(result)
      return result
    }
    return nil
  }

  /// The tree in which results are found; nil where none was kept. It is the same one as long as it is current.
  package func tree(_ key: Key) -> Tree? { trees[key.path]?[key] }

  /// Finds a result as `find` does, where that takes no questions but known ones; nil where there is none, or where
  /// `find` has to be asked.
  ///
  /// - Parameter memory: what the client answered to lists of questions; it is added to.
  package func findNow(in tree: Tree, _ memory: Memory, _ known: (Question) -> TemplateValue?) -> Result? {
    for group in tree.groups {
      guard let answers = answers(to: group.list, memory, known),
        let result = group.results[ObjectIdentifier(answers)]
      else { continue }
      use(result)
      return result
    }
    return nil
  }

  private func answers(
    to list: QuestionList, _ memory: Memory, _ known: (Question) -> TemplateValue?
  ) -> Answers? {
    if let remembered = memory.known[list.number],
      remembered.answers?.isCurrent ?? (remembered.version == list.version)
    {
      return remembered.answers
    }
    switch list.find(known) {
    case .answers(let found):
      memory.known[list.number] = (found, list.version)
      return found
    case .other:
      memory.known[list.number] = (nil, list.version)
      return nil
    case .unknown: return nil
    }
  }

  private func use(_ result: Result) {
    // It may have gone while questions were answered; then it is right all the same.
    if result.isKept { touch(result) }
    used += 1
  }

  /// Keeps a result with what was asked for it, in order.
  package func keep(
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
    let group = group(of: tree, trace.map(\.question))
    var answers = group.list.root
    for (_, answer) in trace {
      if let next = answers.next[answer] {
        answers = next
      } else {
        let next = Answers(answers, answer)
        group.list.version += 1
        answers.next[answer] = next
        answers = next
      }
    }
    // Its place is the new one's.
    answers.uses += 1
    if let old = group.results[ObjectIdentifier(answers)] {
      unlink(old)
      answers.uses -= 1
    }
    let bytes = trace.reduce(outputBytes + Self.resultBytes) {
      $0 + max(Self.questionBytes, $1.question.weight + $1.answer.weight)
    }
    let result = Result(value, bytes: bytes, dependsOnOthers: dependsOnOthers, group, answers)
    group.results[ObjectIdentifier(answers)] = result
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

  /// Forgets the results that any question of some kind was asked for.
  package func forget(where isMeant: (TemplateValue) -> Bool) {
    let meant = trees.values.flatMap(\.values).flatMap(\.groups).filter { group in
      group.list.questions.contains { isMeant($0.value) }
    }
    for result in meant.flatMap(\.results.values) { drop(result) }
  }

  private func forget(_ tree: Tree?) {
    guard let tree else { return }
    tree.isCurrent = false
    for group in tree.groups {
      for result in group.results.values { drop(result) }
    }
  }

  private func shrink() {
    while heldBytes > limitBytes, let oldest { drop(oldest) }
  }

  /// Takes a result out, with what only it had.
  private func drop(_ result: Result) {
    unlink(result)
    let group = result.group
    var answers = result.answers
    answers.uses -= 1
    while answers.uses == 0, answers.next.isEmpty, let before = answers.before {
      before.next[answers.answer] = nil
      answers = before
    }
    if group.results.isEmpty {
      group.tree.groups.removeAll { $0 === group }
      leave(group.list)
    }
  }

  // MARK: Questions

  /// Different questions that are known.
  var questionCount: Int { questions.count }

  private func group(of tree: Tree, _ values: [TemplateValue]) -> Group {
    let asked = values.map { question($0) }
    if let known = tree.groups.first(where: { $0.list.questions.elementsEqual(asked, by: ===) }) { return known }
    let numbers = asked.map(\.number)
    let list: QuestionList
    if let known = lists[numbers] {
      list = known
    } else {
      Self.lastNumber += 1
      list = QuestionList(asked, number: Self.lastNumber)
      lists[numbers] = list
      for question in asked {
        question.uses += 1
        questions[question.value] = question
      }
    }
    list.uses += 1
    let group = Group(tree, list)
    tree.groups.append(group)
    return group
  }

  private func question(_ value: TemplateValue) -> Question {
    if let known = questions[value] { return known }
    Self.lastNumber += 1
    return Question(value, number: Self.lastNumber)
  }

  private func leave(_ list: QuestionList) {
    list.uses -= 1
    guard list.uses == 0 else { return }
    lists[list.questions.map(\.number)] = nil
    for question in list.questions {
      question.uses -= 1
      if question.uses == 0 { questions[question.value] = nil }
    }
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
    result.isKept = false
    result.group.results[ObjectIdentifier(result.answers)] = nil
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
