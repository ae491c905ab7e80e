import Testing

@testable import LoopDatabases

/// Names of channels are quoted by their bytes.
@Suite struct QuotingTests {
  @Test(arguments: [("a", "\"a\""), ("a\"b", "\"a\"\"b\""), ("a\"\u{301}", "\"a\"\"\u{301}\"")])
  func quotesAreDoubled(_ name: String, _ expected: String) {
    #expect(LoopPostgreSQL.quoted(name).utf8.elementsEqual(expected.utf8))
  }
}
