import Support
import Testing

@testable import PackageSources

private func resolve(_ sources: [SmallSource], _ base: String, recommended: [String: Bool] = [:]) throws -> Resolution {
  try StrictResolver(collection(sources, groups: ["amd64", "x86_64"])).complete(
    base.split(separator: " ").map { Array($0.utf8) },
    recommended: Dictionary(uniqueKeysWithValues: recommended.map { (Array($0.key.utf8), $0.value) }))
}

/// Packages by blanks, then what is unknown with its reason and wanter.
private func text(_ resolution: Resolution) -> String {
  let unknown = resolution.unknown.map { name in
    let wanter = name.wantedBy.map { "<" + String(decoding: $0, as: UTF8.self) } ?? ""
    let reason: String =
      switch name.reason {
      case .notFound: "?"
      case .wrongVersion: "#"
      case .excluded: "-"
      }
    return reason + String(decoding: name.name, as: UTF8.self) + wanter
  }
  return (strings(resolution.packages) + unknown).joined(separator: " ")
}

private struct Rule: CustomTestStringConvertible {
  var what: String
  var sources: [SmallSource]
  var base: String
  var answer: String
  var recommended: [String: Bool] = [:]
  var testDescription: String { what }
}

private func rich(_ text: String, _ others: [SmallPackage] = [.init("b", "1-1"), .init("c", "1-1"), .init("d", "1-1")])
  -> [SmallSource]
{
  [yum([.init("a", "1-1", [(.depends, text)])] + others)]
}

private let rules: [Rule] = [
  Rule(
    what: "a choice takes the first that is there",
    sources: [apt([.init("a", "1", [(.depends, "x | c | b")]), .init("b"), .init("c")])], base: "a", answer: "a c"),
  Rule(
    what: "a choice that the answer satisfies takes nothing",
    sources: [apt([.init("a", "1", [(.depends, "b | c")]), .init("b"), .init("c")])], base: "a c", answer: "a c"),
  Rule(
    what: "a choice waits for what comes in without a choice",
    sources: [
      apt([.init("a", "1", [(.depends, "b | c, d")]), .init("b"), .init("c"), .init("d", "1", [(.depends, "c")])])
    ], base: "a", answer: "a c d"),
  Rule(
    what: "a versioned provide counts",
    sources: [apt([.init("a", "1", [(.depends, "v (>= 2)")]), .init("b", provides: "v (= 2)")])],
    base: "a", answer: "a b"),
  Rule(
    what: "deb: a name provided without a version satisfies none with one",
    sources: [apt([.init("a", "1", [(.depends, "v (>= 2)")]), .init("b", provides: "v")])], base: "a",
    answer: "a #v (>= 2)<a"),
  Rule(
    what: "rpm: a name provided without a version satisfies any",
    sources: [yum([.init("a", "1-1", [(.depends, "v (>= 2)")]), .init("b", "1-1", provides: "v")])], base: "a",
    answer: "a b"),
  Rule(
    what: "the package of a name goes before those that provide it",
    sources: [apt([.init("a", "1", [(.depends, "v")]), .init("b", provides: "v"), .init("v")])], base: "a",
    answer: "a v"),
  Rule(
    what: "of several providers the shortest name",
    sources: [
      apt([
        .init("a", "1", [(.depends, "v")]), .init("bbb", provides: "v"), .init("cc", provides: "v"),
        .init("dd", provides: "v"),
      ])
    ], base: "a", answer: "a cc"),
  Rule(
    what: "the newest version counts, of all sources",
    sources: [
      apt([.init("a", "1.9", [(.depends, "b")]), .init("b")]),
      apt([.init("a", "1.10", [(.depends, "c")]), .init("c")]),
    ], base: "a", answer: "a c"),
  Rule(
    what: "an epoch counts first",
    sources: [
      yum([
        .init("a", "0:9-1", [(.depends, "b")]), .init("a", "1:1-1", [(.depends, "c")]), .init("b", "1-1"),
        .init("c", "1-1"),
      ])
    ], base: "a", answer: "a c"),
  Rule(
    what: "a version that is not the newest does not exist",
    sources: [apt([.init("a", "1", [(.depends, "b (<< 2)")]), .init("b", "1"), .init("b", "3")])], base: "a",
    answer: "a #b (<< 2)<a"),
  Rule(
    what: "an alternative of a wrong version is passed over",
    sources: [apt([.init("a", "1", [(.depends, "b (>= 2) | c")]), .init("b"), .init("c")])], base: "a", answer: "a c"),
  Rule(
    what: "qualifiers",
    sources: [
      apt([
        .init("a", "1", [(.depends, "b:any, c:native, d:amd64, e:armhf")]), .init("b"), .init("c"), .init("d"),
        .init("e"),
      ])
    ],
    base: "a", answer: "a b c d ?e:armhf<a"),
  Rule(
    what: "unknown names say who needs them; those asked for stay in the answer",
    sources: [apt([.init("a", "1", [(.depends, "x | y, z")])])], base: "a nosuch",
    answer: "a nosuch ?nosuch ?x | y<a ?z<a"),
  Rule(
    what: "a virtual name that is asked for", sources: [apt([.init("b", provides: "v"), .init("c", provides: "v")])],
    base: "v",
    answer: "b v"),
  Rule(
    what: "blacklisted packages provide nothing",
    sources: [apt([.init("a", "1", [(.depends, "b, v")]), .init("b", provides: "v")]) { $0.blacklist = ["b"] }],
    base: "a",
    answer: "a -b<a ?v<a"),
  Rule(
    what: "packages of other architectures do not exist",
    sources: [SmallSource(.apt, arches: ["amd64", "arm64"], [[.init("a", "1", [(.depends, "b")])], [.init("b")]])],
    base: "a",
    answer: "a ?b<a"),
  Rule(
    what: "a missing component costs itself alone",
    sources: [
      {
        var source = SmallSource(
          .apt, components: ["main", "contrib"], [[.init("a", "1", [(.depends, "b, c")]), .init("b")], []])
        source.missing = [1]
        return source
      }()
    ], base: "a", answer: "a b ?c<a"),
  Rule(
    what: "packages that a module hides do not exist",
    sources: [
      yum([
        .init("a", "1-1", [(.depends, "b")]), .init("b", "1-1"), .init("b", "2-1", [(.depends, "x")], flags: .isHidden),
      ])
    ], base: "a", answer: "a b"),
  Rule(
    what: "recommended of a source, where it can be had",
    sources: [
      apt([.init("a", "1", [(.recommends, "b, x, c | d")]), .init("b"), .init("d")]) { $0.usesRecommended = true }
    ],
    base: "a", answer: "a b d"),
  Rule(
    what: "recommended of an entry", sources: [apt([.init("a", "1", [(.recommends, "b")]), .init("b")])], base: "a",
    answer: "a b", recommended: ["a": true]),
  Rule(
    what: "a recommendation goes after all choices",
    sources: [
      apt([.init("a", "1", [(.recommends, "c"), (.depends, "b | c")]), .init("b"), .init("c")]) {
        $0.usesRecommended = true
      }
    ], base: "a", answer: "a b c"),
  Rule(
    what: "supplements come with what they are for",
    sources: [
      yum([
        .init("a", "1-1"), .init("b", "1-1", [(.supplements, "(a and c)")]), .init("c", "1-1"),
        .init("d", "1-1", [(.supplements, "x")]),
      ]) {
        $0.usesRecommended = true
      }
    ], base: "a c", answer: "a b c"),
  Rule(
    what: "files", sources: [yum([.init("a", "1-1", [(.depends, "/bin/sh")]), .init("b", "1-1", files: ["/bin/sh"])])],
    base: "a",
    answer: "a b"),
  Rule(
    what: "rpmlib is rpm's own", sources: [yum([.init("a", "1-1", [(.depends, "rpmlib(X) (<= 4)")])])], base: "a",
    answer: "a"),
  Rule(what: "rich: and", sources: rich("(b and c)"), base: "a", answer: "a b c"),
  Rule(what: "rich: or", sources: rich("(b or c)"), base: "a", answer: "a b"),
  Rule(what: "rich: or, satisfied", sources: rich("(b or c)"), base: "a c", answer: "a c"),
  Rule(what: "rich: if, not there", sources: rich("(b if c)"), base: "a", answer: "a"),
  Rule(what: "rich: if, there", sources: rich("(b if c)"), base: "a c", answer: "a b c"),
  Rule(what: "rich: if else", sources: rich("(b if c else d)"), base: "a", answer: "a d"),
  Rule(what: "rich: unless, not there", sources: rich("(b unless c)"), base: "a", answer: "a b"),
  Rule(what: "rich: unless, there", sources: rich("(b unless c else d)"), base: "a c", answer: "a c d"),
  Rule(
    what: "rich: a condition that becomes true later",
    sources: [
      yum([
        .init("a", "1-1", [(.depends, "(b if c)")]), .init("b", "1-1"), .init("c", "1-1"),
        .init("d", "1-1", [(.depends, "c | x")]),
      ])
    ], base: "a d", answer: "a b c d"),
  Rule(
    what: "rich: with",
    sources: rich("(v with w)", [.init("b", "1-1", provides: "v"), .init("c", "1-1", provides: "v, w")]),
    base: "a", answer: "a c"),
  Rule(
    what: "rich: without",
    sources: rich("(v without w)", [.init("b", "1-1", provides: "v, w"), .init("c", "1-1", provides: "v")]),
    base: "a", answer: "a c"),
  Rule(what: "rich: versions", sources: rich("(b >= 2 or c >= 1)"), base: "a", answer: "a c"),
  Rule(what: "rich: nothing has it", sources: rich("(x or y)"), base: "a", answer: "a ?(x or y)<a"),
  Rule(what: "rich: nested", sources: rich("((x or b) and (c if d))"), base: "a d", answer: "a b c d"),
  Rule(what: "rich: what rpm would not read", sources: rich("(b or)"), base: "a", answer: "a ?(b or)<a"),
]

@Suite struct StrictResolverTests {
  @Test(arguments: rules) private func rule(_ rule: Rule) throws {
    #expect(text(try resolve(rule.sources, rule.base, recommended: rule.recommended)) == rule.answer)
  }

  @Test func conflictsAreTold() throws {
    let made = try resolve(
      [
        apt([
          .init("a", "1", [(.conflicts, "b (<< 2), v")]), .init("b", "1"), .init("c", "1", provides: "v"),
          .init("d", "1", [(.conflicts, "b (<< 1)")]),
        ])
      ], "a b c d")
    #expect(
      made.conflicts == [
        PackageConflict(package: Array("a".utf8), relation: Array("b (<< 2)".utf8), other: Array("b".utf8)),
        PackageConflict(package: Array("a".utf8), relation: Array("v".utf8), other: Array("c".utf8)),
      ])
  }

  @Test func missingPartsAreNamed() throws {
    var source = SmallSource(.apt, arches: ["amd64", "arm64"], components: ["main", "contrib"], [[], [], [], []])
    source.missing = [1, 3]
    var other = apt([])
    other.isFetched = false
    #expect(
      try resolve([source, other], "a").missingParts == [
        MissingPart(member: 0, component: "contrib", arch: "amd64"),
        MissingPart(member: 1, component: "main", arch: "amd64"),
      ])
  }

  @Test func theOrderOfTheBaseSetDoesNotCount() throws {
    let packages: [SmallPackage] = [
      .init("a", "1", [(.depends, "x | y")]), .init("b", "1", [(.depends, "y | x")]), .init("x"), .init("y"),
    ]
    #expect(text(try resolve([apt(packages)], "a b")) == text(try resolve([apt(packages)], "b a")))
  }

  /// A mirror cannot make a resolution last for ever: here 2,000 packages depend on a name that 2,000 provide, each in a version of its own.
  @Test func sourcesThatTakeTooLongAreGivenUp() throws {
    let packages = (0..<2000).map { number in
      SmallPackage("p\(number)", "1", [(.depends, "v (>= \(number)), p\((number + 1) % 2000)")], provides: "v (= 1)")
    }
    let run = StrictRun(StrictCatalog(try collection([apt(packages)])))
    run.stepLimit = 1_000_000
    let failure = #expect(throws: ResolutionFailure.self) { try run.complete(bytes(["p0"])) }
    #expect(failure?.description == "the sources need more than 1000000 steps")
  }

  /// After an answer the pages of a mapped index are given back, and read again for the next.
  @Test func mappedIndexesAnswerAgain() throws {
    let source = apt([.init("a", "1", [(.depends, "b")]), .init("b")])
    let folder = TemporaryDirectory()
    let path = folder.write(try source.indexBytes(), to: "index")
    let mapped = PackageCollection([(source.source, try PackageIndex(path: path))]) { $0 == "amd64" }
    for solver in [PackageSolver.strict, .bcfg2(.version14), .strict] {
      #expect(try strings(PackageResolver(mapped, solver).complete(bytes(["a"])).packages) == ["a", "b"])
    }
  }

  @Test func groupsAreThoseOfAllSources() throws {
    var one = yum([])
    one.groups = [SmallGroup(id: "g", members: [("a", .mandatory), ("b", .optional)])]
    var other = yum([])
    other.groups = [SmallGroup(id: "g", members: [("c", .default), ("d", .mandatory)])]
    let resolver = StrictResolver(try collection([one, other], groups: ["x86_64"]))
    #expect(resolver.group(Array("g".utf8), type: nil).map(strings) == ["a", "d"])
    #expect(resolver.group(Array("g".utf8), type: "all").map(strings) == ["a", "b", "c", "d"])
    #expect(resolver.group(Array("x".utf8), type: nil) == nil)
  }

  @Test(arguments: [
    ("(a and b and c)", "(a and b and c)"), ("( a >= 1 or  b )", "(a >= 1 or b)"),
    ("(python3dist(x) >= 1 if (b or c) else d)", "(python3dist(x) >= 1 if (b or c) else d)"),
    ("((a with b) without c)", "((a with b) without c)"), ("(a unless b)", "(a unless b)"), ("(a)", "a"),
  ])
  func richTextsAreRead(_ text: String, _ expected: String) {
    let bytes = Array(text.utf8)
    #expect(bytes.withUnsafeBytes { RichDependency($0)?.text } == expected)
  }

  @Test(arguments: [
    "", "(", "()", "a", "(a", "(a b)", "(a and)", "(a and b or c)", "(a if b else)", "(a if b) c", "(a >= )",
    "(a nor b)",
    String(repeating: "(", count: 5000),
    String(repeating: "(a or ", count: 40) + "b" + String(repeating: ")", count: 40),
  ])
  func otherTextsAreRefused(_ text: String) {
    let bytes = Array(text.utf8)
    #expect(bytes.withUnsafeBytes { RichDependency($0)?.text } == nil)
  }

  @Test func differencesAreToldInTextAndJSON() throws {
    let sources = [
      apt([
        .init("a", "1", [(.depends, "b | c, v")]), .init("b"), .init("c"), .init("d", provides: "v (= 1)"),
        .init("e", "1", [(.depends, "\"x (>= 2)")]),
      ])
    ]
    let both = try collection(sources)
    let base = bytes(["a", "e", "nosuch"])
    let made = ResolutionDifferences(
      bcfg2: Result { () throws(ResolutionFailure) in try Bcfg2Resolver(both, version: .version14).complete(base) },
      strict: try StrictResolver(both).complete(base))
    #expect(
      made.text(host: "h") == """
        h: 2 more, 0 fewer
          + b
          + d
          found now: "x
          found now: v
          ? "x (>= 2), which e needs: no source has it

        """)
    #expect(
      made.json(host: "h") == #"{"host":"h","added":["b","d"],"removed":[],"found":["\"x","v"],"#
        + #""unknown":[{"name":"\"x (>= 2)","reason":"notFound","wanted_by":"e"}],"conflicts":[],"missing":[],"failure":null}"#
        + "\n")
    #expect(
      ResolutionDifferences(bcfg2: .success(Resolution()), strict: Resolution()).text(host: "h") == "h: the same\n")
  }
}
