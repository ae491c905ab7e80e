import Testing

@testable import ServerSettings

/// What a message may hold of text from outside.
@Suite struct VisibleTextTests {
  @Test(arguments: [
    ("plain text, ü, 漢字, 👩\u{200d}👩", #"plain text, ü, 漢字, 👩\u{200d}👩"#),
    ("a\tb", "a\tb"), ("a\nb", #"a\nb"#), ("a\r\nb", #"a\x0d\nb"#),
    // Escapes of terminals: by ESC, by the single byte of C1, and what clears or moves.
    ("\u{1b}[2Jx", #"\x1b[2Jx"#), ("\u{9b}31m", #"\u{9b}31m"#), ("\u{0}\u{7}\u{8}\u{7f}", #"\x00\x07\x08\x7f"#),
    // What turns text around, or breaks lines without a line feed.
    ("user\u{202e}txt", #"user\u{202e}txt"#), ("a\u{2028}b\u{2029}c\u{85}", #"a\u{2028}b\u{2029}c\u{85}"#),
    ("\u{feff}x", #"\u{feff}x"#), ("\\x1b", "\\x1b"), ("", ""),
  ])
  func invisibleCharactersAreEscaped(_ text: String, _ shown: String) {
    #expect(VisibleText.escaped(text) == shown)
    // What is escaped already stays as it is.
    #expect(VisibleText.escaped(shown) == shown)
  }

  @Test func linesAreKeptWhereTheyAreWanted() {
    #expect(VisibleText.escaped("a\n\u{1b}b\r\n", keepsLines: true) == "a\n\\x1bb\\x0d\n")
  }

  @Test func eachCharacterOfTheFirstPlanesIsShownOrEscaped() {
    for value in UInt32(0)..<0x3000 {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let shown = VisibleText.escaped(String(Character(scalar)))
      switch scalar.properties.generalCategory {
      case .control: #expect(shown.hasPrefix("\\") || scalar == "\t", "\(value)")
      case .format, .lineSeparator, .paragraphSeparator:
        #expect(shown == "\\u{\(String(value, radix: 16))}", "\(value)")
      default: #expect(!shown.isEmpty, "\(value)")
      }
    }
  }
}
