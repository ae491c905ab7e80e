import EventLoop
import Glibc
import Support
import Testing

@testable import Formats
@testable import XMLRPC

@Suite struct PythonRegexTests {
  /// What Python 2.7 finds: a pattern, and for each text the spans of `match` and `search`; refused where it is none.
  private struct Recorded {
    let pattern: String
    var found: [(text: String, match: [Range<Int>?]?, search: [Range<Int>?]?)] = []
    let isRefused: Bool

    init(_ line: String) throws {
      let row = try JSONValue(json: line)
      guard case .string(let pattern)? = row["pattern"] else { throw JSONError(description: "no pattern") }
      self.pattern = pattern
      isRefused = row["refused"]?.isTruthy ?? false
      guard case .array(let found)? = row["found"] else { return }
      for case .array(let answer) in found {
        guard case .string(let text) = answer[0] else { throw JSONError(description: "no text") }
        self.found.append((text, Self.spans(answer[1]), Self.spans(answer[2])))
      }
    }

    private static func spans(_ value: JSONValue) -> [Range<Int>?]? {
      guard case .array(let groups) = value else { return nil }
      return groups.map { group in
        guard case .array(let ends) = group, case .integer(let start) = ends[0], case .integer(let end) = ends[1] else {
          return nil
        }
        return start..<end
      }
    }
  }

  /// The table of Tests/Regex, or the one that `BCFG2_REGEX_TABLE` names.
  private func table() throws -> [Recorded] {
    let path = getenv("BCFG2_REGEX_TABLE").map { String(cString: $0) } ?? "\(Project.root)/Tests/Regex/expected.jsonl"
    let text = String(decoding: try AtomicFile.readFile(path, limitBytes: 1 << 28), as: UTF8.self)
    return try text.split(separator: "\n").map { try Recorded(String($0)) }
  }

  private func spans(_ match: PythonRegex.Match?) -> [Range<Int>?]? {
    match.map { match in (0...match.groupCount).map { match.bytes($0) } }
  }

  @Test func regularExpressionsFindWhatPythonFinds() throws {
    var count = 0
    for row in try table() {
      guard !row.isRefused else {
        #expect(throws: RegexError.self, "\(row.pattern)") { try PythonRegex(row.pattern) }
        count += 1
        continue
      }
      let match = try PythonRegex(row.pattern, finds: .atStart)
      let search = try PythonRegex(row.pattern, finds: .anywhere)
      for (text, matched, searched) in row.found {
        #expect(spans(match.match(text)) == matched, "match \(row.pattern) \(text)")
        #expect(spans(search.match(text)) == searched, "search \(row.pattern) \(text)")
        count += 1
      }
    }
    #expect(count >= 300)
  }

  @Test func machineCodeFindsTheSame() throws {
    for row in try table() where !row.isRefused {
      for scope in [PythonRegex.Scope.atStart, .anywhere] {
        let fresh = try PythonRegex(row.pattern, finds: scope)
        let used = try PythonRegex(row.pattern, finds: scope)
        for _ in 0..<RegexLimits.matchesBeforeMachineCode { _ = used.matches("") }
        for (text, _, _) in row.found.prefix(4) {
          #expect(spans(fresh.match(text)) == spans(used.match(text)), "\(row.pattern) \(text)")
        }
      }
    }
  }

  @Test(arguments: [
    ("a|ab", "ab", true), ("a|ab", "aba", false), ("a$", "a\n", false), ("a\\Z", "a", true), ("", "", true),
    ("", "a", false), (".*", "a\nb", false), ("(?i)WEB.*", "web-1", true), ("web|db", "webmaster", false),
  ])
  func theWholeTextHasToFit(pattern: String, text: String, fits: Bool) throws {
    #expect(try PythonRegex(pattern, finds: .wholeText).matches(text) == fits)
  }

  @Test func groupsHaveNamesAndNumbers() throws {
    let match = try #require(try PythonRegex("(?P<stem>[a-zé]+)(\\d+)?(-x)?").match("wéb12"))
    #expect(match["stem"] == "wéb" && match[0] == "wéb12" && match[2] == "12" && match[3] == nil)
    #expect(match["other"] == nil && match[9] == nil && match[-1] == nil && match.groupCount == 3)
  }

  /// What Python allows and PCRE2 has no room for, or where a bound is ours.
  @Test(arguments: [
    ("a{65536}", "the repetition number is too large"), (String(repeating: "(?:", count: 200), "nested too deeply"),
    (String(repeating: "a", count: 8193), "longer than 8192 bytes"),
    ("((((a{1000}){20}){20}){20}){20}", "regular expression is too large"),
    (String(repeating: "()", count: 100), "only supports 100 named groups"),
  ])
  func largePatternsAreRefused(pattern: String, reason: String) {
    let error = #expect(throws: RegexError.self) { try PythonRegex(pattern) }
    #expect(error?.description.contains(reason) ?? false)
  }

  @Test func aPatternThatIsNoLongerUsedTakesNoMemory() throws {
    let before = (RegexProgram.compiledBytes, RegexProgram.machineCodeBytes)
    try {
      let regex = try PythonRegex("[a-z]+x", finds: .anywhere)
      #expect(RegexProgram.compiledBytes > before.0)
      for _ in 0..<100 { _ = regex.matches("abc") }
    }()
    #expect(RegexProgram.compiledBytes == before.0 && RegexProgram.machineCodeBytes == before.1)
  }

  // MARK: Slow patterns

  private nonisolated static let hostile: [(pattern: String, text: String)] = [
    ("(a+)+$", String(repeating: "a", count: 30) + "!"),
    (".*-web.*\\.example\\.com$", String(repeating: "-web", count: 5000) + "com"),
    ("([a-z0-9-]+\\.?)+\\.example\\.com", String(repeating: "a", count: 20) + "!om"),
    ("(?:(?:a*)*)*b", String(repeating: "a", count: 60_000) + "!b!"),
    ("(a|b|ab)*c", String(repeating: "ab", count: 1000) + "!c!"),
  ]

  /// The number of steps is PCRE2's count; a clock would tell of the machine.
  @Test(arguments: hostile, [false, true])
  func aMatchEndsAtItsLimit(_ hostile: (pattern: String, text: String), isMachineCode: Bool) throws {
    for scope in [PythonRegex.Scope.atStart, .anywhere, .wholeText] {
      let log = LogRecorder()
      let regex = try PythonRegex(
        hostile.pattern, finds: scope, in: RegexSource(place: "/r/a.xml:3", logger: log.logger))
      _ = log.take()
      if isMachineCode { for _ in 0..<RegexLimits.matchesBeforeMachineCode { _ = regex.matches("") } }
      let budget = RequestBudget(bodyBytes: 0)
      let outcome = RequestBudget.$current.withValue(budget) { regex.outcome(hostile.text) }
      #expect(outcome == .overLimit)
      #expect(budget.regexSteps <= RegexLimits.steps * 3 / 2)
      let line =
        "warning /r/a.xml:3: Regular expression '\(hostile.pattern)' takes more than 200000 steps for '\(hostile.text)', "
        + "which counts as no match"
      #expect(log.take() == [line])
    }
  }

  @Test func aTextBeyondTheBoundDoesNotFit() throws {
    let regex = try PythonRegex(".*")
    #expect(regex.outcome(String(repeating: "a", count: RegexLimits.textBytes)) == .found)
    #expect(regex.outcome(String(repeating: "a", count: RegexLimits.textBytes + 1)) == .overLimit)
  }

  @Test func theMatchesOfARequestShareItsSteps() throws {
    let log = LogRecorder()
    let regex = try PythonRegex("(a+)+$", in: RegexSource(place: "a:1", logger: log.logger))
    _ = log.take()
    let budget = RequestBudget(bodyBytes: 0)
    let text = String(repeating: "a", count: 40) + "!"
    let outcomes = RequestBudget.$current.withValue(budget) { (0..<20).map { _ in regex.outcome(text) } }
    let tried = outcomes.prefix { $0 == .overLimit }.count
    #expect((1..<20).contains(tried) && outcomes.dropFirst(tried).allSatisfy { $0 == .overBudget })
    #expect(budget.regexSteps <= HTTPLimits().requestRegexSteps)
    #expect(log.take().last?.hasSuffix("the request has used up its steps") ?? false)
    // Quick matches go on, and so does the next request.
    #expect(RequestBudget.$current.withValue(budget) { regex.outcome("aaa") } == .found)
    #expect(RequestBudget.$current.withValue(RequestBudget(bodyBytes: 0)) { regex.outcome(text) } == .overLimit)
  }

  @Test(arguments: [
    // Proved by a text.
    ("(a+)+$", "takes"), ("([a-z0-9-]+\\.?)+\\.example\\.com", "takes"), ("(a*)*b", "takes"), ("(x+x+)+y", "takes"),
    ("(a|aa)+$", "takes"), ("[a-z]*[a-z]*[a-z]*x", "takes"), ("^(\\w+\\s?)*$", "takes"),
    ("(.*)-(.*)-(.*)-(.*)-x", "takes"),
    // Not excluded.
    ("(.*),(.*),(.*),(.*)$", "may take"), ("(.*)*x", "may take"),
  ])
  func aSlowPatternIsNamedWhenItIsRead(pattern: String, verb: String) throws {
    let log = LogRecorder()
    _ = try PythonRegex(pattern, in: RegexSource(place: "/r/a.xml:7", logger: log.logger))
    let lines = log.take()
    #expect(lines.count == 1)
    let beginning = "warning /r/a.xml:7: Regular expression '\(pattern)' \(verb) more than 200000 steps for some texts"
    #expect(lines.first?.hasPrefix(beginning) ?? false, "\(lines)")
  }

  /// As names of rules, groups of probes and patterns of names are: those are at the start, the whole, anywhere.
  @Test(arguments: [
    ".*", "python-.*$", "lib(foo|bar)-.*-dev$", "/etc/.*foo.*bar.*$", ".*/foo/.*/bar/.*/baz/.*$", "(foo|foobar)*$",
    ".*-web.*\\.example\\.com$", "(.*)-(\\d+)\\.(.*)$", "([^,]*),([^,]*),([^,]*),([^,]*)$", "(.*)\\1$",
    "(?:(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)\\.){3}(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)$", "(?=.*\\d)(?=.*[a-z]).*$",
    "(db|web|mail)-[a-z]+", "[a-z]+(-[a-z]+)*", "kernel-(?!debug).*-[0-9.]+$", "/etc/[^/]+/[^/]+\\.conf$",
  ])
  func anOrdinaryNameOfARuleIsNotNamed(pattern: String) throws {
    let log = LogRecorder()
    for scope in [PythonRegex.Scope.atStart, .wholeText] {
      _ = try PythonRegex(pattern, finds: scope, in: RegexSource(place: "a:1", logger: log.logger))
    }
    #expect(log.take() == [])
  }

  @Test(arguments: [
    ".*", "web\\d+", "^web\\d+\\.(dc1|dc2)\\..*", "^([a-z]+)(\\d+)-([a-z]+)\\.(\\w+)\\.example\\.com$",
    "(\\w+)\\.(\\w+)\\.(\\w+)", "(?:[a-z0-9-]+\\.)+example\\.com$", "\\d+-\\d+-\\d+", "(?i)^web-(\\d+)",
    "(?P<kind>[a-z]+)\\.example\\.com$", ".*-web.*\\.example\\.com$", "\\.(dc\\d+)\\.(site\\d+)\\.corp$",
  ])
  func anOrdinaryPatternOfNamesIsNotNamed(pattern: String) throws {
    let log = LogRecorder()
    _ = try PythonRegex(pattern, finds: .anywhere, in: RegexSource(place: "a:1", logger: log.logger))
    #expect(log.take() == [])
  }

  /// The patterns of the table, on texts that are made to be slow for them, and on the table's own.
  @Test func noTextTakesMoreStepsThanTheBound() throws {
    var count = 0
    for row in try table() where !row.isRefused {
      let syntax = try RegexSyntax(row.pattern)
      for scope in [PythonRegex.Scope.atStart, .anywhere, .wholeText] {
        let program = try RegexProgram(RegexTranslation(syntax, finds: scope))
        let own = row.found.map { Array($0.text.utf8) }
        for text in RegexAttack(syntax).texts(length: 60).prefix(16) + own where !text.contains(0x0A) {
          let bound = RegexBound.steps(syntax, finds: scope, length: text.count)
          guard bound < Double(RegexLimits.steps) else { continue }
          #expect(!program.needsMore(than: Int(bound), text), "\(row.pattern) \(text)")
          count += 1
        }
      }
    }
    #expect(count > 1000)
  }
}
