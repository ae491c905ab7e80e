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

  @Test(arguments: [
    ([], ["a1", "a2", "b1"]), (["*"], ["a1", "a2", "b1"]), (["x", "a1"], ["a1", "x"]),
    (["a?", "[b]1", "a1", "x"], ["a1", "a2", "b1", "x"]),
  ])
  func globsChooseNames(_ globs: [String], _ chosen: [String]) throws {
    #expect(try Selection.names(globs, among: ["a1", "a2", "b1"], kind: "client") == chosen)
  }

  @Test func globsThatChooseNothingAreProblems() throws {
    let error = #expect(throws: InfoProblem.self) { try Selection.names(["a1", "c*"], among: ["a1"], kind: "client") }
    #expect(error?.description == "No client matches c*")
    #expect(try Selection.names(["*"], among: [], kind: "client").isEmpty)
  }
}
