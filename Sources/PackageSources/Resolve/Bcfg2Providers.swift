/// Which packages provide a name, as a version of Bcfg2 reads it.
extension Bcfg2Source {
  /// Adds the packages of this source that provide a name for the client.
  /// - Returns: whether the source has the name as a virtual one; it may be so without a provider.
  func addProviders(of node: Int, _ nodes: NameNodes, to providers: inout [Int]) -> Bool {
    guard let index, let text = nodes.text(of: node, in: member) else { return false }
    let rows = index.rowsOfProviders(of: text)
    if rows.isEmpty { return false }
    switch kind {
    case .apt: return addOfSeveral(index, rows, nodes, to: &providers) { $0.comparison == .none && $0.isRead }
    case .pac: return version == .version14 && addOfSeveral(index, rows, nodes, to: &providers) { _ in true }
    case .yum: return addOfYum(index, rows, nodes, to: &providers)
    case .pkgng: return false
    }
  }

  /// apt and pacman: what the architectures that have the name agree on counts for all clients. Else each has its own, and one
  /// without the name has it without a provider.
  private func addOfSeveral(
    _ index: PackageIndex, _ rows: Range<UInt32>, _ nodes: NameNodes, to providers: inout [Int],
    where counts: (PackageProvide) -> Bool
  ) -> Bool {
    var found: [[Int]] = []
    for row in rows {
      guard let provide = index.provide(index.number(.providersByName, Int(row), 0) ?? .max), counts(provide),
        let arch = arch(of: provide.record.number, index), let record = index.record(provide.record)
      else { continue }
      if readArches.count == 1 {
        providers.append(nodes.node(member, record.name))
        found = [[]]
        continue
      }
      if found.isEmpty { found = readArches.map { _ in [] } }
      found[arch].append(nodes.node(member, record.name))
    }
    if found.isEmpty { return false }
    if readArches.count == 1 { return true }
    let sorted = found.map { Set($0).sorted() }
    let having = sorted.filter { !$0.isEmpty }
    if having.allSatisfy({ $0 == having[0] }) {
      providers += having[0]
      return true
    }
    var isKnown = false
    for case (_, let arch?) in clientArches {
      providers += sorted[arch]
      isKnown = true
    }
    return isKnown
  }

  /// yum: every version's provides count that was read, of the client's architectures. A path of the list of files takes the place of
  /// what packages provide under that name.
  private func addOfYum(_ index: PackageIndex, _ rows: Range<UInt32>, _ nodes: NameNodes, to providers: inout [Int])
    -> Bool
  {
    let start = providers.count
    var isKnown = false
    // The architecture whose files count: Bcfg2 takes the last one that it comes upon.
    var fileArch: Int?
    for row in rows {
      guard let provide = index.provide(index.number(.providersByName, Int(row), 0) ?? .max),
        let arch = arch(of: provide.record.number, index), clientArches.contains(where: { $0.place == arch }),
        let record = index.record(provide.record)
      else { continue }
      if provide.flags.contains(.isFile) {
        guard knowsFile(provide.name, index) else { continue }
        if fileArch != arch {
          providers.removeSubrange(start...)
          fileArch = arch
        }
      } else if fileArch != nil || !(versions?.isTaken(provide.record.number) ?? true) {
        continue
      }
      isKnown = true
      providers.append(nodes.node(member, record.name))
    }
    return isKnown
  }

  /// Whether Bcfg2 keeps the owners of a path: a package that counts requires it, and all packages were read.
  private func knowsFile(_ path: TextID, _ index: PackageIndex) -> Bool {
    if versions?.brokenAt != nil { return false }
    if neededPaths == nil {
      var needed: Set<TextID> = []
      for record in 0..<UInt32(clamping: index.recordCount) where counts(record, index) {
        for row in index.relationsOfRecord(record) where index.kindOfRelation(row) == .depends {
          let name = index.nameOfRelation(row)
          if index.bytes(of: name).first == UInt8(ascii: "/") { needed.insert(name) }
        }
      }
      neededPaths = needed
      collection.neededPaths[NeededPathsKey(member: member, version: version)] = needed
    }
    return neededPaths?.contains(path) ?? false
  }

  /// The names of packages that are marked essential.
  func essentials(_ nodes: NameNodes) -> [Int] {
    guard kind == .apt, usesEssential, let index else { return [] }
    // For 1.3.4 the field is enough, whatever it says.
    let flag: RecordFlags = version == .version13 ? .saysEssential : .isEssential
    return index.essentials.compactMap { id in
      guard let record = index.record(id), record.flags.contains(flag), arch(of: id.number, index) != nil else {
        return nil
      }
      return nodes.node(member, record.name)
    }
  }

  /// The packages of a group; empty if the source has no such group.
  /// - Parameter type: `mandatory`, `default`, `optional`, `all`; others count as mandatory.
  func group(_ id: UnsafeRawBufferPointer, type: String?) -> [[UInt8]] {
    guard let index, let text = index.find(id), kind == .yum || (kind == .pac && version == .version14) else {
      return []
    }
    if kind == .yum, versions?.brokenAt != nil { return [] }
    var names: [[UInt8]] = []
    for row in 0..<index.groupCount {
      guard let group = index.group(row), group.id == text, Int(group.part) < partArches.count,
        partArches[Int(group.part)] >= 0
      else { continue }
      // A later file's group takes the place of an earlier one's; pacman's are lists of all.
      if kind == .yum { names = [] }
      for member in group.members.compactMap({ index.member($0) }) {
        let counts =
          switch member.kind {
          case .mandatory, .conditional: true
          case .default: ["default", "optional", "all"].contains(type)
          case .optional: ["optional", "all"].contains(type)
          case .unknown: kind == .pac
          }
        if counts || kind == .pac { names.append(Array(index.bytes(of: member.name))) }
      }
    }
    return names
  }

  /// Names that no source has and nobody is told about.
  func hidesUnknown(_ name: UnsafeRawBufferPointer) -> Bool {
    switch kind {
    case .yum: name.starts(with: "rpmlib".utf8)
    case .apt, .pac, .pkgng: name.starts(with: "choice".utf8)
    }
  }
}

extension PackageProvide {
  /// Bcfg2 does not read continuation lines.
  var isRead: Bool { !flags.contains(.isContinued) }
}
