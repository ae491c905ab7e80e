/// What a package needs, as a version of Bcfg2 reads it.
extension Bcfg2Source {
  /// Has `run` require what a package of this source needs.
  /// - Parameter recommended: what the client's entry says; nil leaves it to the source.
  func requireDependencies(of node: Int, recommended: Bool?, _ run: Bcfg2Run) throws(ResolutionFailure) {
    guard let index, let text = run.nodes.text(of: node, in: member) else { return }
    let wantsRecommended = version == .version14 && recommended ?? usesRecommended
    // 1.4 has no table of recommendations for yum.
    if wantsRecommended, kind == .yum { throw ResolutionFailure(missingKey: "global") }
    if kind == .apt || kind == .pkgng, readArches.count == 1 {
      // The one architecture's dependencies are those of all; 1.4 looks into the client's nevertheless.
      if version == .version14, let unread = clientArches.first(where: { $0.place == nil }) {
        throw ResolutionFailure(missingKey: unread.name)
      }
      require(index, text, node, 0, wantsRecommended, run)
      return
    }
    for (name, place) in clientArches {
      guard let arch = place else { throw ResolutionFailure(missingKey: name) }
      let isThere = require(index, text, node, arch, wantsRecommended, run)
      // 1.3.4 takes those of the client's first architecture: of a yum source, the first that has the package.
      if version == .version13, isThere || kind != .yum { return }
    }
  }

  /// - Returns: whether the architecture has the package.
  @discardableResult
  private func require(
    _ index: PackageIndex, _ text: TextID, _ node: Int, _ arch: Int, _ wantsRecommended: Bool, _ run: Bcfg2Run
  ) -> Bool {
    guard let record = lastRecord(index, text, arch) else { return false }
    switch kind {
    case .apt: requireOfDebian(index, record, node, arch, wantsRecommended, run)
    case .pac:
      // 1.3.4 reads names only.
      if version == .version14 { requirePlain(index, record, wantsRecommended, run) }
    case .yum, .pkgng: requirePlain(index, record, false, run)
    }
    return true
  }

  /// The record whose dependencies count: the last one of the architecture that counts at all.
  private func lastRecord(_ index: PackageIndex, _ text: TextID, _ arch: Int) -> UInt32? {
    for row in index.rowsOfRecords(named: text).reversed() {
      let record = index.recordNumber(row)
      guard self.arch(of: record, index) == arch, versions?.isTaken(record) ?? true else { continue }
      // pkgng: a later version without dependencies leaves those of an earlier one.
      if kind == .pkgng, index.relationsOfRecord(record).isEmpty { continue }
      return record
    }
    return nil
  }

  private func requirePlain(_ index: PackageIndex, _ record: UInt32, _ wantsRecommended: Bool, _ run: Bcfg2Run) {
    for row in index.relationsOfRecord(record) {
      switch index.kindOfRelation(row) {
      case .depends, .preDepends: run.require(run.nodes.node(member, index.nameOfRelation(row)))
      case .recommends where wantsRecommended: run.require(run.nodes.node(member, index.nameOfRelation(row)))
      default: break
      }
    }
  }

  // MARK: apt

  /// Requires the plain names of the fields, then their alternatives.
  ///
  /// An alternative `a | b` is a name of its own for Bcfg2, `choice-PACKAGE-ARCH-NUMBER`, which `a` and `b` provide. Numbers begin with
  /// 0 in each field, so the alternatives of a later field take the place of those of an earlier one, in the order of the file.
  private func requireOfDebian(
    _ index: PackageIndex, _ record: UInt32, _ node: Int, _ arch: Int, _ wantsRecommended: Bool, _ run: Bcfg2Run
  ) {
    run.choices.removeAll(keepingCapacity: true)
    let wanted = scanDebian(index, record, &run.choices) { kind, row in
      if kind != .recommends || wantsRecommended || version == .version13 { run.require(debianNode(index, row, run)) }
    }
    let needed = wantsRecommended || version == .version13 ? max(wanted.hard, wanted.soft) : wanted.hard
    for number in 0..<min(needed, run.choices.count) {
      if let provider = provider(index, ofChoice: number, run.choices[number], node, arch, run) {
        run.require(provider)
      }
    }
  }

  /// Reads the fields of a record that count: calls `plain` for a name that stands alone, and notes where the alternatives of each
  /// number begin, of the last field that has as many.
  /// - Returns: the most alternatives of a field, without and with Recommends.
  private func scanDebian(
    _ index: PackageIndex, _ record: UInt32, _ choices: inout [UInt32], _ plain: (RelationKind, UInt32) -> Void
  ) -> (hard: Int, soft: Int) {
    var field: RelationKind?
    var count = 0
    var most = (hard: 0, soft: 0)
    var isInside = false
    for row in index.relationsOfRecord(record) {
      let kind = index.kindOfRelation(row)
      guard isRead(kind) else {
        isInside = false
        continue
      }
      let flags = index.flagsOfRelation(row)
      if flags.contains(.isContinued) {
        isInside = false
        continue
      }
      if kind != field {
        field = kind
        count = 0
        isInside = false
      }
      let hasNext = flags.contains(.orNext)
      if isInside {
        isInside = hasNext
        continue
      }
      guard hasNext else {
        plain(kind, row)
        continue
      }
      isInside = true
      if count < choices.count { choices[count] = row } else { choices.append(row) }
      count += 1
      if kind == .recommends { most.soft = max(most.soft, count) } else { most.hard = max(most.hard, count) }
    }
    return most
  }

  /// 1.3.4 reads Recommends only of a source with `recommended="true"`, and as dependencies then.
  private func isRead(_ kind: RelationKind) -> Bool {
    switch kind {
    case .depends, .preDepends: true
    case .recommends: version == .version14 || usesRecommended
    default: false
    }
  }

  /// The name as Bcfg2 has it: 1.4 removes `:any`, 1.3.4 nothing.
  private func debianNode(_ index: PackageIndex, _ row: UInt32, _ run: Bcfg2Run) -> Int {
    let qualifier = index.qualifierOfRelation(row)
    let name = index.nameOfRelation(row)
    if qualifier == .none || (version == .version14 && isAny(index.bytes(of: qualifier))) {
      return run.nodes.node(member, name)
    }
    return run.node(index.bytes(of: name), qualifier: index.bytes(of: qualifier))
  }

  /// The one name that provides a choice in all sources; nil if several do, which Bcfg2 takes as satisfied.
  private func provider(
    _ index: PackageIndex, ofChoice number: Int, _ row: UInt32, _ node: Int, _ arch: Int, _ run: Bcfg2Run
  ) -> Int? {
    guard let only = onlyAlternative(index, row, run) else { return nil }
    // Packages of one name in several sources share their choices.
    for source in run.sources where source.kind == .apt && source.member != member {
      guard let index = source.index, let arch = source.readArches.firstIndex(of: readArches[arch]),
        let text = run.nodes.text(of: node, in: source.member)
      else { continue }
      for row in source.rowsOfChoice(index, text, arch, number) {
        guard source.onlyAlternative(index, row, run) == only else { return nil }
      }
    }
    return only
  }

  /// Where the alternatives of a number stand that this source has for a package; empty if it has none.
  private func rowsOfChoice(_ index: PackageIndex, _ text: TextID, _ arch: Int, _ number: Int) -> [UInt32] {
    for row in index.rowsOfRecords(named: text).reversed() {
      let record = index.recordNumber(row)
      guard self.arch(of: record, index) == arch else { continue }
      var choices: [UInt32] = []
      _ = scanDebian(index, record, &choices) { _, _ in }
      // An earlier version with more alternatives leaves those that later ones do not replace.
      if number < choices.count { return [choices[number]] }
    }
    return []
  }

  /// The name of all alternatives from a row on; nil if there are two.
  private func onlyAlternative(_ index: PackageIndex, _ row: UInt32, _ run: Bcfg2Run) -> Int? {
    var row = row
    let first = (index.nameOfRelation(row), index.qualifierOfRelation(row))
    while index.flagsOfRelation(row).contains(.orNext) {
      row += 1
      // Names differ nearly always, which needs no look-up.
      if index.nameOfRelation(row) != first.0 { return nil }
      let qualifier = index.qualifierOfRelation(row)
      if qualifier != first.1, !(version == .version14 && isAnyOrNone(index, qualifier) && isAnyOrNone(index, first.1))
      {
        return nil
      }
    }
    return debianNode(index, row, run)
  }

  private func isAnyOrNone(_ index: PackageIndex, _ qualifier: TextID) -> Bool {
    qualifier == .none || isAny(index.bytes(of: qualifier))
  }
}

/// Whether a qualifier is `any`.
func isAny(_ qualifier: UnsafeRawBufferPointer) -> Bool {
  qualifier.count == 3 && qualifier[0] == UInt8(ascii: "a") && qualifier[1] == UInt8(ascii: "n")
    && qualifier[2] == UInt8(ascii: "y")
}

extension PackageIndex {
  @inline(__always)
  func nameOfRelation(_ row: UInt32) -> TextID { TextID(number(.relations, Int(row), 1) ?? 0) }

  @inline(__always)
  func qualifierOfRelation(_ row: UInt32) -> TextID { TextID(number(.relations, Int(row), 3) ?? 0) }

  @inline(__always)
  func kindOfRelation(_ row: UInt32) -> RelationKind {
    RelationKind(rawValue: UInt8(truncatingIfNeeded: number(.relations, Int(row), 0) ?? 3)) ?? .suggests
  }

  @inline(__always)
  func flagsOfRelation(_ row: UInt32) -> RelationFlags {
    RelationFlags(rawValue: UInt16((number(.relations, Int(row), 0) ?? 0) >> 16))
  }
}
