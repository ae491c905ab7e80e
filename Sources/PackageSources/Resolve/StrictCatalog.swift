/// Which package a name means, and which packages satisfy a relation, for a client: as package tools see it.
///
/// A name means one package, the newest version that a source has for one of the client's architectures; the first source where several have
/// the same. Other versions do not exist. Packages that are blacklisted, or that a module hides, neither exist nor provide.
final class StrictCatalog {
  struct Package {
    let member: Int
    let record: UInt32
    let version: UnsafeRawBufferPointer
  }

  /// A name with what limits it, in the words of one source.
  struct Target {
    var node: Int
    var kind: SourceKind
    var comparison = VersionOperator.none
    var version = UnsafeRawBufferPointer(start: nil, count: 0)
  }

  let nodes: NameNodes
  let collection: PackageCollection
  /// Of each source, which parts are for the client and there.
  private let isForClient: [[Bool]]
  private let excluded: [Set<Int>]
  private let included: [Set<Int>?]
  private var packages: [Int: Package?] = [:]
  /// Answers of `options`, by what was asked.
  private var knownOptions: [OptionsKey: [Int]] = [:]
  /// Rows that were read and packages that were looked for: what a resolution costs.
  var steps = 0

  private struct OptionsKey: Hashable {
    let node: Int
    let kind: SourceKind
    let comparison: VersionOperator
    /// Where the version stands in an index, which stays there.
    let version: UInt
    let versionBytes: Int

    init(_ target: Target) {
      node = target.node
      kind = target.kind
      comparison = target.comparison
      version = UInt(bitPattern: target.version.baseAddress)
      versionBytes = target.version.count
    }
  }

  init(_ collection: PackageCollection) {
    self.collection = collection
    let nodes = NameNodes(collection.members.map(\.index))
    self.nodes = nodes
    isForClient = collection.members.map { member in
      guard let index = member.index else { return [] }
      return (0..<index.partCount).map { row in
        guard let part = index.part(row), !part.flags.contains(.isMissing) else { return false }
        return member.clientArches.contains(index.string(of: part.arch))
      }
    }
    excluded = collection.members.map { Set($0.source.blacklist.map { nodes.node(Array($0.utf8)) }) }
    included = collection.members.map { member in
      member.source.whitelist.isEmpty ? nil : Set(member.source.whitelist.map { nodes.node(Array($0.utf8)) })
    }
  }

  func index(_ member: Int) -> PackageIndex? { collection.members[member].index }
  func kind(_ member: Int) -> SourceKind { collection.members[member].source.kind }

  private func exists(_ record: UInt32, _ index: PackageIndex, _ member: Int) -> Bool {
    let part = index.partOfRecord(record)
    guard part < isForClient[member].count, isForClient[member][part] else { return false }
    return !RecordFlags(rawValue: UInt16((index.number(.records, Int(record), 3) ?? 0) >> 16)).contains(.isHidden)
  }

  private func isAllowed(_ node: Int, _ member: Int) -> Bool {
    !excluded[member].contains(node) && (included[member]?.contains(node) ?? true)
  }

  /// The package that a name means; nil if there is none.
  func package(_ node: Int) -> Package? {
    if let known = packages[node] { return known }
    var best: Package?
    for (member, entry) in collection.members.enumerated() {
      guard let index = entry.index, let text = nodes.text(of: node, in: member), isAllowed(node, member) else {
        continue
      }
      let rows = index.rowsOfRecords(named: text)
      steps += rows.count
      for row in rows {
        let record = index.recordNumber(row)
        guard exists(record, index, member) else { continue }
        let version = index.bytes(of: index.versionOfRecord(record))
        if let best, VersionOrder.compare(entry.source.kind, version, best.version) <= 0 { continue }
        best = Package(member: member, record: record, version: version)
      }
    }
    packages[node] = .some(best)
    return best
  }

  /// Whether some source has the name, allowed or not.
  func isExcluded(_ node: Int) -> Bool {
    for (member, entry) in collection.members.enumerated() {
      guard let index = entry.index, let text = nodes.text(of: node, in: member), !isAllowed(node, member) else {
        continue
      }
      for row in index.rowsOfRecords(named: text) where exists(index.recordNumber(row), index, member) { return true }
    }
    return false
  }

  /// The packages that satisfy a relation, the preferred one first: the package of that name, then those that provide it, the shortest name
  /// first, as yum has it.
  func options(_ target: Target) -> [Int] {
    let key = OptionsKey(target)
    if let known = knownOptions[key] { return known }
    let found = findOptions(target)
    knownOptions[key] = found
    return found
  }

  private func findOptions(_ target: Target) -> [Int] {
    steps += 1
    var found: [Int] = []
    if let real = package(target.node), accepts(real.version, target) { found.append(target.node) }
    let own = found.count
    for (member, entry) in collection.members.enumerated() {
      guard let index = entry.index, let text = nodes.text(of: target.node, in: member) else { continue }
      let rows = index.rowsOfProviders(of: text)
      steps += rows.count
      for row in rows {
        guard let provide = index.provide(index.number(.providersByName, Int(row), 0) ?? .max),
          exists(provide.record.number, index, member), let record = index.record(provide.record)
        else { continue }
        let provider = nodes.node(member, record.name)
        guard provider != target.node || own == 0, let package = package(provider), package.member == member,
          package.record == provide.record.number, satisfies(provide, index, target)
        else { continue }
        found.append(provider)
      }
    }
    if found.count - own > 1 {
      let providers = Set(found[own...]).map { ($0, nodes.name(of: $0)) }.sorted { one, other in
        one.1.count != other.1.count ? one.1.count < other.1.count : isBefore(one.1, other.1)
      }
      found.replaceSubrange(own..., with: providers.map(\.0))
    }
    return found
  }

  private func accepts(_ version: UnsafeRawBufferPointer, _ target: Target) -> Bool {
    target.comparison == .none
      || target.comparison.accepts(VersionOrder.compare(target.kind, version, target.version))
  }

  /// A name that is provided without a version satisfies a relation with one only for rpm. For rpm a provided name may have a range.
  private func satisfies(_ provide: PackageProvide, _ index: PackageIndex, _ target: Target) -> Bool {
    if target.comparison == .none { return true }
    if provide.comparison == .none { return target.kind == .yum }
    let order = VersionOrder.compare(target.kind, index.bytes(of: provide.version), target.version)
    if target.kind != .yum { return target.comparison.accepts(order) }
    if order < 0 { return provide.comparison.reachesUp || target.comparison.reachesDown }
    if order > 0 { return provide.comparison.reachesDown || target.comparison.reachesUp }
    return (provide.comparison.includesEqual && target.comparison.includesEqual)
      || (provide.comparison.reachesUp && target.comparison.reachesUp)
      || (provide.comparison.reachesDown && target.comparison.reachesDown)
  }

  /// The target of a row of relations; nil if it is of an architecture that the client does not have.
  func target(_ member: Int, _ index: PackageIndex, _ row: UInt32) -> Target? {
    guard let relation = index.relation(row) else { return nil }
    let qualifier = index.string(of: relation.qualifier)
    if !["", "any", "native", "all"].contains(qualifier),
      !collection.members.contains(where: { $0.clientArches.contains(qualifier) })
    {
      return nil
    }
    return Target(
      node: nodes.node(member, relation.name), kind: kind(member), comparison: relation.comparison,
      version: index.bytes(of: relation.version))
  }

  /// A row of relations as package tools write it.
  func text(_ member: Int, _ index: PackageIndex, _ row: UInt32) -> String {
    guard let relation = index.relation(row) else { return "" }
    var text = index.string(of: relation.name)
    if relation.qualifier != .none { text += ":" + index.string(of: relation.qualifier) }
    if relation.comparison == .none { return text }
    let limit = "\(relation.comparison.sign(kind(member))) \(index.string(of: relation.version))"
    return kind(member) == .apt ? "\(text) (\(limit))" : "\(text) \(limit)"
  }

  /// Packages for the client that say something of a kind about others, with the rows.
  func relations(_ kind: RelationKind, _ member: Int) -> [(node: Int, rows: [UInt32])] {
    guard let index = index(member) else { return [] }
    var found: [(Int, [UInt32])] = []
    for record in 0..<UInt32(clamping: index.recordCount) where exists(record, index, member) {
      let rows = index.relationsOfRecord(record).filter { index.kindOfRelation($0) == kind }
      if rows.isEmpty { continue }
      let node = nodes.node(member, TextID(index.number(.records, Int(record), 0) ?? 0))
      guard let package = package(node), package.member == member, package.record == record else { continue }
      found.append((node, rows))
    }
    return found
  }

  /// Packages for the client that are marked essential.
  func essentials() -> [Int] {
    var found: Set<Int> = []
    for (member, entry) in collection.members.enumerated() {
      guard let index = entry.index, entry.source.usesEssential else { continue }
      for id in index.essentials {
        guard let record = index.record(id), record.flags.contains(.isEssential), exists(id.number, index, member)
        else {
          continue
        }
        let node = nodes.node(member, record.name)
        if isAllowed(node, member) { found.insert(node) }
      }
    }
    return Array(found)
  }

  /// The packages of a group in all sources; nil if none has the group.
  func group(_ id: UnsafeRawBufferPointer, type: String?) -> [[UInt8]]? {
    var found: [[UInt8]]?
    for (member, entry) in collection.members.enumerated() {
      guard let index = entry.index, let text = index.find(id) else { continue }
      for row in 0..<index.groupCount {
        guard let group = index.group(row), group.id == text, Int(group.part) < isForClient[member].count,
          isForClient[member][Int(group.part)]
        else { continue }
        let names = group.members.compactMap { index.member($0) }.filter { member in
          switch member.kind {
          case .mandatory, .unknown: true
          case .conditional: member.requires == .none
          case .default: ["default", "optional", "all"].contains(type)
          case .optional: ["optional", "all"].contains(type)
          }
        }
        found = (found ?? []) + names.map { Array(index.bytes(of: $0.name)) }
      }
    }
    return found
  }

  /// Repositories for the client that are not there.
  func missingParts() -> [MissingPart] {
    collection.members.enumerated().flatMap { member, entry -> [MissingPart] in
      guard let index = entry.index else {
        return entry.source.parts.filter { entry.clientArches.contains($0.arch) }.map {
          MissingPart(member: member, component: $0.component, arch: $0.arch)
        }
      }
      return (0..<index.partCount).compactMap { row in
        guard let part = index.part(row), part.flags.contains(.isMissing),
          entry.clientArches.contains(index.string(of: part.arch))
        else { return nil }
        return MissingPart(
          member: member, component: index.string(of: part.component), arch: index.string(of: part.arch))
      }
    }
  }
}

extension VersionOperator {
  var reachesUp: Bool { self == .greater || self == .greaterOrEqual }
  var reachesDown: Bool { self == .less || self == .lessOrEqual }
  var includesEqual: Bool { self == .equal || self == .lessOrEqual || self == .greaterOrEqual }
}
