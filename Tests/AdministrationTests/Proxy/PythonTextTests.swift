import Administration
import Testing
import XMLRPC

@Suite struct PythonTextTests {
  /// Values, and what Python 3 prints.
  private nonisolated static let values: [(Value, String)] = [
    (.nil, "None"), (.bool(true), "True"), (.int(-5), "-5"), (.double(0.5), "0.5"), (.double(3), "3.0"),
    (.double(1e16), "1e+16"), (.string("it's\n"), "it's\n"), (.array(["a", "it's", "\"'"]), #"['a', "it's", '"\'']"#),
    (.array(["ü\u{0}\u{a0}\t\\"]), #"['ü\x00\xa0\t\\']"#), (["a": 1, "b": .array([.nil])], "{'a': 1, 'b': [None]}"),
    (.array([.bytes([0x61, 0xff])]), #"[b'a\xff']"#), (.array([.array([])]), "[[]]"),
  ]

  @Test(arguments: values) func valuesAreThoseOfPython(_ value: Value, _ text: String) {
    #expect(PythonText.printed(value) == text)
  }

  @Test func timesAreATable() throws {
    let times: Value = ["b": .array([.double(0.25), .int(1), .double(0.5), .int(12)]), "A": .array([0, 0, 0, 1])]
    let lines = try #require(PerformanceTable.lines(times))
    #expect(
      lines == [
        "====== ========== ========== ========== =======", "Name   Min        Max        Mean       Count  ",
        "====== ========== ========== ========== =======", "A      0.000000   0.000000   0.000000   1      ",
        "b      0.250000   1.000000   0.500000   12     ",
      ])
    #expect(PerformanceTable.lines("no table") == nil)
    #expect(PerformanceTable.lines(["a": 1]) == nil)
  }
}
