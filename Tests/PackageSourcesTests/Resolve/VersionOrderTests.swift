import Testing

@testable import PackageSources

private func order(_ kind: SourceKind, _ one: String, _ other: String) -> Int {
  let one = Array(one.utf8)
  let other = Array(other.utf8)
  return one.withUnsafeBytes { one in other.withUnsafeBytes { VersionOrder.compare(kind, one, $0) } }.signum()
}

@Suite struct VersionOrderTests {
  /// Each list from old to new; every pair is compared, both ways round.
  @Test(arguments: [
    (
      SourceKind.apt,
      [
        "0~~", "0~~a", "0~", "0", "0+b", "1.0~~~", "1.0~rc1", "1.0~rc1+b1", "1.0", "1.0-1", "1.0-1+deb12u1", "1.0-1.1",
        "1.0-2~bpo1", "1.0-2", "1.0-10", "1.0a", "1.0ab", "1.0+dfsg", "1.0.1", "1.9", "1.10", "1:0.1", "2:0",
      ]
    ),
    (
      .yum,
      [
        "0:1.0~rc1-1", "0:1.0-1", "0:1.0-1.el9", "0:1.0-1.el10", "0:1.0-2", "0:1.0^git1-1", "0:1.0.a-1", "0:1.0.1-1",
        "0:1.0.1.a-1", "0:1.0.1.1-1", "0:1.9-1", "0:1.10-1", "1:0.1-1",
      ]
    ),
    (
      .pac,
      [
        "1.0a-1", "1.0b-1", "1.0beta-1", "1.0p-1", "1.0pre-1", "1.0rc-1", "1.0-1", "1.0-2", "1.0.a-1", "1.0.1-1",
        "1.1-1", "1.11-1", "1:0.1-1",
      ]
    ),
    (.pkgng, ["1.0", "1.0_1", "1.0_2", "1.0_10", "1.0.1", "1.1", "1.0,1", "0.9,2"]),
  ])
  func versionsAreOrdered(_ kind: SourceKind, _ versions: [String]) {
    for (place, one) in versions.enumerated() {
      #expect(order(kind, one, one) == 0, "\(one)")
      for other in versions[(place + 1)...] {
        #expect(order(kind, one, other) == -1, "\(one) \(other)")
        #expect(order(kind, other, one) == 1, "\(other) \(one)")
      }
    }
  }

  @Test(arguments: [
    (SourceKind.apt, "1.0", "1.0-0"), (.apt, "0:1.0", "1.0"), (.apt, "1.00", "1.0"), (.apt, "1.0-", "1.0"),
    (.yum, "0:1.0-1", "1.0-1"), (.yum, "1.0", "1.0-7"), (.yum, "1.0-1", "1_0-1"), (.yum, "1.0-1", "1..0-1"),
    (.yum, "1.001-1", "1.1-1"), (.pac, "0:1.0-1", "1.0-1"), (.pac, "1.0", "1.0-3"), (.pkgng, "1.0", "1.0_0,0"),
  ])
  func differentTextsOfOneVersionAreEqual(_ kind: SourceKind, _ one: String, _ other: String) {
    #expect(order(kind, one, other) == 0)
    #expect(order(kind, other, one) == 0)
  }

  /// rpm's own tests of rpmvercmp (tests/rpmvercmp.at), without those that repeat others.
  @Test(arguments: [
    ("1.0", "1.0", 0), ("1.0", "2.0", -1), ("2.0", "2.0.1", -1), ("2.0.1a", "2.0.1", 1), ("5.5p1", "5.5p2", -1),
    ("5.5p1", "5.5p10", -1), ("10xyz", "10.1xyz", -1), ("xyz10", "xyz10.1", -1), ("xyz.4", "8", -1), ("xyz.4", "2", -1),
    ("5.5p2", "5.6p1", -1), ("5.6p1", "6.5p1", -1), ("6.0.rc1", "6.0", 1), ("10b2", "10a1", 1), ("1.0aa", "1.0aa", 0),
    ("1.0a", "1.0aa", -1), ("10.0001", "10.1", 0), ("10.0001", "10.0039", -1), ("4.999.9", "5.0", -1),
    ("20101121", "20101122", -1), ("2_0", "2.0", 0), ("a", "a+", 0), ("a+", "a_", 0), ("+a", "_a", 0), ("+", "_", 0),
    ("1.0~rc1", "1.0", -1), ("1.0~rc1", "1.0~rc2", -1), ("1.0~rc1~git123", "1.0~rc1", -1), ("1.0^", "1.0", 1),
    ("1.0^git1", "1.0", 1), ("1.0^git1", "1.0^git2", -1), ("1.0^git1", "1.01", -1), ("1.0^20160101", "1.0.1", -1),
    ("1.0^20160101^git1", "1.0^20160102", -1), ("1.0~rc1^git1", "1.0~rc1", 1), ("1.0^git1~pre", "1.0^git1", -1),
    ("1.0^git1", "1.0^git1~pre", 1), ("1.900", "1.8000", -1), ("FC5", "fc4", -1), ("2a", "2.0", -1),
    ("1.2.3.el5", "1.2.3.el5_10.1", -1), ("2.0", "2_0", 0),
  ])
  func rpmVersionsAreComparedAsByRPM(_ one: String, _ other: String, _ expected: Int) {
    #expect(order(.yum, one, other) == expected)
    #expect(order(.yum, other, one) == -expected)
  }
}
