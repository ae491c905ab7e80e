import Core
import CoreSupport
import Support
import Testing

@testable import Info

/// The shell: words, lines, completion.
@Suite struct ShellTests {
  @Test(arguments: [
    ("a  b\tc", ["a", "b", "c"]), ("", []), ("'a b' \"c 'd\"", ["a b", "c 'd"]),
    (#"a\ b "\"\\" '\'"#, ["a b", "\"\\", "\\"]),
    ("''", [""]), ("a''b", ["ab"]), ("ä'ö ü'", ["äö ü"]), (#""a\b""#, [#"a\b"#]),
  ])
  func words(_ line: String, _ expected: [String]) throws {
    #expect(try ShellWords.split(line) == expected)
  }

  @Test(arguments: ["'a", "\"a", "a\\", "\"a\\"]) func unfinishedWords(_ line: String) {
    #expect(throws: ShellWords.Problem.self) { try ShellWords.split(line) }
  }

  /// Lines of a test.
  private final class Lines: LineSource {
    private var lines: [String]
    /// Called before each line.
    var before: (Int) -> Void = { _ in }
    private var count = 0

    init(_ lines: [String]) { self.lines = lines.reversed() }

    func next(prompt: String) async -> String? {
      before(count)
      count += 1
      return lines.popLast()
    }
  }

  private func shell(_ info: InfoFixture, _ lines: Lines) async throws -> String {
    let printed = InfoFixture.Printed()
    let context = InfoContext(core: info.fixture.core) { printed.text += $0 }
    #expect(await Shell().run(context, lines) == 0)
    return printed.text
  }

  @Test func linesAreModesUntilTheEnd() async throws {
    try await InfoFixture.with { info async throws in
      let text = try await shell(
        info, Lines(["", "nosuch x", "query -g web", "groups nosuch", "'", "update", "expirecache", "EOF", "clients"]))
      #expect(
        text == """
          Welcome to bcfg2-info
          Type "help" for more information
          *** Unknown syntax: nosuch x
          one.example.com

          """)
      #expect(try await shell(info, Lines(["help", "exit"])).contains("\nupdate - Process pending filesystem events."))
    }
  }

  @Test func jsonIsNotForTheShellItself() {
    guard case .done(let text, let isError) = ModeParsing.parse(["shell", "--json"], isInteractive: false) else {
      Issue.record("it is taken")
      return
    }
    #expect(isError && text.contains("--json belongs to the shell's lines"))
  }

  @Test func editsBetweenLinesCount() async throws {
    try await InfoFixture.with { info async throws in
      let lines = Lines(["buildfile /etc/motd two.example.com", "buildfile /etc/motd two.example.com"])
      lines.before = { if $0 == 1 { info.fixture.repository.write("new\n", to: "Cfg/etc/motd/motd") } }
      let text = try await shell(info, lines)
      #expect(text.contains(">hello\n</Path>") && text.hasSuffix(">new\n</Path>\n"))
    }
  }

  @Test func wordsAreCompleted() async throws {
    try await InfoFixture.with { info async throws in
      let completer = Completer(info.fixture.core)
      await completer.refresh()
      #expect(completer.candidates(before: "", word: "show") == ["showclient", "showentries"])
      #expect(completer.candidates(before: "help ", word: "grou") == ["groups"])
      #expect(completer.candidates(before: "build ", word: "o") == ["one.example.com"])
      #expect(completer.candidates(before: "build one.example.com ", word: "o") == nil)
      #expect(
        completer.candidates(before: "showclient one.example.com ", word: "") == ["one.example.com", "two.example.com"])
      #expect(completer.candidates(before: "buildbundle ", word: "") == ["entries"])
      #expect(completer.candidates(before: "buildfile -f x ", word: "/etc/") == [])
      #expect(completer.candidates(before: "buildfile ", word: "/etc/") == ["/etc/motd"])
      #expect(completer.candidates(before: "automatch -f ", word: "") == ["auto.xml", "site.xml"])
      #expect(completer.candidates(before: "groups ", word: "") == ["base", "other", "web"])
      #expect(completer.candidates(before: "mappings ", word: "Pa") == ["Package", "Path"])
      #expect(completer.candidates(before: "nosuch ", word: "") == [])
      #expect(completer.candidates(before: "query -g ", word: "") == ["base", "other", "web"])
      #expect(completer.candidates(before: "query -b ", word: "e") == ["entries"])
      #expect(completer.candidates(before: "query --profile ", word: "") == ["base", "other"])
      #expect(completer.candidates(before: "diff ", word: "--w") == ["--worktree"])
      #expect(completer.candidates(before: "buildfile -f ", word: "x") == nil)
    }
  }
}
