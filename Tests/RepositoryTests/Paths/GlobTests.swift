import Glibc
import Testing

@testable import Repository

@Suite struct GlobTests {
  @Test(arguments: [
    ("", "", true), ("", "a", false), ("a", "a", true), ("a", "", false), ("a", "ab", false), ("*", "", true),
    ("*", "a/b", true), ("**", "", true), ("a*", "a", true), ("*a", "ba", true), ("*a", "ab", false),
    ("a*a", "a", false), ("a*a", "aa", true), ("a*b*c", "a-b-c", true), ("a*b*c", "a-c-b", false),
    ("*ab*ab*", "abab", true), ("*ab*ab*", "aba", false), ("*aab*", "aaab", true), ("?", "", false), ("?", "a", true),
    ("*?", "", false), ("*??", "ab", true), ("?*?", "a", false), ("*?b*", "ab", true), ("*?b*", "b", false),
    // Characters are not bytes.
    ("?", "\u{E9}", true), ("??", "\u{E9}", false), ("*\u{E9}", "a\u{E9}", true),
    ("*?\u{1F600}", "\u{E9}\u{1F600}", true),
    ("[\u{E8}-\u{EA}]x*", "\u{E9}x", true), ("*[!\u{E8}-\u{EA}]", "\u{E9}", false), ("*[\u{4E2D}]", "a\u{4E2D}", true),
    ("e\u{301}", "\u{E9}", false),
    // Sets.
    ("[ab]", "b", true), ("[ab]", "c", false), ("[!ab]", "c", true), ("[]a]", "]", true), ("[!]]", "]", false),
    ("[a-c]*", "b1", true), ("[c-a]", "b", false), ("[a-]", "-", true), ("[", "[", true), ("[a", "[a", true),
    ("*[", "a[", true), ("[!]", "[!]", true), ("x[ab][cd]*[ef]", "xad-e", true), ("x[ab][cd]*[ef]", "xa-e", false),
  ])
  func aPatternMatchesTheWholeName(_ pattern: String, _ name: String, _ expected: Bool) {
    #expect(Glob(pattern).matches(name) == expected, "\(pattern) \(name)")
  }

  /// As the library has it, for many short patterns and names.
  @Test func itAgreesWithFnmatch() {
    var state: UInt64 = 1
    func next(_ count: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(count))
    }
    let parts = ["a", "b", "ab", "/", "*", "*", "?", "[ab]", "[!a]"]
    for _ in 0..<20_000 {
      let pattern = (0..<next(7)).map { _ in parts[next(parts.count)] }.joined()
      let name = (0..<next(9)).map { _ in ["a", "b", "/"][next(3)] }.joined()
      let expected = fnmatch(pattern, name, FNM_NOESCAPE) == 0
      if Glob(pattern).matches(name) != expected {
        #expect(Bool(false), "\(pattern.debugDescription) \(name.debugDescription) \(expected)")
      }
    }
  }
}
