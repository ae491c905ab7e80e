import Testing
import XMLRPC

/// Texts of each way in which Swift keeps them: within the value, in memory, in the program.
private let texts: [String] = [
  "", "a", "group", "fifteen bytes..", "\u{e9}", "e\u{301}", "sixteen bytes ...", "sixteen bytes ..!",
  "the text of a constant that is longer than fifteen bytes", String(repeating: "x", count: 40),
  String(repeating: "\u{e9}", count: 20), String(repeating: "e\u{301}", count: 20), "a\0b", "a\0c",
]

@Test func namesAreEqualWhereTheirBytesAre() {
  for (number, one) in texts.enumerated() {
    for (other, text) in texts.enumerated() {
      // The same bytes kept anew: with room for more they stand in memory, however few they are.
      var copy = ""
      copy.reserveCapacity(64)
      copy += text
      #expect(Name.areSame(one, text) == (number == other), "\(one.debugDescription), \(text.debugDescription)")
      #expect(
        Name.areSame(one, copy) == (number == other), "\(one.debugDescription), a copy of \(copy.debugDescription)")
      #expect(Name.areSame(copy, one) == (number == other))
      if number == other { #expect(Name(one).hashValue == Name(copy).hashValue) }
    }
  }
}
