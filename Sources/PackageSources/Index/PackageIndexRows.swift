/// Rows of the tables.
extension PackageIndex {
  public var partCount: Int { count(.parts) }
  public var recordCount: Int { count(.records) }
  public var groupCount: Int { count(.groups) }

  public func part(_ row: Int) -> IndexPart? {
    guard let component = number(.parts, row, 0), let arch = number(.parts, row, 1), let flags = number(.parts, row, 2),
      let start = number(.parts, row, 3), let length = number(.parts, row, 4), let made = number(.parts, row, 5)
    else { return nil }
    return IndexPart(
      component: TextID(component), arch: TextID(arch), flags: PartFlags(rawValue: flags),
      records: rows(.records, start, length), made: made)
  }

  public func record(_ id: RecordID) -> PackageRecord? {
    let row = Int(id.number)
    guard let name = number(.records, row, 0), let version = number(.records, row, 1),
      let arch = number(.records, row, 2), let place = number(.records, row, 3),
      let relation = number(.records, row, 4), let relations = number(.records, row, 5),
      let provide = number(.records, row, 6), let provides = number(.records, row, 7)
    else { return nil }
    return PackageRecord(
      name: TextID(name), version: TextID(version), arch: TextID(arch), part: UInt16(truncatingIfNeeded: place),
      flags: RecordFlags(rawValue: UInt16(place >> 16)), relations: rows(.relations, relation, relations),
      provides: rows(.provides, provide, provides))
  }

  public func relation(_ row: UInt32) -> PackageRelation? {
    let row = Int(row)
    guard let first = number(.relations, row, 0), let name = number(.relations, row, 1),
      let version = number(.relations, row, 2), let qualifier = number(.relations, row, 3)
    else { return nil }
    return PackageRelation(
      kind: RelationKind(rawValue: UInt8(truncatingIfNeeded: first)) ?? .suggests,
      comparison: VersionOperator(rawValue: UInt8(truncatingIfNeeded: first >> 8)) ?? .none,
      flags: RelationFlags(rawValue: UInt16(first >> 16)), name: TextID(name), version: TextID(version),
      qualifier: TextID(qualifier))
  }

  public func provide(_ row: UInt32) -> PackageProvide? {
    let row = Int(row)
    guard let name = number(.provides, row, 0), let version = number(.provides, row, 1),
      let record = number(.provides, row, 2), let last = number(.provides, row, 3)
    else { return nil }
    return PackageProvide(
      name: TextID(name), version: TextID(version), record: RecordID(record),
      comparison: VersionOperator(rawValue: UInt8(truncatingIfNeeded: last)) ?? .none,
      flags: ProvideFlags(rawValue: UInt16(last >> 16)))
  }

  /// The packages of a name, in the order of the mirror's files.
  public func records(named name: TextID) -> NumberedRows<RecordID> {
    let row = Int(name.number)
    let range = rows(.recordsByName, number(.names, row, 0) ?? 0, number(.names, row, 1) ?? 0)
    return NumberedRows(index: self, table: .recordsByName, range: range) { RecordID($0) }
  }

  /// Rows of `provide` for a name, in the order of the mirror's files; paths of files last.
  public func providers(of name: TextID) -> NumberedRows<UInt32> {
    let row = Int(name.number)
    let range = rows(.providersByName, number(.names, row, 2) ?? 0, number(.names, row, 3) ?? 0)
    return NumberedRows(index: self, table: .providersByName, range: range) { $0 }
  }

  /// The packages that say something about being essential, in the order of the mirror's files.
  public var essentials: NumberedRows<RecordID> {
    let range = rows(.essentials, 0, UInt32(clamping: count(.essentials)))
    return NumberedRows(index: self, table: .essentials, range: range) { RecordID($0) }
  }

  public func group(_ row: Int) -> PackageGroup? {
    guard let id = number(.groups, row, 0), let name = number(.groups, row, 1), let part = number(.groups, row, 2),
      let start = number(.groups, row, 3), let length = number(.groups, row, 4)
    else { return nil }
    return PackageGroup(id: TextID(id), name: TextID(name), part: part, members: rows(.members, start, length))
  }

  public func member(_ row: UInt32) -> GroupMember? {
    let row = Int(row)
    guard let name = number(.members, row, 0), let kind = number(.members, row, 1),
      let requires = number(.members, row, 2)
    else { return nil }
    return GroupMember(
      name: TextID(name), kind: GroupMember.Kind(rawValue: kind) ?? .unknown, requires: TextID(requires))
  }
}

/// Numbers that stand one after the other in a table of an index.
public struct NumberedRows<Number>: RandomAccessCollection {
  let index: PackageIndex
  let table: IndexTable
  let range: Range<UInt32>
  let make: (UInt32) -> Number

  public var startIndex: Int { Int(range.lowerBound) }
  public var endIndex: Int { Int(range.upperBound) }
  public subscript(position: Int) -> Number { make(index.number(table, position, 0) ?? .max) }
}
