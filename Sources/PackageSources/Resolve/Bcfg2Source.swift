/// The versions of Bcfg2 whose resolution there is.
public enum Bcfg2Version: Sendable { case version13, version14 }

/// One source of a collection as a version of Bcfg2 sees it: which names are packages, and what counts for which architecture.
///
/// Bcfg2 makes tables of whole sources when it reads them; here each answer is derived from the records of one name.
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages/{Source,Apt,Yum,Pac,Pkgng}.py, 1.3.4 and 1.4.
final class Bcfg2Source {
  let member: Int
  let kind: SourceKind
  let version: Bcfg2Version
  /// Nil if nothing of the source counts.
  let index: PackageIndex?
  let usesRecommended: Bool
  let usesEssential: Bool

  /// The architectures that files of the source were read for, in its order.
  let readArches: [String]
  /// The client's architectures in the order of the source: the place in `readArches`, nil for one that no file was read for.
  let clientArches: [(name: String, place: Int?)]
  /// The architecture of each part of the index; -1 for a part that is not read.
  let partArches: [Int]
  /// Only yum of 1.4.
  let versions: YumVersions?
  /// Whether the whole source failed to load.
  let isBroken: Bool
  /// Only yum: the paths that packages of the source require, once they were asked for.
  var neededPaths: Set<TextID>?
  let collection: PackageCollection
  private let excluded: Set<Int>
  private let included: Set<Int>?

  init(_ collection: PackageCollection, _ member: Int, _ version: Bcfg2Version, _ nodes: NameNodes) {
    let entry = collection.members[member]
    let source = entry.source
    self.member = member
    self.version = version
    self.collection = collection
    neededPaths = collection.neededPaths[NeededPathsKey(member: member, version: version)]
    kind = source.kind
    usesRecommended = source.usesRecommended
    usesEssential = source.usesEssential
    excluded = Set(source.blacklist.map { nodes.node(Array($0.utf8)) })
    included = source.whitelist.isEmpty ? nil : Set(source.whitelist.map { nodes.node(Array($0.utf8)) })

    var arches: [String] = []
    var partArches: [Int] = []
    var isComplete = entry.index != nil
    if let index = entry.index {
      // With `rawurl` the one list of apt and pkgng counts for the first architecture.
      let isOne = !source.rawURL.isEmpty && kind != .yum
      for row in 0..<index.partCount {
        guard let part = index.part(row), !(isOne && row > 0) else {
          partArches.append(-1)
          continue
        }
        let isMissing = part.flags.contains(.isMissing)
        if isMissing { isComplete = false }
        // A yum repository without its list of files counts as none; its architecture was not read.
        if kind == .yum, isMissing {
          partArches.append(-1)
          continue
        }
        let arch = index.string(of: part.arch)
        let place = arches.firstIndex(of: arch)
        partArches.append(place ?? arches.count)
        if place == nil { arches.append(arch) }
      }
    }
    // Sources of several files are read whole or not at all, but for yum's.
    isBroken = kind == .yum ? entry.index == nil : !isComplete || (kind == .pac && !source.rawURL.isEmpty)
    if isBroken { arches = [] }
    index = isBroken ? nil : entry.index
    self.partArches = partArches
    readArches = arches
    clientArches = entry.clientArches.map { name in (name, arches.firstIndex(of: name)) }
    versions =
      kind == .yum && version == .version14
      ? entry.index.map { index in
        if let known = collection.yumVersions[member] { return known }
        let made = YumVersions(index, arches: partArches)
        collection.yumVersions[member] = made
        return made
      } : nil
  }

  /// The architecture of a record; nil if it is of a part that is not read.
  @inline(__always)
  func arch(of record: UInt32, _ index: PackageIndex) -> Int? {
    let part = index.partOfRecord(record)
    guard part < partArches.count, partArches[part] >= 0 else { return nil }
    return partArches[part]
  }

  /// Whether a record counts at all: its part was read, and 1.4 did not leave it out.
  @inline(__always)
  func counts(_ record: UInt32, _ index: PackageIndex) -> Bool {
    arch(of: record, index) != nil && (versions?.isTaken(record) ?? true)
  }

  // MARK: Packages

  /// Whether the source has a package of this name: of any architecture.
  func isPackage(_ node: Int, _ nodes: NameNodes) throws(ResolutionFailure) -> Bool {
    if kind == .yum {
      if isBroken {
        // The table of all packages is not there.
        if version == .version13 { throw ResolutionFailure(missingKey: "global") }
        return false
      }
      if versions?.brokenAt != nil { return false }
    }
    guard let index, let text = nodes.text(of: node, in: member), hasRecord(index, text) else {
      // 1.3.4 then looks into the client's first architecture, which may not have been read.
      if kind == .yum, version == .version13, let first = clientArches.first, first.place == nil {
        throw ResolutionFailure(missingKey: first.name)
      }
      return false
    }
    return !excluded.contains(node) && (included?.contains(node) ?? true)
  }

  private func hasRecord(_ index: PackageIndex, _ text: TextID) -> Bool {
    for row in index.rowsOfRecords(named: text) where arch(of: index.recordNumber(row), index) != nil { return true }
    return false
  }
}
