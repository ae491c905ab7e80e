import Testing

@testable import Databases

/// What PostgreSQL reads are bytes: a quote before a combining accent is a quote, though one character with it to Swift.
@Suite struct PostgreSQLTextTests {
  @Test(arguments: [
    (nil, "SET DateStyle TO ISO; SET standard_conforming_strings TO on"),
    (
      "Europe/Berlin",
      "SET DateStyle TO ISO; SET standard_conforming_strings TO on; SET TimeZone TO 'Europe/Berlin'"
    ),
    ("a'b", "SET DateStyle TO ISO; SET standard_conforming_strings TO on; SET TimeZone TO 'a''b'"),
    (
      "a'\u{301}; DROP TABLE x; --",
      "SET DateStyle TO ISO; SET standard_conforming_strings TO on; SET TimeZone TO 'a''\u{301}; DROP TABLE x; --'"
    ),
  ])
  func zonesAreQuoted(_ zone: String?, _ expected: String) {
    #expect(PostgreSQLLibrary.greeting(zone: zone).utf8.elementsEqual(expected.utf8))
  }

  /// Messages of the library have several lines, of which one is made.
  @Test func messagesOfSeveralLinesBecomeOne() {
    var settings = DatabaseSettings(engine: .postgresql, name: "bcfg2")
    settings.password = "secret"
    let error = settings.error(.other, "a secret\r\n\n  b\u{2003}\nc")
    #expect("\(error)".contains("a ***; b; c"))
  }
}
