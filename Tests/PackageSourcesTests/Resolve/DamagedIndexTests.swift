import PackageSources
import Testing

@Suite struct DamagedIndexTests {
  /// Every eleventh byte of an index is changed in turn: resolvers answer something, or the file is refused. Nothing traps.
  @Test(arguments: [SourceKind.apt, .yum]) func damagedIndexesEndNoProcess(_ kind: SourceKind) throws {
    let versions = ["0:1-1", "0:2-1"]
    var source = SmallSource(
      kind, arches: ["amd64", "arm64"],
      [
        [
          .init("a", versions[0], [(.depends, "b | c, v (>= 1)"), (.recommends, "d:any")], provides: "w"),
          .init(
            "a", versions[1], [(.depends, "/f, (b if c)")], provides: "w (= 1)", flags: [.isEssential, .saysEssential]),
          .init("b", versions[0], files: ["/f"]),
          .init("c", versions[1], [(.conflicts, "a"), (.supplements, "a")], provides: "v"),
        ], [.init("a", versions[1], [(.depends, "b")]), .init("d", versions[0], provides: "v")],
      ]
    ) { $0.usesRecommended = kind == .apt }
    source.groups = [SmallGroup(id: "g", members: [("a", .mandatory)])]
    let bytes = try source.indexBytes()
    let base = names(["a", "v", "w", "/f"])
    for place in stride(from: kind == .apt ? 0 : 5, to: bytes.count, by: 11) {
      for value in [[UInt8(0), 1, 0x7f, 0xff][place % 4]] where bytes[place] != value {
        var damaged = bytes
        damaged[place] = value
        guard let index = try? PackageIndex(bytes: damaged) else { continue }
        let collection = PackageCollection([(source.source, index)]) { $0 == "amd64" }
        for solver in [PackageSolver.bcfg2(.version13), .bcfg2(.version14), .strict] {
          let resolver = PackageResolver(collection, solver)
          _ = try? resolver.complete(base, recommended: [base[0]: kind == .apt])
          _ = resolver.essentials()
          _ = resolver.group(Array("g".utf8), type: "all")
        }
      }
    }
  }

  private func names(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }
}
