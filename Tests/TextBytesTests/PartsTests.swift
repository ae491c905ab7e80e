import Testing
import TextBytes

private let accent = "\u{301}"

@Suite struct PartsTests {
  @Test(arguments: [
    "", "/", "//", "a", "a/b", "/a//b/", "a/\u{e9}/b", "///",
  ])
  func partsAreThoseOfSplitWhereCharactersAreBytes(_ text: String) {
    for limit in [0, 1, 2, Int.max] {
      for omits in [true, false] {
        let expected = text.split(separator: "/", maxSplits: limit, omittingEmptySubsequences: omits)
        #expect(text.parts(between: "/", maxSplits: limit, omittingEmptySubsequences: omits) == expected)
        #expect(text[...].parts(between: "/", maxSplits: limit, omittingEmptySubsequences: omits) == expected)
      }
    }
  }

  @Test func separatorsAreBytes() {
    func bytes(_ parts: [Substring]) -> [[UInt8]] { parts.map { Array($0.utf8) } }
    #expect(
      bytes("a/../\(accent)x".parts(between: "/")) == [Array("a".utf8), Array("..".utf8), Array("\(accent)x".utf8)])
    #expect("a\r\nb".parts(between: "\n") == ["a\r", "b"])
    #expect(bytes("a'\(accent)b".parts(between: "'")) == [Array("a".utf8), Array("\(accent)b".utf8)])
    // Equal to a semicolon and a backquote for Swift.
    #expect("a\u{37E}b".parts(between: ";").count == 1)
    #expect("a\u{1FEF}b".parts(between: "`").count == 1)
  }

  @Test func linesEndInEitherWay() {
    #expect("a\r\nb\nc".lines() == ["a", "b", "c"])
    #expect("a\r\n\r\n".lines() == ["a", "", ""])
    #expect("a\r\n\r\n".lines(omittingEmptySubsequences: true) == ["a"])
    #expect("".lines() == [""] && "".lines(omittingEmptySubsequences: true).isEmpty)
    // A carriage return inside of a line is part of it.
    #expect("a\rb\r\n".lines() == ["a\rb", ""])
  }

  @Test func blanksPart() {
    #expect(" a\t b\r\nc ".partsBetweenBlanks() == ["a", "b", "c"])
    #expect("a b  c d".partsBetweenBlanks(maxSplits: 2) == ["a", "b", " c d"])
    #expect("a\u{a0}b".partsBetweenBlanks() == ["a\u{a0}b"])
  }

  @Test func placesAreThoseOfBytes() throws {
    let path = "/a/\(accent)b"
    #expect(path.firstPlace(of: "/") == path.startIndex)
    let last = try #require(path.lastPlace(of: "/"))
    #expect(path[..<last] == "/a")
    #expect(path.part(after: last).isSame(as: "\(accent)b"))
    #expect(path.part(afterLast: "/").isSame(as: "\(accent)b"))
    #expect("a:b:c".part(before: ":") == "a" && "abc".part(before: ":") == "abc")
    #expect("abc".firstPlace(of: ":") == nil && "".lastPlace(of: ":") == nil)
    #expect("abc".part(afterLast: "/") == "abc")
  }

  @Test(arguments: [
    ("x/../\(accent)y", "/../", true), ("\u{e9}", "e", false), ("e\(accent)", "e", true), ("", "a", false),
    ("a", "", true),
    ("aab", "ab", true), ("aa", "aaa", false), ("-----BEGIN \(accent)", "-----BEGIN ", true), ("\r\n", "\n", true),
  ])
  func textsHoldBytes(_ text: String, _ part: String, _ expected: Bool) {
    #expect(text.holds(part) == expected)
    #expect((text.place(of: part) != nil) == expected)
  }

  @Test func occurrencesAreReplaced() throws {
    #expect("it's".replacing(each: "'", by: "''") == "it''s")
    #expect("'\(accent)".replacing(each: "'", by: "''").isSame(as: "''\(accent)"))
    #expect("aXbX".replacing(each: "X", by: "") == "ab")
    #expect("aaa".replacing(each: "aa", by: "b") == "ba")
    #expect("a".replacing(each: "", by: "b") == "a" && "".replacing(each: "a", by: "b") == "")
    let place = try #require("ab://c".place(of: "://"))
    #expect("ab://c"[place.upperBound...] == "c")
  }
}
