package import EventLoop

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

  /// What was made of a template's output, for those of its results that have this output.
  fileprivate final class Output {
    let value: AnyObject
    let digest: FileDigest
    let bytes: Int
    /// Results that have it.
    var uses = 0

    init(_ value: AnyObject, _ digest: FileDigest, bytes: Int) {
      self.value = value
      self.digest = digest
      self.bytes = bytes
    }
  }

  /// A template's output, and what it was made from.
  public final class Result {
    public let value: AnyObject
    fileprivate let output: Output
    /// Bytes that it is counted with, beside its output.
    let bytes: Int
    /// Whether it depends on clients other than the one that it was made for.
    package let dependsOnOthers: Bool
    fileprivate unowned let group: Group
    /// Which hold it.
    fileprivate unowned let answers: Answers
    fileprivate var isKept = true
    /// The number of its last use; its place among those that were used since the list was in order, -1 for none.
    fileprivate var lastUse = 0
    fileprivate var usedPlace = -1
    fileprivate unowned(unsafe) var newer: Result?
    fileprivate unowned(unsafe) var older: Result?

    fileprivate init(_ output: Output, bytes: Int, dependsOnOthers: Bool, _ group: Group, _ answers: Answers) {
      value = output.value
      self.output = output
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
    /// One for all results with equal bytes: clients that differ in what a template read often get the same of it.
    fileprivate var outputs: [FileDigest: Output] = [:]
    /// Whether results are still sought and kept here.
    package fileprivate(set) var isCurrent = true

    fileprivate init(_ key: Key) { self.key = key }

    fileprivate var results: [Result] { groups.flatMap(\.results) }
  }

  /// Those of them that asked the same: `Answers` hold them, by the group's number.
  fileprivate final class Group {
    unowned let tree: Tree
    let list: QuestionList
    /// Another one for each group of the list.
    let number: UInt32
    var count = 0

    init(_ tree: Tree, _ list: QuestionList) {
      self.tree = tree
      self.list = list
      number = list.nextGroup()
    }

    var results: [Result] { list.results(of: number) }
  }

  /// What a result costs beside its output and its questions: measured, rounded up.
  static let resultBytes = 400
  /// The same of an output.
  static let outputBytes = 160
  /// What a question costs on a path that no other result has, at least; a long one costs its bytes.
  static let questionBytes = 160

  /// The most bytes that are held; 0 keeps nothing.
  public var limitBytes: Int { didSet { shrink() } }
  public private(set) var heldBytes = 0
  public private(set) var count = 0
  /// How many times a kept result was used.
  public private(set) var used = 0
  /// Called with what was made of an output once no result has it any more.
  package var onForgotten: ((ObjectIdentifier) -> Void)?
  /// In how many trees each value is kept.
  private var values: [ObjectIdentifier: Int] = [:]
  private var trees: [TemplateValue: [Key: Tree]] = [:]
  /// Those that lists have, and the lists that trees have, by the numbers of their questions.
  private var lists: [[Int]: QuestionList] = [:]
  /// Those of lists that went.
  private var freeIndexes: [Int] = []
  private var questions: [TemplateValue: Question] = [:]
  private static var lastNumber = 0
  private unowned(unsafe) var oldest: Result?
  private unowned(unsafe) var newest: Result?
  /// Results that were used since the list was in order: moving each within the list at each use would touch the memory
  /// of two others.
  private var usedSince: [Unmanaged<Result>] = []
  /// The number of the last use of any result, its making included.
  private var useNumber = 0

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
      guard let answers, let result = answers.result(of: group.number) else { continue }
      use(result)
      return result
    }
    return nil
  }

  /// The tree in which results are found; nil where none was kept. It is the same one as long as it is current.
  package func tree(_ key: Key) -> Tree? { trees[key.path]?[key] }

  /// Finds a result as `find` does, without asking anything; nil where there is none, or only `find` can tell.
  ///
  /// - Parameter memory: what the client answered to lists of questions; it is added to.
  package func findNow(in tree: Tree, _ memory: Memory, _ known: (Question) -> TemplateValue?) -> Result? {
    for group in tree.groups {
      guard let answers = answers(to: group.list, memory, known), let result = answers.result(of: group.number) else {
        continue
      }
      use(result)
      return result
    }
    return nil
  }

  private func answers(
    to list: QuestionList, _ memory: Memory, _ known: (Question) -> TemplateValue?
  ) -> Answers? {
    switch memory.find(list) {
    case .answers(let found): return found
    case .other: return nil
    case .unknown: break
    }
    switch list.find(known) {
    case .answers(let found):
      memory.keep(found, of: list)
      return found
    case .other:
      memory.keep(nil, of: list)
      return nil
    case .unknown: return nil
    }
  }

  /// What was made of an output of a template, if any result has that output.
  package func value(_ key: Key, ofOutput digest: FileDigest) -> AnyObject? { tree(key)?.outputs[digest]?.value }

  /// Whether a value is that of a kept result.
  package func holds(_ value: ObjectIdentifier) -> Bool { values[value] != nil }

  private func use(_ result: Result) {
    used += 1
    // It may have gone while questions were answered; then it is right all the same.
    if result.isKept { touch(result) }
  }

  /// Keeps a result with what was asked for it, in order.
  ///
  /// - Parameter output: what the value was made of. A result with the same output has one value with those before it.
  package func keep(
    _ key: Key, _ trace: [(question: TemplateValue, answer: TemplateValue)], _ value: AnyObject,
    output: (digest: FileDigest, bytes: Int), dependsOnOthers: Bool
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
    if let old = answers.result(of: group.number) { unlink(old) }
    let bytes = trace.reduce(Self.resultBytes) {
      $0 + max(Self.questionBytes, $1.question.weight + $1.answer.weight)
    }
    let made = tree.outputs[output.digest] ?? Output(value, output.digest, bytes: output.bytes + Self.outputBytes)
    if made.uses == 0 {
      tree.outputs[output.digest] = made
      heldBytes += made.bytes
      values[ObjectIdentifier(made.value), default: 0] += 1
    }
    made.uses += 1
    let result = Result(made, bytes: bytes, dependsOnOthers: dependsOnOthers, group, answers)
    answers.set(result, of: group.number)
    group.count += 1
    append(result)
    touch(result)
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
    for tree in trees.values.flatMap(\.values) { tree.isCurrent = false }
    while let oldest { drop(oldest) }
    trees = [:]
  }

  /// Forgets the results that any question of some kind was asked for.
  package func forget(where isMeant: (TemplateValue) -> Bool) {
    var isMeantList: [Int: Bool] = [:]
    var next = oldest
    while let result = next {
      next = result.newer
      let list = result.group.list
      let drops = isMeantList[list.number] ?? list.questions.contains { isMeant($0.value) }
      isMeantList[list.number] = drops
      if drops { drop(result) }
    }
  }

  private func forget(_ tree: Tree?) {
    guard let tree else { return }
    tree.isCurrent = false
    for result in tree.results { drop(result) }
  }

  private func shrink() {
    guard heldBytes > limitBytes else { return }
    settle()
    while heldBytes > limitBytes, let oldest { drop(oldest) }
  }

  /// Takes a result out, with what only it had.
  private func drop(_ result: Result) {
    unlink(result)
    let group = result.group
    var answers = result.answers
    while !answers.isCurrent, answers.next.isEmpty, let before = answers.before {
      before.next[answers.answer] = nil
      answers = before
    }
    if group.count == 0 {
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
      list = QuestionList(asked, index: freeIndexes.popLast() ?? lists.count, number: Self.lastNumber)
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
    freeIndexes.append(list.index)
    for question in list.questions {
      question.uses -= 1
      if question.uses == 0 { questions[question.value] = nil }
    }
  }

  // MARK: Order of use

  private func touch(_ result: Result) {
    useNumber += 1
    result.lastUse = useNumber
    guard result.usedPlace < 0 else { return }
    result.usedPlace = usedSince.count
    usedSince.append(.passUnretained(result))
  }

  /// Brings the list in order: the results that were used since then come last.
  private func settle() {
    let results = usedSince.map { $0.takeUnretainedValue() }
    usedSince.removeAll(keepingCapacity: results.count < 10_000)
    for result in results.sorted(by: { $0.lastUse < $1.lastUse }) {
      result.usedPlace = -1
      detach(result)
      append(result)
    }
  }

  private func unlink(_ result: Result) {
    detach(result)
    if result.usedPlace >= 0 {
      let last = usedSince.removeLast()
      last.takeUnretainedValue().usedPlace = result.usedPlace
      if result.usedPlace < usedSince.count { usedSince[result.usedPlace] = last }
      result.usedPlace = -1
    }
    heldBytes -= result.bytes
    count -= 1
    result.isKept = false
    result.answers.set(nil, of: result.group.number)
    result.group.count -= 1
    result.output.uses -= 1
    guard result.output.uses == 0 else { return }
    heldBytes -= result.output.bytes
    result.group.tree.outputs[result.output.digest] = nil
    let value = ObjectIdentifier(result.value)
    let count = (values[value] ?? 1) - 1
    values[value] = count > 0 ? count : nil
    if count == 0 { onForgotten?(value) }
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
