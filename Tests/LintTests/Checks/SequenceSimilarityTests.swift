import Testing

@testable import Lint

struct SequenceSimilarityTests {
  /// Ratios of Python's difflib.
  @Test(arguments: [
    ("", "", 1.0), ("a", "", 0.0), ("abcd", "bcde", 0.75), ("abxcd", "abcd", 0.8888888888888888),
    ("private Thread currentThread;", "private volatile Thread currentThread;", 0.8656716417910447),
    ("qabxcd", "abycdf", 0.6666666666666666), ("ab", "ba", 0.5), ("abcabba", "cbabac", 0.46153846153846156),
  ])
  func ratiosAreThoseOfPython(_ one: String, _ other: String, _ ratio: Double) {
    let similarity = SequenceSimilarity(Array(one.utf8), Array(other.utf8))
    #expect(abs(similarity.ratio - ratio) < 1e-12, "\(similarity.ratio)")
    #expect(similarity.lengthBound >= similarity.itemBound && similarity.itemBound >= similarity.ratio)
  }

  @Test func frequentBytesOfLongTextsOnlyExtendMatches() {
    let one = Array(String(repeating: "x", count: 300).utf8)
    #expect(SequenceSimilarity(one, one).ratio == 1)
    #expect(SequenceSimilarity(one, Array(("y" + String(repeating: "x", count: 299)).utf8)).ratio == 0)
  }

  @Test func variantsAreTheSameOrAlike() {
    func variant(_ name: String, _ text: String) -> Variant { Variant(name: name, path: name, data: Array(text.utf8)) }
    let variants = [
      variant("a", "one two three"), variant("b", "one two three"), variant("c", "one two thre"), variant("d", "other"),
    ]
    let alike = Variant.groups(variants, 0.75)
    #expect(
      alike.identical.map { $0.map(\.name) } == [["a", "b"]] && alike.similar.map { $0.map(\.name) } == [["a", "c"]])
    #expect(Variant.groups(variants, nil).similar.isEmpty)
  }
}
