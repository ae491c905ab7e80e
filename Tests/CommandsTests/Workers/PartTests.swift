import Testing

@testable import Commands

/// Parts of the clients, and what processes for them say.
@Suite struct PartTests {
  @Test func partsAreDisjointAndWhole() throws {
    let items = Array(0..<10)
    for count in 1...12 {
      let parts = (1...count).compactMap { WorkPart("\($0)/\(count)") }
      #expect(parts.count == count && parts.map(\.text).last == "\(count)/\(count)")
      #expect(parts.flatMap { $0.of(items) }.sorted() == items)
    }
  }

  @Test(arguments: ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2"]) func wrongParts(_ text: String) {
    #expect(WorkPart(text) == nil)
  }

  @Test(arguments: ["total 12", "done", "result {\"a\":1}", "problem two\u{1}lines"]) func linesAreReadAsWritten(
    _ text: String
  ) {
    #expect(WorkerLine(text[...])?.text == text)
  }

  @Test(arguments: ["", "total", "total x", "Done"]) func otherLines(_ text: String) {
    #expect(WorkerLine(text[...]) == nil)
  }
}
