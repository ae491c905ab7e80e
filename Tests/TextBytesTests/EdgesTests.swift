import Testing
import TextBytes

/// A combining acute accent: it makes one character of itself and what is before it.
private let accent = "\u{301}"

@Suite struct EdgesTests {
  @Test(arguments: [
    ("/\(accent)x", "/", true), ("/", "/", true), ("", "/", false), ("", "", true), ("a", "", true),
    ("#\(accent)", "#", true), ("\r\n", "\r", true),
    // The same letter in one scalar and in two.
    ("\u{e9}", "e", false), ("e\(accent)", "e", true), ("\u{e9}", "e\(accent)", false),
    // The Kelvin sign is a K to Swift, and U+037E a semicolon.
    ("\u{212A}", "K", false), ("\u{37E}", ";", false),
  ])
  func textsBeginWithBytes(_ text: String, _ start: String, _ expected: Bool) {
    #expect(text.begins(with: start) == expected)
    #expect(
      text.dropping(prefix: start)
        == (expected ? String(decoding: text.utf8.dropFirst(start.utf8.count), as: UTF8.self)[...] : nil))
    #expect(("x" + text).dropFirst().begins(with: start) == expected)
  }

  @Test(arguments: [
    ("a.xml", ".xml", true), ("a\r\n", "\n", true), ("a\(accent)", "a", false), ("\u{e9}", accent, false),
    ("e\(accent)", accent, true), ("", ".xml", false), ("ml", ".xml", false), ("", "", true),
    ("\u{600}.pub", ".pub", true),
  ])
  func textsEndWithBytes(_ text: String, _ end: String, _ expected: Bool) {
    #expect(text.ends(with: end) == expected)
    let rest = text.dropping(suffix: end)
    #expect(rest.map { Array($0.utf8) } == (expected ? Array(text.utf8.dropLast(end.utf8.count)) : nil))
  }

  @Test func charactersAtTheEdgesGo() {
    #expect("//a//".dropping(leading: "/") == "a//")
    #expect("//a//".dropping(trailing: "/") == "//a")
    #expect("//".dropping(leading: "/").isEmpty && "//".dropping(trailing: "/").isEmpty)
    #expect("/\(accent)a".dropping(leading: "/").isSame(as: accent + "a"))
    #expect("".dropping(trailing: "/").isEmpty)
  }

  @Test(arguments: [
    (" a b\r\n", "a b"), ("\r\n", ""), ("", ""), ("\u{a0}a\u{2003}", "a"), (" \(accent)a", "\(accent)a"), ("a", "a"),
  ])
  func blanksAtTheEdgesGo(_ text: String, _ expected: String) {
    #expect(text.trimmingBlanks.isSame(as: expected))
    #expect(text[...].trimmingBlanks.isSame(as: expected))
  }

  @Test func formsOfALetterAreTwoTexts() {
    #expect(!"\u{e9}".isSame(as: "e\(accent)"))
    #expect("e\(accent)".isSame(as: "xe\(accent)".dropFirst()))
    #expect(!"a".isSame(as: "ab") && !"ab".isSame(as: "a") && "".isSame(as: ""))
  }
}
