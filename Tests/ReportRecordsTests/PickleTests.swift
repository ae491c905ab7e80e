import Testing

@testable import ReportRecords

@Suite struct PickleTests {
  private static let value = PickledValue.dictionary([
    (.text("hostname"), .text("web1.example.com")),
    (.text("groups"), .list([.text("a"), .text("grün"), .text("a")])),
    (.text("n"), .list([.integer(-1), .integer(300), .integer(70000), .number(0.5), .boolean(true), .none])),
  ])

  /// `pickle.dumps` of Python 2.7 of {'hostname': 'web1.example.com', 'groups': ['a', u'gr\xfcn', 'a'],
  /// 'n': (-1, 300, 70000, 0.5, True, None)}, its members one after the other.
  private static let protocols: [String] = [
    "(dp1\nS'hostname'\np2\nS'web1.example.com'\np3\nsS'groups'\np4\n(lp5\nS'a'\np6\naVgr\u{fc}n\np7\nag6\nasS'n'\np8\n"
      + "(I-1\nI300\nI70000\nF0.5\nI01\nNtp9\ns.",
    "}q\u{1}(U\u{8}hostnameq\u{2}U\u{10}web1.example.comq\u{3}U\u{6}groupsq\u{4}]q\u{5}(U\u{1}aq\u{6}X\u{5}\0\0\0gr\u{c3}\u{bc}nq\u{7}"
      + "h\u{6}eU\u{1}nq\u{8}(J\u{ff}\u{ff}\u{ff}\u{ff}M\u{2c}\u{1}Jp\u{11}\u{1}\0G?\u{e0}\0\0\0\0\0\0I01\nNtq\u{9}u.",
    "\u{80}\u{2}}q\u{1}(U\u{8}hostnameq\u{2}U\u{10}web1.example.comq\u{3}U\u{6}groupsq\u{4}]q\u{5}(U\u{1}aq\u{6}"
      + "X\u{5}\0\0\0gr\u{c3}\u{bc}nq\u{7}h\u{6}eU\u{1}nq\u{8}(\u{8a}\u{1}\u{ff}M\u{2c}\u{1}Jp\u{11}\u{1}\0"
      + "G?\u{e0}\0\0\0\0\0\0\u{88}Ntq\u{9}u.",
  ]

  private static func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

  @Test(arguments: protocols) func eachProtocolIsRead(text: String) throws {
    #expect(try Unpickler.read(Self.bytes(text)) == Self.value)
  }

  @Test func whatPython3WritesIsRead() throws {
    // pickle.dumps({'hostname': 'web1', 'l': ['a', 'a'], 'stats': b'<a/>'}, 4)
    let frame = "\u{95}2\0\0\0\0\0\0\0"
    let text =
      "\u{80}\u{4}\(frame)}\u{94}(\u{8c}\u{8}hostname\u{94}\u{8c}\u{4}web1\u{94}\u{8c}\u{1}l\u{94}]\u{94}(\u{8c}\u{1}a\u{94}h\u{5}e"
      + "\u{8c}\u{5}stats\u{94}C\u{4}<a/>\u{94}u."
    #expect(
      try Unpickler.read(Self.bytes(text))
        == .dictionary([
          (.text("hostname"), .text("web1")), (.text("l"), .list([.text("a"), .text("a")])),
          (.text("stats"), .text("<a/>")),
        ]))
  }

  @Test(arguments: protocols) func noPickleTraps(text: String) {
    let bytes = Self.bytes(text)
    for end in 0..<bytes.count { #expect(throws: RecordError.self) { try Unpickler.read(Array(bytes[..<end])) } }
    for place in bytes.indices {
      for value: UInt8 in 0...255 {
        var changed = bytes
        changed[place] = value
        _ = try? Unpickler.read(changed)
      }
    }
  }

  @Test(arguments: [
    ("S'a\\'b\\\\c\\n\\xc3\\xbc'\n.", "a'b\\c\n\u{fc}"), ("S\"it's\"\n.", "it's"), ("S'\\xff'\n.", "\u{ff}"),
    ("V\\u20ac \\U0001f600 \\ud83d\\ude00 \\n\n.", "\u{20ac} \u{1f600} \u{1f600} \\n"),
  ]) func textsHaveEscapes(text: String, expected: String) throws {
    #expect(try Unpickler.read(Self.bytes(text)) == .text(expected))
  }

  @Test(arguments: [
    // os.system('x'), and objects in other ways.
    "cos\nsystem\n(S'x'\ntR.", "(S'x'\nios\nsystem\n.", "\u{80}\u{2}c__main__\nA\n)\u{81}.", "(lp0\nS'a'\nb.", "P1\n.",
    "\u{80}\u{6}N.", "\u{80}\u{4}\u{8c}\u{2}os\u{8c}\u{6}system\u{93}.",
    // Nothing, too much, marks, unknown values.
    "", ".", "NN.", "(.", "(0.", "g1\n.", "h\u{1}.", "a.", "N(a.", "Na.", "]Nu.", "}(Nu.", "(Nd.", "p1\n.", "p-1\n.",
    "I\n.",
    "Ix\n.", "L99999999999999999999L\n.", "S'a\n.", "S'a\\'\n.", "S'\\q'\n.", "V\\uxyzw\n.",
    "T\u{ff}\u{ff}\u{ff}\u{ff}a.",
    "\u{8a}\u{9}aaaaaaaaa.", "N\u{86}.", "((\u{86}.",
  ]) func everythingElseIsRefused(text: String) {
    #expect(throws: RecordError.self) { try Unpickler.read(Self.bytes(text)) }
  }

  @Test func aListThatContainsItselfIsRefused() {
    #expect(throws: RecordError.self) { try Unpickler.read(Self.bytes("(lp1\ng1\na.")) }
  }

  @Test func smallPicklesDoNotBecomeLarge() {
    // Each list has the one before it ten times.
    var text = "(lp0\n"
    for level in 1...20 {
      text += "0(l" + String(repeating: "g\(level - 1)\na", count: 10) + "p\(level)\n"
    }
    #expect(throws: RecordError.self) { try Unpickler.read(Self.bytes(text + ".")) }
    let deep = String(repeating: "(l", count: 100) + String(repeating: "a", count: 99) + "."
    #expect(throws: RecordError.self) { try Unpickler.read(Self.bytes(deep)) }
  }
}
