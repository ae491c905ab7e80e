import PackageSources

/// Bcfg2's resolution, as plainly as its description: tables of whole sources, then rounds over sets. Slow and short, to compare with.
struct ReferenceModel {
  enum Failure: Error, Equatable { case missingKey(String) }

  let sources: [ModelSource]

  init(_ sources: [SmallSource], groups: Set<String>, _ version: Bcfg2Version) {
    self.sources = sources.filter { $0.source.arches.contains(where: groups.contains) }.map {
      ModelSource($0, groups, version)
    }
  }

  func complete(_ base: Set<String>, recommended: [String: Bool]) throws(Failure) -> (
    packages: Set<String>, unknown: Set<String>
  ) {
    var virtual: [String: Set<String>] = [:]
    for source in sources { virtual.merge(source.virtual()) { $0.union($1) } }
    var unclassified = base
    var vpkgs: Set<String> = []
    var both: Set<String> = []
    var pkgs = base
    var packages: Set<String> = []
    var examined: Set<String> = []
    var unknown: Set<String> = []
    var isFinal = false
    var isDone = false
    while !unclassified.isEmpty || !pkgs.isEmpty || !both.isEmpty || isFinal {
      if isDone { break }
      if unclassified.isEmpty, pkgs.isEmpty, both.isEmpty { isDone = true }
      while let current = unclassified.popFirst() {
        examined.insert(current)
        switch (try isPackage(current), virtual[current] != nil) {
        case (true, true): both.insert(current)
        case (true, false): pkgs.insert(current)
        case (false, true): vpkgs.insert(current)
        case (false, false): unknown.insert(current)
        }
      }
      while let current = pkgs.popFirst() {
        packages.insert(current)
        unclassified.formUnion(Set(try dependencies(current, recommended[current])).subtracting(examined))
      }
      for current in vpkgs where virtual[current]!.count == 1 {
        unclassified.formUnion(virtual[current]!.subtracting(examined))
      }
      vpkgs = []
      for current in both {
        if !virtual[current]!.isDisjoint(with: packages) {
          both.remove(current)
        } else if base.contains(current) || isFinal {
          pkgs.insert(current)
          both.remove(current)
        }
      }
      isFinal = unclassified.isEmpty && pkgs.isEmpty
      unknown = unknown.filter { name in !sources.contains { name.hasPrefix($0.kind == .yum ? "rpmlib" : "choice") } }
    }
    return (packages, unknown)
  }

  private func isPackage(_ name: String) throws(Failure) -> Bool {
    for source in sources where try source.isPackage(name) { return true }
    return false
  }

  private func dependencies(_ name: String, _ recommended: Bool?) throws(Failure) -> [String] {
    for source in sources where try source.isPackage(name) { return try source.dependencies(name, recommended) }
    return []
  }
}

/// The tables of one source.
struct ModelSource {
  let kind: SourceKind
  private let version: Bcfg2Version
  private let source: PackageSource
  private let clientArches: [String]
  private var names: Set<String> = []
  /// By architecture, `global` among them.
  private var deps: [String: [String: [String]]] = [:]
  private var recommends: [String: [String: [String]]] = [:]
  private var provides: [String: [String: Set<String>]] = [:]
  private var files: [String: [String: Set<String>]] = [:]
  /// yum: names by architecture; without `global` if the reading ended early.
  private var packages: [String: Set<String>] = [:]

  init(_ small: SmallSource, _ groups: Set<String>, _ version: Bcfg2Version) {
    source = small.source
    kind = small.source.kind
    self.version = version
    clientArches = small.source.arches.filter(groups.contains)
    guard small.isFetched else {
      if kind == .yum { (deps["global"], provides["global"]) = ([:], [:]) }
      return
    }
    if kind == .yum { readYum(small) } else if small.missing.isEmpty { readLists(small) }
  }

  // MARK: apt and pac

  private mutating func readLists(_ small: SmallSource) {
    var bdeps: [String: [String: [String]]] = [:]
    var brecs: [String: [String: [String]]] = [:]
    var bprov: [String: [String: Set<String>]] = [:]
    for (number, part) in source.parts.enumerated() {
      bdeps[part.arch, default: [:]] = bdeps[part.arch] ?? [:]
      brecs[part.arch, default: [:]] = brecs[part.arch] ?? [:]
      bprov[part.arch, default: [:]] = bprov[part.arch] ?? [:]
      for package in small.parts[number] {
        names.insert(package.name)
        if kind == .pac, version == .version13 { continue }
        var (deps, recs): ([String], [String]) = ([], [])
        var field: RelationKind?
        var choice = 0
        var alternatives: Set<String> = []
        var isChoice = false
        for relation in package.relations {
          let isSoft = relation.kind == .recommends
          guard relation.kind == .depends || relation.kind == .preDepends || isSoft else { continue }
          if isSoft, version == .version13, !source.usesRecommended { continue }
          if field != relation.kind { (field, choice) = (relation.kind, 0) }
          var name = relation.name
          if !relation.qualifier.isEmpty, version == .version13 || relation.qualifier != "any" {
            name += ":" + relation.qualifier
          }
          alternatives.insert(name)
          if relation.flags.contains(.orNext) {
            isChoice = true
            continue
          }
          if isChoice {
            name = "choice-\(package.name)-\(part.arch)-\(choice)"
            choice += 1
            bprov[part.arch]![name] = alternatives
          }
          if isSoft, version == .version14 { recs.append(name) } else { deps.append(name) }
          (alternatives, isChoice) = ([], false)
        }
        bdeps[part.arch]![package.name] = deps
        brecs[part.arch]![package.name] = recs
        for provide in package.provides {
          let name = kind == .apt && !provide.version.isEmpty ? "\(provide.name) (= \(provide.version))" : provide.name
          bprov[part.arch]![name, default: []].insert(package.name)
        }
      }
    }
    (deps, recommends) = (split(bdeps), split(brecs))
    provides = ["global": [:]]
    for arch in bprov.keys { provides[arch] = [:] }
    for name in Set(bprov.values.flatMap(\.keys)) {
      let values = Set(bprov.values.compactMap { $0[name] })
      if values.count == 1 {
        provides["global"]![name] = values.first!
      } else {
        for arch in bprov.keys { provides[arch]![name] = bprov[arch]![name] ?? [] }
      }
    }
  }

  private func split(_ table: [String: [String: [String]]]) -> [String: [String: [String]]] {
    var made: [String: [String: [String]]] = ["global": [:]]
    for arch in table.keys { made[arch] = [:] }
    for name in names {
      let values = Set(table.keys.map { table[$0]![name] ?? [] })
      if values.count == 1 {
        made["global"]![name] = values.first!
      } else {
        for arch in table.keys { made[arch]![name] = table[arch]![name] ?? [] }
      }
    }
    return made
  }

  // MARK: yum

  private mutating func readYum(_ small: SmallSource) {
    (deps["global"], provides["global"]) = ([:], [:])
    var needed: Set<String> = []
    let parts = source.parts.enumerated().filter { !small.missing.contains($0.offset) }
    for (number, part) in parts {
      var versions: [String: [Int]] = [:]
      packages[part.arch] = packages[part.arch] ?? []
      deps[part.arch] = deps[part.arch] ?? [:]
      provides[part.arch] = provides[part.arch] ?? [:]
      for package in small.parts[number] {
        if version == .version14 {
          // Versions of these tests are numbers: epoch, version, release.
          let numbers = package.version.split { ":-".contains($0) }.map { Int($0)! }
          if packages[part.arch]!.contains(package.name) {
            guard let last = versions[package.name] else { return }
            if zip(numbers, last).contains(where: { $0 < $1 }) { continue }
          }
          versions[package.name] = numbers
        }
        packages[part.arch]!.insert(package.name)
        deps[part.arch]![package.name] = package.relations.filter { $0.kind == .depends }.map(\.name)
        needed.formUnion(deps[part.arch]![package.name]!.filter { $0.hasPrefix("/") })
        for provide in package.provides { provides[part.arch]![provide.name, default: []].insert(package.name) }
      }
    }
    for (number, part) in parts {
      for package in small.parts[number] {
        for file in package.files where needed.contains(file) {
          files[part.arch, default: [:]][file, default: []].insert(package.name)
        }
      }
    }
    packages["global"] = packages.values.reduce(into: []) { $0.formUnion($1) }
  }

  // MARK: Questions

  func isPackage(_ name: String) throws(ReferenceModel.Failure) -> Bool {
    if kind == .yum {
      guard let all = packages["global"] else {
        if version == .version13 { throw .missingKey("global") }
        return false
      }
      if !all.contains(name) {
        if version == .version13, packages[clientArches[0]] == nil { throw .missingKey(clientArches[0]) }
        return false
      }
    } else if !names.contains(name) {
      return false
    }
    return !source.blacklist.contains(name) && (source.whitelist.isEmpty || source.whitelist.contains(name))
  }

  func dependencies(_ name: String, _ recommended: Bool?) throws(ReferenceModel.Failure) -> [String] {
    var found: [String] = []
    if version == .version14, recommended ?? source.usesRecommended {
      for arch in ["global"] + clientArches {
        guard let table = recommends[arch] else { throw .missingKey(arch) }
        found += table[name] ?? []
      }
    }
    for arch in ["global"] + clientArches {
      guard let table = deps[arch] else { throw .missingKey(arch) }
      if version == .version13, let first = table[name] { return first }
      found += table[name] ?? []
    }
    return found
  }

  func virtual() -> [String: Set<String>] {
    var all: [String: Set<String>] = [:]
    for arch in ["global"] + clientArches { all.merge(provides[arch] ?? [:]) { $0.union($1) } }
    for arch in clientArches { all.merge(files[arch] ?? [:]) { $1 } }
    return all
  }
}
