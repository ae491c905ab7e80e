import Core
import CoreSupport
import ServerSettings
import Support
import Testing

@testable import Plugins

struct GroupPatternsTests {
  /// Text of a `NamePattern` (else `NameRange`), groups, a client's name, and its groups; nil if it does not match.
  nonisolated struct Row: Sendable {
    let isRange: Bool
    let text: String
    let groups: [String]
    let name: String
    let expected: [String]?

    init(pattern: String, _ groups: [String], _ name: String, _ expected: [String]?) {
      (isRange, text, self.groups, self.name, self.expected) = (false, pattern, groups, name, expected)
    }

    init(range: String, _ name: String, _ fits: Bool) {
      (isRange, text, groups, self.name, expected) = (true, range, ["g"], name, fits ? ["g"] : nil)
    }
  }

  nonisolated static let rows: [Row] = [
    Row(pattern: "^web", ["a", "b"], "web1", ["a", "b"]),
    Row(pattern: "eb", ["a"], "web1", ["a"]),
    Row(pattern: "^eb", ["a"], "web1", nil),
    Row(pattern: "(w)(e)(b)", ["$1-$2-$3", "$4", "x"], "web1", ["w-e-b", "$4", "x"]),
    Row(pattern: "(w)(e)", ["$10$2"], "web1", ["w0e"]),
    Row(range: "web[[1-9,12]]", "web9.x", true),
    Row(range: "web[[1-9,12]]", "web012", true),
    Row(range: "web[[1-9,12]]", "web11", false),
    Row(range: "web[[1-9,12]]", "xweb1", false),
    Row(range: "[[20-]]-[[0]].x", "99999999999999999999-0yx", true),
    Row(range: "[[20-]]-[[0]].x", "19-0.x", false),
    Row(range: "web[[9-1]]", "web5", false),
    Row(range: "w.b.*-[[1]]", "wab-x-1", true),
    Row(range: "web", "web7", true),
  ]

  @Test(arguments: rows)
  func namesAreMatchedAsInBcfg2(row: Row) throws {
    let test = row.isRange ? try GroupPattern.Test(range: row.text) : try GroupPattern.Test(pattern: row.text)
    #expect(try GroupPattern(test, groups: row.groups).groups(of: row.name) == row.expected)
  }

  @Test(arguments: ["w\\d", "w[[1-2-3]]", "w[[-1]]", "w[[1,,2]]", "(w)[[1]]", "w[a", "w[ae]b[[1]]", "w+[[1]]"])
  func badRangesAreRefused(text: String) {
    #expect(throws: GroupPatternError.self) { try GroupPattern.Test(range: text) }
  }

  @Test func aGroupThatTookNoPartIsAnError() throws {
    let pattern = GroupPattern(try .init(pattern: "(a)|(b)"), groups: ["$1"])
    #expect(throws: GroupPatternError.self) { try pattern.groups(of: "b") }
    #expect(throws: GroupPatternError.self) { try GroupPattern.Test(pattern: nil) }
  }

  @Test(arguments: [Compatibility.v1_3, Compatibility.v1_4])
  func decisionsAreThoseOfTheVersion(compatibility: Compatibility) async throws {
    let files = [
      "Metadata/groups.xml": "<Groups><Group name=\"p\" profile=\"true\" default=\"true\"/></Groups>",
      "Metadata/clients.xml": "<Clients><Client name=\"a\" profile=\"p\"/></Clients>",
      "Decisions/whitelist.xml":
        "<Decisions><Group name=\"p\"><Decision type=\"Path\" name=\"new\"/></Group><Client name=\"b\"/></Decisions>",
      "Decisions/whitelist": "<Decisions><Decision type=\"Path\" name=\"old\"/></Decisions>",
      "Decisions/whitelist.G1_p": "<Decisions><Decision name=\"group\"/></Decisions>",
      "Decisions/blacklist.H_b": "<Decisions><Decision name=\"other\"/></Decisions>",
    ]
    let is13 = compatibility == .v1_3
    var settings = RepositoryFixture.settings
    settings.compatibility = compatibility
    settings.plugins = ["Decisions", "Metadata"]
    try await RepositoryFixture.run(files: files, settings: settings) { fixture in
      let metadata = try await fixture.core.buildMetadata("a")
      func names(_ mode: String) async -> [String?] {
        await fixture.core.getDecisions(metadata, mode: mode).map(\.name)
      }
      #expect(await names("whitelist") == (is13 ? ["group", "old"] : ["new"]))
      #expect(await names("blacklist") == [])
      #expect(await names("other") == [])
      #expect(
        await fixture.core.getDecisions(metadata, mode: "whitelist").map(\.tag) == (is13 ? [nil, "Path"] : ["Path"]))
      // A file that does not parse keeps its last good version.
      fixture.edit(is13 ? "Decisions/whitelist" : "Decisions/whitelist.xml", "<Decisions>")
      #expect(await names("whitelist") == (is13 ? ["group", "old"] : ["new"]))
    }
  }
}
