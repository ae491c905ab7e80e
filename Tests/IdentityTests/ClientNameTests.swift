import Identity
import Support
import Testing

@Suite struct ClientNameTests {
  /// Names that nobody may give; those with true an administrator may still write into clients.xml.
  static let hostile: [(name: String, isRecordable: Bool)] = [
    ("", false), (".", false), ("..", false), ("../x", false), ("a/b", false), ("/etc/passwd", false), ("a..b", false),
    ("...", false), ("a\u{0}b", false), ("a\nb", false), ("a\rb", false), ("a\tb", false), ("a b", false),
    (" a", false),
    ("a\u{7F}", false), ("a\u{85}b", false), ("a\u{A0}b", false), ("a\u{2028}b", false), ("a\u{200B}b", false),
    ("a\u{202E}b", false), ("\u{FEFF}a", false), ("a\u{3164}", false), ("\u{115F}", false), ("a\u{2800}b", false),
    (String(repeating: "a", count: 256), false),
    (String(repeating: "\u{E9}", count: 128), false),
    ("*", true), ("?", true), ("a*", true), ("[a]", true), ("a,b", true), ("a;b", true), ("$(x)", true), ("`x`", true),
    ("a'b", true), ("a\"b", true), ("a\\b", true), ("a|b", true), ("a#b", true), ("%n", true), ("${x}", true),
    ("@cert-authority", true), ("!a", true), ("-rf", true), ("<a>", true), ("a=b", true), ("~", true),
    // What ssh, TLS and name service take for another name, or might.
    ("db.example.com.", true), ("db.", true), ("localhost.", true), ("10.0.0.5.", true), (".a", true), (".a.", true),
    ("db%2eexample.com", true), ("db\u{3002}example.com", true), ("fe80::1%1", true), ("[::1]", true),
    ("caf\u{E9}", true), ("cafe\u{301}", true), ("\u{212A}", true),
  ]

  @Test func namesFollowTheRules() throws {
    for name in ["a", "A", "one.example.com", "10.0.0.1", "fe80::1", "a_b-c", "ROOT", "_", "0", "a.b"] {
      #expect(try ClientName(name).text == name)
    }
    #expect(try ClientName(String(repeating: "a", count: 255)).text.utf8.count == 255)
    for (name, isRecordable) in Self.hostile {
      #expect(throws: ClientNameError.self) { try ClientName(name) }
      #expect(((try? ClientName(recorded: name)) != nil) == isRecordable, "\(name.debugDescription)")
    }
  }

  @Test func namesAreComparedByTheirBytes() throws {
    let composed = try ClientName(recorded: "caf\u{E9}")
    let decomposed = try ClientName(recorded: "cafe\u{301}")
    #expect(composed.text == decomposed.text, "as strings they are the same")
    #expect(composed != decomposed && Set([composed, decomposed]).count == 2)
    #expect(decomposed < composed && !(composed < decomposed))
    #expect(!composed.isSame(as: decomposed.text) && composed.isSame(as: composed.text))
    #expect(composed == composed.lowercased)
    let names: [ClientName] = ["b", "B", "a", "caf\u{E9}s"]
    #expect(names.sorted() == ["B", "a", "b", "caf\u{E9}s"])
    let lower: ClientName = "b"
    let upper: ClientName = "CAF\u{C9}"
    #expect(names[1].lowercased == lower && upper.lowercased == composed)
  }
}
