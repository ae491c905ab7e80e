import ServerSettings
import Support
import Testing
import XMLRPC

/// docs/reliability.md lists every limit as it is.
@Suite struct ReliabilityDocumentTests {
  private let rows: [Substring]

  init() throws {
    rows = try Project.text("docs/reliability.md").split(separator: "\n").filter { $0.hasPrefix("| `") }
  }

  @Test func tableOfOptionsIsThatOfTheSource() {
    let expected = NetworkLimit.allCases.map(\.definition).map { definition in
      "| `\(definition.option)` | \(definition.standard) | \(definition.unit.rawValue) | \(definition.reason) |"
    }
    #expect(rows.prefix(expected.count).map(String.init) == expected)
  }

  @Test func fixedBoundsAreThoseOfTheSource() {
    for (name, value) in Mirror(reflecting: HTTPLimits()).children {
      guard let name else { continue }
      #expect(rows.contains { $0.hasPrefix("| `\(name)` | \(value) |") }, "\(name) = \(value)")
    }
  }
}
