import EventLoop
import Testing

@testable import Templates

/// Results by the questions that they were made from.
@Suite struct RenderingCacheTests {
  private final class Value {
    let text: String
    init(_ text: String) { self.text = text }
  }

  private func key(_ path: String = "/t", version: Int = 1, name: String? = "/etc/t") -> RenderingCache.Key {
    RenderingCache.Key(
      kind: .genshi, path: .text(path), version: version, name: name.map { .text($0) } ?? .none,
      variables: [], limitBytes: 1)
  }

  private func text(
    _ kept: RenderingCache, _ key: RenderingCache.Key, _ answers: [TemplateValue: TemplateValue],
    asked: ((TemplateValue) -> Void)? = nil
  ) async -> String? {
    let found = await kept.find(key) { question in
      asked?(question.value)
      return answers[question.value]
    }
    return (found?.value as? Value)?.text
  }

  private func keep(
    _ kept: RenderingCache, _ key: RenderingCache.Key, _ trace: [(TemplateValue, TemplateValue)], _ text: String,
    bytes: Int = 0
  ) {
    kept.keep(
      key, trace.map { (question: $0.0, answer: $0.1) }, Value(text),
      output: (FileDigest(Array(text.utf8)), bytes), dependsOnOthers: false)
  }

  @Test func aResultIsFoundForWhoeverHasTheSameAnswers() async {
    let kept = RenderingCache(limitBytes: 1 << 20)
    keep(kept, key(), [("web?", true), ("host", "one")], "web one")
    keep(kept, key(), [("web?", false)], "none")
    #expect(await text(kept, key(), ["web?": true, "host": "one"]) == "web one")
    #expect(await text(kept, key(), ["web?": true, "host": "two"]) == nil)
    // The host is not asked for where it was not before.
    var asked: [TemplateValue] = []
    #expect(await text(kept, key(), ["web?": false, "host": "two"]) { asked.append($0) } == "none")
    #expect(asked == ["web?"])
    #expect(kept.used == 2 && kept.count == 2)
  }

  @Test func aQuestionWithoutAnAnswerFindsNothing() async {
    let kept = RenderingCache(limitBytes: 1 << 20)
    keep(kept, key(), [("gone", .none)], "x")
    #expect(await text(kept, key(), [:]) == nil)
    #expect(await text(kept, key(), ["gone": .none]) == "x")
  }

  @Test func aQuestionOfManyTemplatesIsAskedOnce() async {
    let kept = RenderingCache(limitBytes: 1 << 20)
    for number in 0..<50 { keep(kept, key("/t\(number)"), [("web?", true), ("host", "one")], "\(number)") }
    #expect(kept.questionCount == 2)
    let answers: [TemplateValue: TemplateValue] = ["web?": true, "host": "one"]
    var known: [Int: TemplateValue] = [:]
    var asked: [TemplateValue] = []
    for number in 0..<50 {
      // swift-format-ignore: OnlyOneTrailingClosureArgument
      let found = await kept.find(key("/t\(number)"), known: { known[$0.number] }) { question in
        asked.append(question.value)
        known[question.number] = answers[question.value]
        return answers[question.value]
      }
      #expect((found?.value as? Value)?.text == "\(number)")
    }
    #expect(asked == ["web?", "host"])
    kept.removeAll()
    #expect(kept.questionCount == 0, "what no result asks is not held")
  }

  @Test func aClientsAnswersToAListAreFoundOnce() throws {
    let kept = RenderingCache(limitBytes: 1 << 20)
    for number in 0..<50 { keep(kept, key("/t\(number)"), [("web?", true), ("host", "one")], "one") }
    keep(kept, key("/other"), [("web?", true), ("host", "two")], "two")
    var asked = 0
    func text(_ path: String, _ memory: RenderingCache.Memory, _ answers: [TemplateValue: TemplateValue]) -> String? {
      guard let tree = kept.tree(key(path)) else { return nil }
      let found = kept.findNow(in: tree, memory) { question in
        asked += 1
        return answers[question.value]
      }
      return (found?.value as? Value)?.text
    }
    let one = RenderingCache.Memory()
    let answers: [TemplateValue: TemplateValue] = ["web?": true, "host": "one"]
    for number in 0..<50 { #expect(text("/t\(number)", one, answers) == "one") }
    #expect(asked == 2 && kept.used == 50)
    // The list has these answers, the template has no result for them.
    #expect(text("/other", one, answers) == nil && asked == 2)
    // That the list lacks these answers is remembered until it has them.
    let third = RenderingCache.Memory()
    let others: [TemplateValue: TemplateValue] = ["web?": false, "host": "three"]
    #expect(text("/t1", third, others) == nil && text("/t2", third, others) == nil && asked == 3)
    keep(kept, key("/t2"), [("web?", false), ("host", "three")], "three")
    #expect(text("/t1", third, others) == nil)
    #expect(text("/t2", third, others) == "three" && asked == 5)
    // What cannot be answered yet is asked again.
    let late = RenderingCache.Memory()
    #expect(text("/t1", late, ["web?": true]) == nil)
    #expect(text("/t1", late, answers) == "one")
    // A result that was dropped and made again.
    kept.forget(path: "/t2")
    #expect(text("/t2", third, others) == nil)
    keep(kept, key("/t2"), [("web?", false), ("host", "three")], "again")
    #expect(text("/t2", third, others) == "again")
    kept.removeAll()
    #expect(kept.questionCount == 0 && kept.heldBytes == 0 && kept.count == 0)
    #expect(text("/t1", one, answers) == nil)
  }

  @Test func entriesAndVersionsAreKeptApart() async {
    let kept = RenderingCache(limitBytes: 1 << 20)
    keep(kept, key(name: "/a"), [], "a")
    keep(kept, key(name: "/b"), [], "b")
    #expect(await text(kept, key(name: "/a"), [:]) == "a")
    #expect(await text(kept, key(version: 2, name: "/a"), [:]) == nil)
    keep(kept, key(version: 2, name: "/a"), [], "new")
    #expect(kept.count == 1, "what was made from an older version is not wanted any more")
    kept.forget(path: "/t")
    #expect(kept.count == 0 && kept.heldBytes == 0)
  }

  @Test func differentFirstQuestionsAreAllTried() async {
    let kept = RenderingCache(limitBytes: 1 << 20)
    keep(kept, key(), [("a", 1), ("b", 1)], "first")
    keep(kept, key(), [("b", 2), ("a", 1)], "second")
    #expect(await text(kept, key(), ["a": 1, "b": 1]) == "first")
    #expect(await text(kept, key(), ["a": 1, "b": 2]) == "second")
  }

  @Test func theLeastRecentlyUsedGoesFirst() async {
    let one = RenderingCache.resultBytes + RenderingCache.outputBytes + RenderingCache.questionBytes + 1000
    let kept = RenderingCache(limitBytes: 3 * one)
    for number in 0..<3 { keep(kept, key(), [("n", .int(number))], "\(number)", bytes: 1000) }
    #expect(await text(kept, key(), ["n": 0]) == "0")
    keep(kept, key(), [("n", 3)], "3", bytes: 1000)
    #expect(await text(kept, key(), ["n": 1]) == nil, "it was used least recently")
    for number in [0, 2, 3] { #expect(await text(kept, key(), ["n": .int(number)]) == "\(number)") }
    kept.limitBytes = one
    #expect(kept.count == 1 && kept.heldBytes == one)
    #expect(await text(kept, key(), ["n": 3]) == "3")
    kept.limitBytes = 0
    keep(kept, key(), [], "x")
    #expect(kept.count == 0 && kept.heldBytes == 0)
  }

  @Test func equalOutputsOfATemplateAreHeldOnce() async throws {
    let kept = RenderingCache(limitBytes: 1 << 20)
    for number in 0..<10 { keep(kept, key(), [("host", .int(number))], number < 9 ? "same" : "other", bytes: 5000) }
    keep(kept, key("/t2"), [("host", 0)], "same", bytes: 5000)
    let result = RenderingCache.resultBytes + RenderingCache.questionBytes
    #expect(kept.heldBytes == 11 * result + 3 * (RenderingCache.outputBytes + 5000))
    var values: [Value] = []
    for number in 0..<9 {
      let found = await kept.find(key()) { $0.value == "host" ? .int(number) : nil }
      values.append(try #require(found?.value as? Value))
    }
    #expect(values.allSatisfy { $0 === values[0] && $0.text == "same" })
    #expect(await text(kept, key(), ["host": 9]) == "other")
    let digest = FileDigest(Array("same".utf8))
    #expect(kept.value(key(), ofOutput: digest) === values[0])
    #expect(kept.value(key("/t2"), ofOutput: digest) !== values[0], "of another template")
    #expect(kept.value(key(version: 2), ofOutput: digest) == nil)
    // The output goes with the last result that has it.
    for number in 0..<8 { keep(kept, key(), [("host", .int(number))], "changed", bytes: 1) }
    #expect(kept.value(key(), ofOutput: digest) === values[0])
    keep(kept, key(), [("host", 8)], "changed", bytes: 1)
    #expect(kept.value(key(), ofOutput: digest) == nil)
    kept.removeAll()
    #expect(kept.count == 0 && kept.heldBytes == 0)
  }

  @Test func aResultInThePlaceOfAnotherIsTheOneThatCounts() async {
    let kept = RenderingCache(limitBytes: 1 << 20)
    for number in 0..<5 {
      keep(kept, key(), [("q", 1)], "\(number)")
      keep(kept, key(name: "other"), [("q", 1)], "other")
      #expect(await text(kept, key(), ["q": 1]) == "\(number)")
    }
    #expect(kept.count == 2)
    kept.removeAll()
    #expect(kept.count == 0 && kept.heldBytes == 0)
  }

  @Test func aCacheThatGoesHoldsNothing() {
    weak var value: Value?
    do {
      let kept = RenderingCache(limitBytes: 1 << 20)
      let made = Value("x")
      value = made
      let output = (digest: FileDigest([1]), bytes: 1)
      kept.keep(
        key(), [(question: "q", answer: 1), (question: "r", answer: 1)], made, output: output, dependsOnOthers: false)
      kept.keep(key("/other"), [], made, output: output, dependsOnOthers: false)
    }
    #expect(value == nil)
  }

  @Test func resultsOfOneQuestionGoWithIt() async {
    let kept = RenderingCache(limitBytes: 1 << 20)
    for number in 0..<3 {
      keep(kept, key("/t\(number)"), [("q", .int(number))], "\(number)")
      keep(kept, key("/t\(number)"), [("file", .int(number)), ("q", .int(number))], "file \(number)")
    }
    kept.forget { $0 == "file" }
    #expect(kept.count == 3 && kept.questionCount == 1)
    for number in 0..<3 { #expect(await text(kept, key("/t\(number)"), ["q": .int(number)]) == "\(number)") }
  }

  @Test func aThousandResultsComeAndGo() async {
    let kept = RenderingCache(limitBytes: 100_000)
    for number in 0..<1000 {
      keep(kept, key("/t\(number % 7)"), [("a", .int(number)), ("b", .int(number % 3))], "\(number)")
    }
    #expect(kept.heldBytes <= 100_000 && kept.count > 50)
    #expect(kept.questionCount == 2)
    kept.limitBytes = 0
    #expect(kept.questionCount == 0, "what was dropped asks nothing")
    kept.limitBytes = 100_000
    keep(kept, key("/t\(999 % 7)"), [("a", 999), ("b", 0)], "999")
    #expect(await text(kept, key("/t\(999 % 7)"), ["a": 999, "b": 0]) == "999")
  }
}

/// The versions of a template.
@Suite struct TemplateSourceTests {
  @Test func aBrokenVersionLeavesTheOneBefore() {
    let source = TemplateSource(path: "/t")
    source.update([1])
    let first = source.versions[0].number
    source.isGood(first)
    source.update([2])
    #expect(source.versions.map(\.bytes) == [[2], [1]])
    let second = source.versions[0].number
    #expect(source.isBad(second, "wrong"))
    #expect(!source.isBad(second, "wrong"), "it is told once")
    #expect(source.versions.map(\.bytes) == [[1]])
    source.update([3])
    source.isGood(source.versions[0].number)
    #expect(source.versions.map(\.bytes) == [[3]], "what is usable replaces what was")
  }

  @Test func theSameBytesAreNoNewVersion() {
    let source = TemplateSource(path: "/t")
    source.update([1])
    let number = source.versions[0].number
    source.update([1])
    #expect(source.versions.map(\.number) == [number])
  }

  @Test func fewVersionsWaitToBeTried() {
    let source = TemplateSource(path: "/t")
    source.update([0])
    source.isGood(source.versions[0].number)
    for number in 1..<100 { source.update([UInt8(number)]) }
    #expect(source.versions.map(\.bytes) == [[99], [98], [97], [0]], "and the usable one stays")
  }
}
