import PackageSources
import Testing

/// What both versions answer, or each of them, as text: packages by blanks, then unknown names behind a `?`.
private func answer(
  _ sources: [SmallSource], _ base: String, _ version: Bcfg2Version, recommended: [String: Bool] = [:],
  groups: Set<String> = ["amd64"]
) throws -> String {
  let resolver = Bcfg2Resolver(try collection(sources, groups: groups), version: version)
  let names = base.split(separator: " ").map { Array($0.utf8) }
  do {
    let made = try resolver.complete(
      names, recommended: Dictionary(uniqueKeysWithValues: recommended.map { (Array($0.key.utf8), $0.value) }))
    let unknown = made.unknown.map { "?" + String(decoding: $0.name, as: UTF8.self) }
    return (strings(made.packages) + unknown).joined(separator: " ")
  } catch {
    return "\(error)"
  }
}

/// One quirk a row.
private struct Quirk: CustomTestStringConvertible {
  var what: String
  var sources: [SmallSource]
  var base: String
  var old: String
  var new: String?
  var recommended: [String: Bool] = [:]
  var groups: Set<String> = ["amd64", "x86_64"]
  var testDescription: String { what }
}

private let quirks: [Quirk] = [
  Quirk(
    what: "dependencies come with dependencies",
    sources: [apt([.init("a", "1", [(.depends, "b")]), .init("b", "1", [(.preDepends, "c")]), .init("c")])],
    base: "a", old: "a b c"),
  Quirk(what: "what is asked for is taken though nobody has it", sources: [apt([])], base: "a", old: "a ?a"),
  Quirk(
    what: "a choice of several is dropped",
    sources: [apt([.init("a", "1", [(.depends, "b | c")]), .init("b"), .init("c")])], base: "a", old: "a"),
  Quirk(
    what: "a choice of one name in two versions is that name",
    sources: [apt([.init("a", "1", [(.depends, "b (>= 1) | b (<< 1)")]), .init("b")])], base: "a", old: "a b"),
  Quirk(
    what: "alternatives of a later field take the place of those of an earlier one",
    sources: [
      apt([.init("a", "1", [(.depends, "b | b, d | d"), (.preDepends, "c | c")]), .init("b"), .init("c"), .init("d")])
    ], base: "a", old: "a c d"),
  Quirk(
    what: "Recommends take the place of alternatives where they are read: always in 1.4",
    sources: [
      apt([.init("a", "1", [(.depends, "b | b"), (.recommends, "c | d")]), .init("b"), .init("c"), .init("d")])
    ],
    base: "a", old: "a b", new: "a"),
  Quirk(
    what: "a virtual name with one provider",
    sources: [apt([.init("a", "1", [(.depends, "v")]), .init("b", provides: "v")])], base: "a", old: "a b"),
  Quirk(
    what: "a virtual name with two providers is dropped",
    sources: [apt([.init("a", "1", [(.depends, "v")]), .init("b", provides: "v"), .init("c", provides: "v")])],
    base: "a",
    old: "a"),
  Quirk(
    what: "a versioned provide has its version in its name",
    sources: [apt([.init("a", "1", [(.depends, "v")]), .init("b", provides: "v (= 1)")])], base: "a", old: "a ?v"),
  Quirk(
    what: "a package that others provide too: none of them is there",
    sources: [apt([.init("a", "1", [(.depends, "v")]), .init("b", provides: "v"), .init("v")])], base: "a", old: "a v"),
  Quirk(
    what: "a package that others provide too: one of them is there",
    sources: [apt([.init("a", "1", [(.depends, "v, b")]), .init("b", provides: "v"), .init("v")])], base: "a",
    old: "a b"),
  Quirk(
    what: "packages that wait are forced together, not one by one",
    sources: [
      apt([
        .init("a", "1", [(.depends, "v, w")]), .init("v", provides: "w"), .init("w", provides: "v"),
      ])
    ], base: "a", old: "a v w"),
  Quirk(
    what: ":any is part of the name in 1.3.4", sources: [apt([.init("a", "1", [(.depends, "b:any")]), .init("b")])],
    base: "a",
    old: "a ?b:any", new: "a b"),
  Quirk(
    what: "other qualifiers are part of the name",
    sources: [apt([.init("a", "1", [(.depends, "b:native")]), .init("b")])], base: "a",
    old: "a ?b:native"),
  Quirk(
    what: "the last record of a name has its dependencies, whatever its version",
    sources: [apt([.init("a", "2", [(.depends, "b")]), .init("a", "1", [(.depends, "c")]), .init("b"), .init("c")])],
    base: "a", old: "a c"),
  Quirk(
    what: "provides of all records count",
    sources: [
      apt([.init("a", "2", provides: "v"), .init("a", "1"), .init("b", "1", [(.depends, "v")])])
    ], base: "b", old: "a b"),
  Quirk(
    what: "names that begin with choice are not told", sources: [apt([.init("a", "1", [(.depends, "choices, x")])])],
    base: "a",
    old: "a ?x"),
  Quirk(
    what: "a blacklisted package is unknown, and provides all the same",
    sources: [
      apt([.init("a", "1", [(.depends, "b, v")]), .init("b", provides: "v")]) { $0.blacklist = ["b"] }
    ], base: "a", old: "a ?b"),
  Quirk(
    what: "with a whitelist all others are unknown",
    sources: [apt([.init("a", "1", [(.depends, "b")]), .init("b")]) { $0.whitelist = ["a"] }], base: "a", old: "a ?b"),
  Quirk(
    what: "the first source that has a package has its dependencies",
    sources: [
      apt([.init("a", "1", [(.depends, "b")]), .init("b")]), apt([.init("a", "2", [(.depends, "c")]), .init("c")]),
    ],
    base: "a", old: "a b"),
  Quirk(
    what: "sources provide together",
    sources: [apt([.init("a", "1", [(.depends, "v")]), .init("b", provides: "v")]), apt([.init("c", provides: "v")])],
    base: "a", old: "a"),
  Quirk(
    what: "choices of a package are those of all its sources",
    sources: [
      apt([.init("a", "1", [(.depends, "b | b")]), .init("b")]), apt([.init("a", "1", [(.depends, "c | c")])]),
    ],
    base: "a", old: "a"),
  Quirk(
    what: "recommended of a source",
    sources: [apt([.init("a", "1", [(.recommends, "b")]), .init("b")]) { $0.usesRecommended = true }], base: "a",
    old: "a b"),
  Quirk(
    what: "recommended of an entry", sources: [apt([.init("a", "1", [(.recommends, "b")]), .init("b")])], base: "a",
    old: "a",
    new: "a b", recommended: ["a": true]),
  Quirk(
    what: "an entry may refuse the source's recommendations",
    sources: [apt([.init("a", "1", [(.recommends, "b")]), .init("b")]) { $0.usesRecommended = true }], base: "a",
    old: "a b", new: "a", recommended: ["a": false]),
  Quirk(
    what: "two architectures: 1.3.4 takes the first one's dependencies",
    sources: [
      SmallSource(
        .apt, arches: ["amd64", "i386"],
        [[.init("a", "1", [(.depends, "b")]), .init("b")], [.init("a", "1", [(.depends, "c")]), .init("c")]])
    ], base: "a", old: "a b", new: "a b c", groups: ["amd64", "i386"]),
  Quirk(
    what: "a package of another architecture is one, without dependencies",
    sources: [
      SmallSource(.apt, arches: ["amd64", "i386"], [[], [.init("a", "1", [(.depends, "c")]), .init("c")]])
    ], base: "a", old: "a", groups: ["amd64"]),
  Quirk(
    what: "what one architecture alone provides counts for all",
    sources: [
      SmallSource(
        .apt, arches: ["amd64", "i386"], [[.init("a", "1", [(.depends, "v")])], [.init("b", provides: "v")]])
    ], base: "a", old: "a b"),
  Quirk(
    what: "where two architectures differ, a third has a virtual name without a provider",
    sources: [
      SmallSource(
        .apt, arches: ["amd64", "i386", "arm64"],
        [[.init("a", "1", [(.depends, "v")])], [.init("b", provides: "v")], [.init("c", provides: "v")]])
    ], base: "a", old: "a"),
  Quirk(
    what: "one missing component makes the source empty",
    sources: [
      {
        var source = SmallSource(
          .apt, components: ["main", "contrib"], [[.init("a", "1", [(.depends, "b")]), .init("b")], []])
        source.missing = [1]
        return source
      }()
    ], base: "a", old: "a ?a"),
  Quirk(
    what: "rawurl: the first architecture's list is the only one; 1.4 fails for the second",
    sources: [
      SmallSource(.apt, arches: ["i386", "amd64"], [[.init("a", "1", [(.depends, "b")]), .init("b")], []]) {
        $0.rawURL = "http://mirror.example.com/raw/"
      }
    ], base: "a", old: "a b", new: "KeyError: 'amd64'"),
  Quirk(
    what: "pacman: 1.3.4 knows names only",
    sources: [SmallSource(.pac, [[.init("a", "1", [(.depends, "v")]), .init("b", provides: "v (= 1)")]])], base: "a",
    old: "a", new: "a b"),
  Quirk(
    what: "pacman with rawurl does not load",
    sources: [SmallSource(.pac, [[.init("a")]]) { $0.rawURL = "http://mirror.example.com/raw/" }], base: "a",
    old: "a ?a"),
  Quirk(
    what: "pkgng: a record without dependencies leaves those of an earlier one",
    sources: [SmallSource(.pkgng, [[.init("a", "1", [(.depends, "b")]), .init("b"), .init("a", "2")]])], base: "a",
    old: "a b"),
  Quirk(
    what: "yum: the last record in 1.3.4, the newest in 1.4",
    sources: [
      yum([
        .init("a", "0:2-1", [(.depends, "b")]), .init("a", "0:1-1", [(.depends, "c")]), .init("b", "0:1-1"),
        .init("c", "0:1-1"),
      ])
    ], base: "a", old: "a c", new: "a b"),
  Quirk(
    what: "yum: epochs are compared each by itself",
    sources: [
      yum([
        .init("a", "0:9-1", [(.depends, "b")]), .init("a", "1:1-1", [(.depends, "c")]), .init("b", "0:1-1"),
        .init("c", "0:1-1"),
      ])
    ], base: "a", old: "a c", new: "a b"),
  Quirk(
    what: "yum: 2~rc1 is newer than 2 in 1.4",
    sources: [
      yum([
        .init("a", "0:2~rc1-1", [(.depends, "b")]), .init("a", "0:2-1", [(.depends, "c")]), .init("b", "0:1-1"),
        .init("c", "0:1-1"),
      ])
    ], base: "a", old: "a c", new: "a b"),
  Quirk(
    what: "yum: what an older version provides counts in 1.3.4 only",
    sources: [
      yum([.init("a", "0:2-1"), .init("a", "0:1-1", provides: "v"), .init("b", "0:1-1", [(.depends, "v")])])
    ], base: "b", old: "a b", new: "b ?v"),
  Quirk(
    what: "yum: a package in two components of one architecture breaks the source in 1.4; what it provided stays",
    sources: [
      SmallSource(
        .yum, arches: ["x86_64"], components: ["os", "updates"],
        [
          [.init("a", "0:1-1", [(.depends, "v")], provides: "a"), .init("b", "0:1-1", provides: "b, v")],
          [.init("a", "0:2-1", [(.depends, "v")], provides: "a")],
        ])
    ], base: "a nosuch", old: "a b nosuch ?nosuch", new: "a nosuch ?nosuch"),
  Quirk(
    what: "yum: a source that was never fetched ends 1.3.4's resolution",
    sources: [
      {
        var source = yum([])
        source.isFetched = false
        return source
      }()
    ], base: "a", old: "KeyError: 'global'", new: "a ?a"),
  Quirk(
    what: "yum: an architecture that was not read ends the resolution of a package of another",
    sources: [
      {
        var source = SmallSource(.yum, arches: ["x86_64", "i686"], [[], [.init("a", "0:1-1")]])
        source.missing = [0]
        return source
      }()
    ], base: "a", old: "KeyError: 'x86_64'", groups: ["x86_64"]),
  Quirk(
    what: "yum: recommended ends 1.4's resolution", sources: [yum([.init("a", "0:1-1")]) { $0.usesRecommended = true }],
    base: "a", old: "a", new: "KeyError: 'global'"),
  Quirk(
    what: "yum: a path is provided by the packages that have the file",
    sources: [yum([.init("a", "0:1-1", [(.depends, "/bin/sh")]), .init("b", "0:1-1", files: ["/bin/sh"])])], base: "a",
    old: "a b"),
  Quirk(
    what: "yum: files take the place of a provided path",
    sources: [
      yum([
        .init("a", "0:1-1", [(.depends, "/bin/sh")]), .init("b", "0:1-1", provides: "/bin/sh"),
        .init("c", "0:1-1", files: ["/bin/sh"]),
      ])
    ], base: "a", old: "a c"),
  Quirk(
    what: "yum: a path that only another source needs is not known",
    sources: [
      yum([.init("a", "0:1-1", [(.depends, "/bin/sh")])]), yum([.init("c", "0:1-1", files: ["/bin/sh"])]),
    ], base: "a", old: "a ?/bin/sh"),
  Quirk(
    what: "yum: a path that only a left out version needs is not known to 1.4 from another source",
    sources: [
      yum([.init("a", "0:1-1", [(.depends, "/bin/sh")])]),
      yum([.init("c", "0:2-1", files: ["/bin/sh"]), .init("c", "0:1-1", [(.depends, "/bin/sh")])]),
    ], base: "a", old: "a c", new: "a ?/bin/sh"),
  Quirk(
    what: "yum: rich dependencies are names; rpmlib is not told",
    sources: [yum([.init("a", "0:1-1", [(.depends, "(b if c), rpmlib(X)")]), .init("b", "0:1-1")])], base: "a",
    old: "a ?(b if c)"),
  Quirk(
    what: "sources of two kinds together: both kinds' names are not told",
    sources: [
      apt([.init("a", "1", [(.depends, "choice, rpmlib(x), y")])]), yum([.init("b", "0:1-1", [(.depends, "a")])]),
    ], base: "b", old: "a b ?y"),
]

@Suite struct Bcfg2ResolverTests {
  @Test(arguments: quirks) private func quirk(_ quirk: Quirk) throws {
    let old = try answer(quirk.sources, quirk.base, .version13, recommended: quirk.recommended, groups: quirk.groups)
    #expect(old == quirk.old)
    let new = try answer(quirk.sources, quirk.base, .version14, recommended: quirk.recommended, groups: quirk.groups)
    #expect(new == quirk.new ?? quirk.old)
  }

  @Test func essentialsAreOfAllArchitecturesAndAnyValueCountsInOldVersions() throws {
    let source = SmallSource(
      .apt, arches: ["amd64", "i386"],
      [
        [.init("a", flags: [.isEssential, .saysEssential]), .init("b", flags: .saysEssential)],
        [.init("c", flags: [.isEssential, .saysEssential])],
      ])
    #expect(strings(Bcfg2Resolver(try collection([source]), version: .version13).essentials()) == ["a", "b", "c"])
    #expect(strings(Bcfg2Resolver(try collection([source]), version: .version14).essentials()) == ["a", "c"])
    var silent = source
    silent.source.usesEssential = false
    #expect(Bcfg2Resolver(try collection([silent]), version: .version14).essentials().isEmpty)
  }

  @Test func groupsGiveTheirPackagesByType() throws {
    var source = yum([.init("a", "0:1-1")])
    source.groups = [
      SmallGroup(id: "g", members: [("old", .mandatory)]),
      SmallGroup(
        id: "g", members: [("m", .mandatory), ("d", .default), ("o", .optional), ("c", .conditional), ("u", .unknown)]),
    ]
    let resolver = Bcfg2Resolver(try collection([source], groups: ["x86_64"]), version: .version14)
    func group(_ type: String?) -> [String]? { resolver.group(Array("g".utf8), type: type).map(strings)?.sorted() }
    #expect(group(nil) == ["c", "m"])
    #expect(group("mandatory") == ["c", "m"])
    #expect(group("default") == ["c", "d", "m"])
    #expect(group("optional") == ["c", "d", "m", "o"])
    #expect(group("all") == ["c", "d", "m", "o"])
    #expect(resolver.group(Array("nosuch".utf8), type: nil) == nil)
    #expect(Bcfg2Resolver(try collection([apt([])]), version: .version14).supportsGroups == false)
  }

  @Test func emptySourcesNameTheirArchitectures() throws {
    var source = SmallSource(.apt, components: ["main", "contrib"], [[.init("a")], []])
    source.missing = [1]
    #expect(Bcfg2Resolver(try collection([source]), version: .version14).emptyArches(of: 0) == ["global", "amd64"])
    source.missing = []
    #expect(Bcfg2Resolver(try collection([source]), version: .version14).emptyArches(of: 0) == [])
  }

  /// Random sources of all kinds, compared with the plain model.
  @Test(arguments: [Bcfg2Version.version13, .version14]) func randomSourcesAreResolvedAsTheModelDoes(
    _ version: Bcfg2Version
  )
    throws
  {
    for seed in 0..<600 {
      var chance = Chance(state: UInt64(seed))
      let kind: SourceKind = [.apt, .apt, .yum, .pac][chance.below(4)]
      let sources = (0..<1 + chance.below(3)).map { _ in chance.source(kind) }
      let groups: Set<String> = [["x"], ["y"], ["x", "y"]][chance.below(3)]
      let base = Set((0..<1 + chance.below(4)).map { _ in chance.name() })
      let recommended = chance.below(4) == 0 ? [chance.name(): chance.below(2) == 0] : [:]
      let model = ReferenceModel(sources, groups: groups, version)
      let ours = try answer(
        sources, base.sorted().joined(separator: " "), version, recommended: recommended, groups: groups)
      let expected: String
      do {
        let made = try model.complete(base, recommended: recommended)
        expected = (made.packages.sorted() + made.unknown.sorted().map { "?" + $0 }).joined(separator: " ")
      } catch .missingKey(let key) {
        expected = "KeyError: '\(key)'"
      }
      #expect(
        ours == expected, "\(version) seed \(seed), base \(base.sorted()), recommended \(recommended), groups \(groups)"
      )
      if ours != expected { return }
    }
  }
}

/// Makes random sources of few names, so that everything meets everything.
private struct Chance {
  private var state: UInt64

  init(state: UInt64) { self.state = state }

  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
  }

  mutating func name() -> String {
    ["a", "b", "c", "d", "e", "f", "g", "h", "choice-a", "rpmlib(x)", "v", "w", "/f", "/g"][below(14)]
  }

  private mutating func relations(_ kind: SourceKind) -> String {
    (0..<1 + below(3)).map { _ in
      let one = name() + (kind == .apt && below(6) == 0 ? [":any", ":native"][below(2)] : "")
      return kind == .apt && below(3) == 0 ? "\(one) | \(below(3) == 0 ? one : name())" : one
    }.joined(separator: ", ")
  }

  mutating func source(_ kind: SourceKind) -> SmallSource {
    let arches = [["x"], ["x", "y"], ["y", "x"], ["x", "y", "z"]][below(4)]
    let components = below(3) == 0 ? ["main", "extra"] : ["main"]
    var usedNames: [String: Set<String>] = [:]
    let parts = arches.flatMap { arch in
      components.map { component -> [SmallPackage] in
        (0..<below(7)).compactMap { _ in
          let name = name()
          // Mostly no name twice in two components, which breaks a source of yum.
          if kind == .yum, component == "extra", usedNames[arch, default: []].contains(name), below(8) != 0 {
            return nil
          }
          if component == "main" { usedNames[arch, default: []].insert(name) }
          var fields: [(RelationKind, String)] = []
          for field in [RelationKind.depends, .preDepends, .recommends] where below(2) == 0 {
            fields.append((field, relations(.apt)))
          }
          if kind != .apt { fields = below(3) == 0 ? [] : [(.depends, relations(kind))] }
          if kind == .pac, below(3) == 0 { fields.append((.recommends, relations(kind))) }
          let provides = (0..<below(3)).map { _ in self.name() + (below(5) == 0 ? " (= 1)" : "") }
          return SmallPackage(
            name, "\(below(2)):\(below(3))-\(below(2))", fields, provides: provides.joined(separator: ", "),
            files: kind == .yum && below(3) == 0 ? ["/f"] : [])
        }
      }
    }
    var source = SmallSource(kind, arches: arches, components: components, parts) { source in
      if below(5) == 0 { source.blacklist = [name()] }
      if below(8) == 0 { source.whitelist = [name(), name(), name()] }
      if below(4) == 0, kind != .yum || below(4) == 0 { source.usesRecommended = true }
    }
    if below(12) == 0 { source.missing = [below(parts.count)] }
    if below(20) == 0 { source.isFetched = false }
    return source
  }
}
