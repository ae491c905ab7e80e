import PackageSources
import Testing

@testable import PackageFormats

func debian(_ text: String, pieces: Int = 1 << 20) throws -> [String] {
  try dump { builder in
    var parser = DebianPackagesParser(file: "Packages")
    try forEachPiece(of: Array(text.utf8), size: pieces) { try parser.write($0, into: &builder) }
    try parser.finish(into: &builder)
  }
}

@Suite struct DebianPackagesTests {
  @Test(arguments: pieceSizes) func aRecordGivesAllThatCounts(_ pieces: Int) throws {
    let text = """
      Package: app
      Source: application
      Version: 1:2.0-3
      Architecture: amd64
      Essential: yes
      Pre-Depends: liba (>= 1.0), libz | libz-ng (<< 2)
      Depends: libb:any | libc, perl:amd64 (= 5.36~1), exim
      Recommends: doc
      Suggests: nothing
      Provides: mail-transport-agent, app-abi (= 2)
      Description: words
       Depends: not a field

      Package: other
      Essential: no
      \t

      Package: last
      """
    let expected = [
      "app 1:2.0-3 amd64 essential says-essential",
      "  preDepends liba greaterOrEqual 1.0",
      "  preDepends libz |",
      "  preDepends libz-ng less 2",
      "  depends libb:any |",
      "  depends libc",
      "  depends perl:amd64 equal 5.36~1",
      "  depends exim",
      "  recommends doc",
      "  provides mail-transport-agent",
      "  provides app-abi equal 2",
      "other   says-essential",
      "last  ",
    ]
    #expect(try debian(text, pieces: pieces) == expected)
    let returns = text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
    #expect(try debian(returns, pieces: pieces) == expected)
  }

  @Test(arguments: [
    ("a", ["depends a"]),
    (" a , b,c ", ["depends a", "depends b", "depends c"]),
    // Bcfg2 takes the empty name for a package that nobody has; no archive writes it.
    ("a,,b,", ["depends a", "depends b"]),
    ("", []),
    ("a|b", ["depends a |", "depends b"]),
    ("a | | b", ["depends a |", "depends b"]),
    ("a |", ["depends a"]),
    ("a (>=1)", ["depends a greaterOrEqual 1"]),
    ("a(<1)", ["depends a lessOrEqual 1"]),
    ("a (> 1)", ["depends a greaterOrEqual 1"]),
    ("a (>> 1)", ["depends a greater 1"]),
    ("a (<< 1)", ["depends a less 1"]),
    ("a (<= 1)", ["depends a lessOrEqual 1"]),
    ("a ( = 1 )", ["depends a equal 1"]),
    ("a (1)", ["depends a equal 1"]),
    ("a ()", ["depends a"]),
    // As Bcfg2 reads them: from the first to the last parenthesis, blanks within stay, or go in alternatives.
    ("a (x) b", ["depends a  b equal x"]),
    ("a b | c d", ["depends ab |", "depends cd"]),
    ("a (>= 1", ["depends a (>= 1"]),
    ("a ) (", ["depends a ) ("]),
    (":any", ["depends :any"]),
    ("a:", ["depends a:"]),
    ("a:any (>= 1)", ["depends a:any greaterOrEqual 1"]),
    ("a (>= 1) | a:native", ["depends a greaterOrEqual 1 |", "depends a:native"]),
  ])
  func relationsAreTakenApart(_ text: String, _ expected: [String]) throws {
    let lines = try debian("Package: p\nDepends:\(text)\n")
    #expect(Array(lines.dropFirst()) == expected.map { "  " + $0 })
  }

  @Test func continuationLinesAreMarked() throws {
    let text = "Package: p\nDepends: a,\n b | c,\n\td\nProvides: v,\n w (= 1)\nVersion: 1\n x\n"
    for pieces in pieceSizes {
      #expect(
        try debian(text, pieces: pieces) == [
          "p 1 ", "  depends a", "  depends b | continued", "  depends c continued", "  depends d continued",
          "  provides v", "  provides w equal 1 continued",
        ])
    }
  }

  @Test func fieldsMayComeInAnyOrderAndTwice() throws {
    let text = "Depends: a\nProvides: v\nPackage: p\nDepends: b\nPackage: q\nDepends: c\n"
    #expect(
      try debian(text) == ["p  ", "  depends a", "  depends b", "  provides v", "q  ", "  depends c"])
  }

  @Test(arguments: [
    ("Not: found, really: ", "Packages:1: the record that ends here has no field Package"),
    ("Really not: found", "Packages:1: \"Really not: found\" is no field"),
    (": found", "Packages:1: \": found\" is no field"),
    ("Not Found", "Packages:1: \"Not Found\" is no field"),
    ("Package: a\n\nDepends: b\n\n", "Packages:4: the record that ends here has no field Package"),
    ("Package: \nVersion: 1\n", "Packages:2: the record that ends here has an empty field Package"),
    ("Package: a\ngarbage \u{1}\n", "Packages:2: \"garbage ?\" is no field"),
  ])
  func whatIsWrongIsNamedWithItsLine(_ text: String, _ message: String) {
    for pieces in pieceSizes { #expect(errorText { _ = try debian(text, pieces: pieces) } == message) }
  }

  @Test func anEndlessLineIsRefused() {
    let line = String(repeating: "a", count: 5 << 20)
    #expect(
      errorText { _ = try debian("Package: \(line)", pieces: 1 << 16) }
        == "Packages:1: the line has more than 4194304 bytes, the limit")
  }

  @Test func textsAreBytes() throws {
    let bytes = Array("Package: a".utf8) + [0xFF, 0x80] + Array("\nDepends: \u{e9}\n".utf8)
    let lines = try dump { builder in
      var parser = DebianPackagesParser(file: "Packages")
      try forEachPiece(of: bytes, size: 4) { try parser.write($0, into: &builder) }
      try parser.finish(into: &builder)
      let name = Array("a".utf8) + [0xFF, 0x80]
      #expect(name.withUnsafeBytes { builder.existingText($0) } != nil)
    }
    #expect(lines.last == "  depends \u{e9}")
  }

  @Test func anEmptyFileHasNoPackages() throws {
    #expect(try debian("").isEmpty)
    #expect(try debian("\n\n \n").isEmpty)
  }
}
