import EventLoop
import ServerSettings
import Testing
import XMLRPC

/// docs/reliability.md lists every limit as it is.
@Suite struct ReliabilityDocumentTests {
  private static let document: String = {
    let top = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let bytes = try? AtomicFile.readFile("/\(top)/docs/reliability.md", limitBytes: 1 << 20)
    return String(decoding: bytes ?? [], as: UTF8.self)
  }()

  private var rows: [Substring] { Self.document.split(separator: "\n").filter { $0.hasPrefix("| `") } }

  @Test func tableOfOptionsIsThatOfTheSource() {
    let expected = NetworkLimit.definitions.map { definition in
      "| `\(definition.limit.rawValue)` | \(definition.standard) | \(definition.unit.rawValue) | \(definition.reason) |"
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
