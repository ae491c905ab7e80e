import Testing

@testable import Info

/// Tables and numbers.
@Suite struct OutputTests {
  @Test func widthsAreThoseOfCharacters() {
    var table = TextTable(["A", "Bee"])
    table.add(["ä", "x"])
    #expect(table.text == " A  | Bee  \n===========\n ä  | x    \n")
  }

  @Test(arguments: [
    (0, 2, "0.00"), (1.005, 1, "1.0"), (0.0049, 4, "0.0049"), (-1.5, 2, "-1.50"), (12.5, 0, "13"),
    (0.999999, 2, "1.00"),
  ])
  func decimals(_ value: Double, _ places: Int, _ text: String) {
    #expect(Decimals.text(value, places) == text)
  }

  @Test func globsChooseNames() {
    let names = ["a1", "a2", "b1"]
    #expect(Selection.names([], among: names) == names)
    #expect(Selection.names(["*", "x"], among: names) == names)
    #expect(Selection.names(["x", "a1"], among: names) == ["x", "a1"])
    #expect(Selection.names(["a?", "[b]1", "a1"], among: names) == names)
    #expect(Selection.names(["c*"], among: names) == [])
  }
}
