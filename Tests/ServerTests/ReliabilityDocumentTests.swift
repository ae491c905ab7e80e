import ServerSettings
import Support
import Testing
import XMLRPC

/// docs/reliability.md lists every limit as it is.
@Suite struct ReliabilityDocumentTests {
  @Test func theTableOfLimitsIsThatOfTheSources() throws {
    let rows = NetworkLimit.allCases.map(\.definition).map { definition in
      "| `\(definition.option)` | \(definition.standard) | \(definition.unit.rawValue) | \(definition.reason) |"
    }
    let mark = "| Option | Default | Unit | What it bounds |\n| --- | --- | --- | --- |\n"
    try GeneratedTable(page: "docs/reliability.md", mark: mark, end: "\n\n").check(rows.joined(separator: "\n"))
  }

  @Test func fixedBoundsAreThoseOfTheSource() throws {
    let rows = try Project.text("docs/reliability.md").split(separator: "\n").filter { $0.hasPrefix("| `") }
    for (name, value) in Mirror(reflecting: HTTPLimits()).children {
      guard let name else { continue }
      #expect(rows.contains { $0.hasPrefix("| `\(name)` | \(value) |") }, "\(name) = \(value)")
    }
  }
}
