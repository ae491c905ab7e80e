import Testing

@testable import Formats

@Suite struct JSONTests {
  @Test func jsonGivesItsValues() throws {
    let cases: [(String, JSONValue)] = [
      ("null", .null), (" true\n", .boolean(true)), ("-0", .integer(0)), ("12", .integer(12)), ("1e2", .number(100)),
      ("123456789012345678901", .number(123_456_789_012_345_683_968)), ("-Infinity", .number(-.infinity)),
      ("\"a\\n\\u00e9\\ud83d\\ude00/\\/\"", .string("a\né😀//")), ("[]", .array([])), ("{}", .object([])),
      ("[[1],{\"a\":false}]", .array([.array([.integer(1)]), .object([.init("a", .boolean(false))])])),
    ]
    for (text, value) in cases { #expect(try JSONValue(json: text) == value, "\(text)") }
    #expect(try JSONValue(json: "{\"a\":1,\"a\":2}")["a"] == .integer(2))
  }

  @Test func whatIsNoJSONIsRefusedWithItsLine() {
    let deep = String(repeating: "[", count: 100_000)
    for text in [
      "", "nul", "01", "1.", "+1", "'a'", "\"a", "\"\\x\"", "\"\n\"", "[1,]", "{\"a\"}", "{a:1}", "1 2",
      "\"\\u+123\"", "-", deep,
    ] {
      #expect(throws: JSONError.self, "\(text.prefix(20))") { try JSONValue(json: text) }
    }
    let error = #expect(throws: JSONError.self) { try JSONValue(json: "[\n1\n2]") }
    #expect(error?.description.contains("line 3") == true, "\(String(describing: error))")
  }
}
