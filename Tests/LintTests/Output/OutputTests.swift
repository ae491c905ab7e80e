import Formats
import Testing

@testable import Lint

struct OutputTests {
  private let findings = [
    Finding(
      name: "xml-failed-to-verify", plugin: "Validate", severity: .error,
      lines: ["/s/repo/a b.xml fails:", "one", "two"],
      place: .init("/s/repo/a b.xml", line: 2),
      parts: [
        .init(place: .init("/s/repo/a b.xml", line: 2), message: "one"),
        .init(place: .init("/s/repo/a b.xml", line: 3), message: "two, \"50%\""),
      ]),
    Finding(
      name: "unused-bundle", plugin: "Bundler", severity: .warning, lines: ["Bundle a"], place: .init("/t/a.xml"),
      parts: []),
    Finding(name: "server-warning", plugin: "Server", severity: .warning, lines: ["text"], place: nil, parts: []),
    Finding(name: "no-infoxml", plugin: "InfoXML", severity: .silent, lines: ["silent"], place: nil, parts: []),
  ]

  @Test func linesAreBrokenAtTheTerminalsWidth() {
    let finding = Finding(
      name: "n", plugin: "P", severity: .warning, lines: ["one two three four five", "six"], place: nil, parts: [])
    #expect(TextOutput(width: nil).lines(finding) == ["WARNING: one two three four five", "six"])
    #expect(TextOutput(width: 24).lines(finding) == ["WARNING: one two three four", "  five", "six"])
    #expect(TextOutput(width: nil).lines(findings[3]) == ["silent"])
  }

  @Test func jsonHasAllButTheSilentOnes() throws {
    let json = try JSONValue(json: MachineOutput(findings, folder: "/s").json)
    guard case .object(let members) = json else {
      Issue.record("\(json)")
      return
    }
    #expect(members.map(\.name) == ["findings", "errors", "warnings"])
    #expect("\(members[1].value)".contains("1") && "\(members[2].value)".contains("2"))
  }

  @Test func sarifHasAResultForEachPlace() throws {
    let sarif = MachineOutput(findings, folder: "/s").sarif(version: "1")
    _ = try JSONValue(json: sarif)
    #expect(sarif.ranges(of: "\"ruleId\"").count == 4)
    #expect(sarif.contains("\"uri\": \"repo/a%20b.xml\"") && sarif.contains("\"uri\": \"file:///t/a.xml\""))
    #expect(sarif.contains("\"startLine\": 3") && sarif.contains("two, \\\"50%\\\""))
  }

  @Test func annotationsAreEscaped() {
    #expect(
      MachineOutput(findings, folder: "/s").annotations == [
        "::error file=repo/a b.xml,line=2,title=xml-failed-to-verify::one",
        "::error file=repo/a b.xml,line=3,title=xml-failed-to-verify::two, \"50%25\"",
        "::warning file=/t/a.xml,title=unused-bundle::Bundle a", "::warning title=server-warning::text",
      ])
  }

  /// Names of files and elements come from whoever may commit.
  @Test func namesNeitherControlATerminalNorMakeLines() {
    let finding = Finding(
      name: "n", plugin: "P", severity: .error, lines: ["a\u{1B}[2J\nERROR: b", "c"], place: .init("/s/d\u{1B}\n"),
      parts: [])
    #expect(TextOutput(width: nil).lines(finding) == ["ERROR: a\\x1b[2J\\nERROR: b", "c"])
    #expect(
      MachineOutput([finding], folder: "/s").annotations == [
        "::error file=d\\x1b\\n,title=n::a\\x1b[2J\\nERROR: b%0Ac"
      ])
  }
}
