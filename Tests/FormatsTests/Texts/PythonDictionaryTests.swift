import Testing

@testable import Formats

private func order(_ names: [String]) -> [String] {
  var dictionary = PythonDictionary<Int>()
  for (value, name) in names.enumerated() { dictionary.set(name, value) }
  return dictionary.items.map(\.name)
}

/// What Python 2.7.18 lists for the same names on x86_64.
@Suite struct PythonDictionaryTests {
  @Test func hashesAreThoseOfPython() {
    #expect(PythonDictionary<Int>.hash("") == 0)
    #expect(PythonDictionary<Int>.hash("use") == -2_621_286_447_024_506_590)
    #expect(PythonDictionary<Int>.hash("h\u{fc}") == 13_312_079_976_120_262)
  }

  @Test func smallDictionariesAreOrderedBySlots() {
    let names = ["use", "max_check_attempts", "check_period", "parents", "notes", "icon_image"]
    #expect(order(Array(names.prefix(3))) == ["check_period", "use", "max_check_attempts"])
    #expect(order(Array(names.prefix(5))) == ["check_period", "use", "parents", "max_check_attempts", "notes"])
    #expect(order(names) == ["check_period", "use", "notes", "icon_image", "parents", "max_check_attempts"])
  }

  @Test func growingChangesTheOrderAsInPython() {
    let names = order((0..<50).map { "option\($0)" })
    #expect(names.count == 50)
    #expect(names.prefix(6) == ["option30", "option43", "option31", "option45", "option10", "option11"])
    #expect(names.suffix(6) == ["option37", "option34", "option46", "option35", "option32", "option33"])
  }

  @Test func aMergeMakesRoomBeforeItBegins() {
    var first = PythonDictionary<Int>()
    for name in ["proxy", "retries", "enabled", "metadata_expire"] { first.set(name, 1) }
    var second = PythonDictionary<Int>()
    for name in ["retries", "sslverify", "timeout"] { second.set(name, 2) }
    var all = PythonDictionary<Int>()
    all.merge(first)
    all.merge(second)
    #expect(all.items.map(\.name) == ["retries", "metadata_expire", "proxy", "timeout", "sslverify", "enabled"])
    #expect(all["retries"] == 2 && all["proxy"] == 1 && all["absent"] == nil && all.count == 6)
  }
}
