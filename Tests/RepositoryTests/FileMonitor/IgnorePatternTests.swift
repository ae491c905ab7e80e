import Logging
import Support
import Testing

@testable import Repository

@Suite struct IgnorePatternTests {
  /// Whether a line ignores a path below its folder; a slash at the end says that it is a folder.
  private func ignores(_ line: String, _ path: String) throws -> Bool {
    let pattern = try #require(try IgnorePattern.read(line))
    let names = path.split(separator: "/").map(String.init)
    var steps = 0
    return pattern.matches(names[...], steps: &steps) { path.hasSuffix("/") }
  }

  @Test(arguments: [
    // A name, at any depth.
    ("*.orig", "a.orig", true), ("*.orig", "d/e/a.orig", true), ("*.orig", "a.orig.txt", false),
    ("a?c", "abc", true), ("a?c", "a/c", false), ("[!a-c]x", "dx", true), ("[!a-c]x", "bx", false),
    ("[]]x", "]x", true), ("**", "d/a", true), ("a**b", "axyb", true),
    // A slash makes it relative.
    ("/a", "a", true), ("/a", "d/a", false), ("d/a", "d/a", true), ("d/a", "e/d/a", false),
    ("d/*.x", "d/a.x", true), ("d/*.x", "d/e/a.x", false), ("*/a", "d/a", true), ("*/a", "d/e/a", false),
    // Any folders.
    ("**/a", "a", true), ("**/a", "d/e/a", true), ("d/**", "d/a", true), ("d/**", "d/e/a", true), ("d/**", "d/", false),
    ("d/**/a", "d/a", true), ("d/**/a", "d/e/f/a", true), ("d/**/a", "d/e/f/b", false),
    ("**/e/**/a", "d/e/x/e/y/a", true), ("**/e/**/a", "d/a", false),
    // Folders alone.
    ("build/", "build/", true), ("build/", "build", false), ("build/", "d/build/", true),
    ("d/build/", "d/build/", true),
    // Literal characters.
    ("\\#a", "#a", true), ("\\!a", "!a", true), ("a\\*", "a*", true), ("a\\*", "ab", false), ("a\\[b", "a[b", true),
    ("a\\ ", "a ", true), ("a ", "a", true), ("a\\\\", "a\\", true), ("\u{e9}?", "\u{e9}\u{e8}", true),
  ])
  func linesAreReadAsGitReadsThem(_ line: String, _ path: String, _ expected: Bool) throws {
    #expect(try ignores(line, path) == expected, "\(line) \(path)")
  }

  /// A combining accent makes one character of itself and what is before it; it is still a `#`, a `!`, a slash.
  @Test func signsAreBytes() throws {
    let accent = "\u{301}"
    #expect(try IgnorePattern.read("#\(accent)a") == nil)
    #expect(try IgnorePattern.read("!\(accent)a")?.takesBack == true)
    #expect(try ignores("/\(accent)a", "\(accent)a"))
    #expect(try !ignores("d/\(accent)a", "e/\(accent)a"))
    #expect(throws: IgnorePattern.Problem.self) { try IgnorePattern.read("a/../\(accent)b") }
    #expect(try ignores("a\r", "a"))
    #expect(try ignores("a \t\r", "a"))
    // Two names.
    #expect(try !ignores("e\(accent)", "\u{e9}"))
  }

  @Test(arguments: ["", " ", "# a", "\r", "\t\r"])
  func emptyLinesAndCommentsSayNothing(_ line: String) throws { #expect(try IgnorePattern.read(line) == nil) }

  @Test(arguments: [
    ("!", "no name"), ("/", "no name"), ("a//b", "two slashes"), ("a/../b", ".. is no name"), ("./a", ". is no name"),
    ("a[b", "a set without its ]"), ("[]", "a set without its ]"), ("a\\", "a backslash without"),
    ("a\0", "a zero byte"), (String(repeating: "a", count: 1025), "longer than 1024 bytes"),
  ])
  func othersAreRefused(_ line: String, _ problem: String) throws {
    let error = #expect(throws: IgnorePattern.Problem.self) { try IgnorePattern.read(line) }
    #expect(error?.description.contains(problem) == true)
  }

  @Test func aPatternTakesNoLongTime() throws {
    let line = String(repeating: "**/*a*/", count: 100) + "b"
    let path = String(repeating: "aaaaaaaa/", count: 300) + "c"
    #expect(try !ignores(line, path))
  }

  /// Whatever would have to be tried again and again.
  @Test(arguments: ["**/*a*/", "*a", "[a-cx-z]*/", "**/a*b/", "?*?*/"])
  func stepsHaveALimit(_ part: String) {
    let line = String(repeating: part, count: 1000 / part.utf8.count) + "b"
    let rules = IgnoreRules(Array(String(repeating: line + "\n", count: 10).utf8))
    #expect(rules.problems.isEmpty)
    for path in [String(repeating: "aaaaaaaa/", count: 300) + "c", String(repeating: "a", count: 4000)] {
      let names = path.split(separator: "/").map(String.init)
      var steps = 0
      let verdict = rules.verdict(names[...], steps: &steps) { true }
      #expect(verdict == nil && steps > 0 && steps <= rules.stepLimit(names[...]), "\(steps)")
    }
  }

  /// Seeds of the fuzz target: a path, and behind its line feed the file.
  @Test func seedsAreMatchedWithinTheirLimit() throws {
    for (name, bytes) in try Corpus.files("ignore-file") {
      let end = bytes.firstIndex(of: 0x0A) ?? bytes.endIndex
      let names = bytes[..<end].split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
      let rules = IgnoreRules(Array(bytes[end...].dropFirst()))
      var steps = 0
      let verdict = rules.verdict(names[...], steps: &steps) { false }
      #expect(steps <= rules.stepLimit(names[...]), "\(name)")
      #expect(verdict == (name.hasPrefix("hidden") ? true : name.hasPrefix("kept") ? false : nil), "\(name)")
    }
  }

  /// Each path of a repository is compared with each pattern, while clients wait.
  @Test(.timeLimit(.minutes(1)), arguments: [("", 200), ("*", 10)])
  func manyHardPatternsAndNamesTakeNoLongTime(_ end: String, _ count: Int) {
    let lines = (0..<1000).map { "*\(String(repeating: "a", count: 57))\($0)b\(end)\n" }
    let rules = IgnoreRules(Array(lines.joined().utf8))
    for number in 0..<count {
      #expect(rules.verdict([String(repeating: "a", count: 240) + "\(number)"]) { false } == nil)
    }
  }

  @Test func theLastPatternDecides() {
    let rules = IgnoreRules(Array("*.bak\n!keep.bak\n/d/keep.bak\n".utf8))
    func verdict(_ names: String...) -> Bool? { rules.verdict(names[...]) { false } }
    #expect(verdict("a.bak") == true && verdict("keep.bak") == false && verdict("d", "keep.bak") == true)
    #expect(verdict("other") == nil)
  }

  @Test func badLinesAreToldAndTheRestHolds() {
    let rules = IgnoreRules(Array("*.a\n[\n".utf8) + [0xFF, 0x0A] + Array("*.b".utf8))
    #expect(rules.problems.map(\.line) == [2, 3])
    #expect(rules.verdict(["x.b"]) { false } == true)
    let many = IgnoreRules(Array((0...1000).map { "n\($0)\n" }.joined().utf8))
    #expect(many.problems.map(\.line) == [1001])
    #expect(many.verdict(["n999"]) { false } == true && many.verdict(["n1000"]) { false } == nil)
  }

  /// Each line that is told of is one of the log.
  @Test func aFileOfBadLinesIsToldOfInFewLines() {
    let rules = IgnoreRules(Array(String(repeating: "[\n", count: 30_000).utf8))
    #expect(rules.problems.map(\.line) == Array(1...21))
    #expect(rules.problems.last?.problem == "this and 29979 more lines are no patterns")
  }

  /// What a tool sees that looks at a repository once.
  @Test func filesAreReadWhereTheyAreNeeded() {
    let folder = TemporaryDirectory()
    let log = LogRecorder()
    folder.write("*.bak\nbuild/\n", to: ".bcfg2-ignore")
    folder.write("!a.bak\n[\n", to: "Cfg/.bcfg2-ignore")
    folder.write("", to: "Cfg/build/x")
    folder.write("", to: "Cfg/d/build")
    let files = IgnoreFiles(reading: folder.path + "/", logger: log.logger)
    func hides(_ name: String) -> Bool { files.hides("\(folder.path)/\(name)") }
    #expect(hides("Bundler/a.bak") && !hides("Cfg/a.bak") && hides("Cfg/b.bak") && !hides("Cfg/d/a.bak"))
    #expect(hides("Cfg/build") && hides("Cfg/build/x") && !hides("Cfg/d/build"))
    #expect(hides(".bcfg2-ignore") && hides("Cfg/.bcfg2-ignore") && !hides("") && !files.hides("/etc/a.bak"))
    #expect(log.take() == ["warning \(folder.path)/Cfg/.bcfg2-ignore:2: this line is left out: a set without its ]"])
  }
}
