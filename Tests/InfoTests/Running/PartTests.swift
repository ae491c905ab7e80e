import Testing

@testable import Info

/// Parts of the clients, and what processes for them say.
@Suite struct PartTests {
  @Test func partsAreDisjointAndWhole() throws {
    let items = Array(0..<10)
    for count in 1...12 {
      let parts = (1...count).compactMap { Part("\($0)/\(count)") }
      #expect(parts.count == count && parts.map(\.text).last == "\(count)/\(count)")
      #expect(parts.flatMap { $0.of(items) }.sorted() == items)
    }
  }

  @Test(arguments: ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2"]) func wrongParts(_ text: String) {
    #expect(Part(text) == nil)
  }

  @Test(arguments: ["total 12", "done", "result {\"a\":1}"]) func linesAreReadAsWritten(_ text: String) {
    #expect(WorkerLine(text[...])?.text == text)
  }

  @Test(arguments: ["", "total", "total x", "Done"]) func otherLines(_ text: String) {
    #expect(WorkerLine(text[...]) == nil)
  }
}
