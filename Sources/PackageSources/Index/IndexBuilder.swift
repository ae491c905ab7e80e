/// Why an index cannot be made.
public enum IndexBuildError: Error, Equatable, CustomStringConvertible {
  /// A table has more rows than the format counts.
  case tooLarge(table: String)
  /// Texts that were made to have one hash: no mirror has them by chance.
  case collidingTexts

  public var description: String {
    switch self {
    case .tooLarge(let table): "the index has too many \(table)"
    case .collidingTexts: "the index has texts that were made to have the same hash"
    }
  }
}

/// The most rows of an index. All together take about 1.2 GB; Debian main has 63,000 packages with 400,000 relations.
public struct IndexLimits: Sendable {
  public var packages = 1 << 22
  /// Of relations, and of provides.
  public var rows = 1 << 24
  public var members = 1 << 22
  public var texts = 1 << 24
  public var textBytes = 1 << 28

  public init() {}
}

/// Collects what a mirror says about packages, and writes it as an index file.
///
/// The calls follow the mirror's files: `beginPart`, then for each package `beginRecord`, its relations and provides. Files of
/// packages, groups and facts come at any time.
public struct IndexBuilder {
  private(set) var texts: TextTable
  private let limits: IndexLimits
  /// Rows of each table as they stand in the file.
  private var parts: [UInt32] = []
  private var records: [UInt32] = []
  private var relations: [UInt32] = []
  private var provides: [UInt32] = []
  private var essentials: [UInt32] = []
  private var groups: [UInt32] = []
  private var members: [UInt32] = []
  private var facts: [UInt32] = []

  /// - Parameter key: `PackageSource.key` of the source.
  public init(key: [UInt8], limits: IndexLimits = IndexLimits()) throws(IndexBuildError) {
    self.limits = limits
    texts = TextTable(limit: limits.texts, limitBytes: limits.textBytes)
    let name = try text("key")
    let value = try text(key)
    facts += [name.number, value.number]
  }

  // MARK: Texts

  /// The number of a text; the same bytes have the same number.
  public mutating func text(_ bytes: UnsafeRawBufferPointer) throws(IndexBuildError) -> TextID {
    try texts.number(of: bytes)
  }

  public mutating func text(_ bytes: [UInt8]) throws(IndexBuildError) -> TextID {
    let result = bytes.withUnsafeBytes { bytes in Result { () throws(IndexBuildError) in try texts.number(of: bytes) } }
    return try result.get()
  }

  public mutating func text(_ text: String) throws(IndexBuildError) -> TextID { try self.text(Array(text.utf8)) }

  /// The number of a text that is already there.
  public func existingText(_ bytes: UnsafeRawBufferPointer) -> TextID? { texts.existing(bytes) }

  /// Reads a text; the pointer is valid within `body`.
  public func withText<Value>(_ id: TextID, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
    texts.withBytes(of: id, body)
  }

  // MARK: Parts and packages

  public var partCount: Int { parts.count / 6 }
  public var recordCount: Int { records.count / 8 }

  /// Begins a repository of the source. Parts come in the order of `PackageSource.parts`.
  /// - Parameter made: seconds since 1970; 0 if the mirror does not say.
  public mutating func beginPart(component: TextID, arch: TextID, flags: PartFlags = [], made: UInt32 = 0) {
    parts += [component.number, arch.number, flags.rawValue, UInt32(recordCount), 0, made]
  }

  /// Begins a package of the part that was begun last.
  public mutating func beginRecord(name: TextID, version: TextID, arch: TextID, flags: RecordFlags = [])
    throws(IndexBuildError) -> RecordID
  {
    guard recordCount < limits.packages else { throw .tooLarge(table: "packages") }
    guard partCount > 0, partCount <= 1 << 16 else { throw .tooLarge(table: "parts") }
    let record = RecordID(UInt32(recordCount))
    records += [
      name.number, version.number, arch.number, UInt32(partCount - 1) | UInt32(flags.rawValue) << 16,
      UInt32(relations.count / 4), 0, UInt32(provides.count / 4), 0,
    ]
    parts[parts.count - 2] += 1
    if !flags.isDisjoint(with: [.isEssential, .saysEssential]) { essentials.append(record.number) }
    return record
  }

  /// Sets flags of the package that was begun last, whose fields come in any order.
  public mutating func setFlags(_ flags: RecordFlags) {
    let row = records.count - 8
    let before = RecordFlags(rawValue: UInt16(truncatingIfNeeded: records[row + 3] >> 16))
    records[row + 3] |= UInt32(flags.rawValue) << 16
    let essential: RecordFlags = [.isEssential, .saysEssential]
    if before.isDisjoint(with: essential), !flags.isDisjoint(with: essential) {
      essentials.append(UInt32(recordCount - 1))
    }
  }

  /// Hides or marks a package of earlier.
  public mutating func setFlags(_ flags: RecordFlags, of record: RecordID) {
    records[Int(record.number) * 8 + 3] |= UInt32(flags.rawValue) << 16
  }

  /// Sets version and architecture of the package that was begun last.
  public mutating func setVersion(_ version: TextID) { records[records.count - 7] = version.number }
  public mutating func setArch(_ arch: TextID) { records[records.count - 6] = arch.number }

  /// Adds a relation, or one alternative of it, to the package that was begun last.
  public mutating func addRelation(
    _ kind: RelationKind, name: TextID, comparison: VersionOperator = .none, version: TextID = .none,
    qualifier: TextID = .none, flags: RelationFlags = []
  ) throws(IndexBuildError) {
    guard relations.count / 4 < limits.rows else { throw .tooLarge(table: "relations") }
    relations += [
      UInt32(kind.rawValue) | UInt32(comparison.rawValue) << 8 | UInt32(flags.rawValue) << 16, name.number,
      version.number, qualifier.number,
    ]
    records[records.count - 3] += 1
  }

  /// Adds a name that the package that was begun last provides.
  public mutating func addProvide(
    name: TextID, comparison: VersionOperator = .none, version: TextID = .none, flags: ProvideFlags = []
  ) throws(IndexBuildError) {
    try appendProvide(name, version, RecordID(UInt32(recordCount - 1)), comparison, flags)
    records[records.count - 1] += 1
  }

  /// Adds a path of a package of earlier.
  public mutating func addFile(_ path: TextID, of record: RecordID) throws(IndexBuildError) {
    // A package's own rows follow each other; its files stand apart and are found by their path only. So a file must not come
    // between two provides of one package.
    try appendProvide(path, .none, record, .none, .isFile)
  }

  private mutating func appendProvide(
    _ name: TextID, _ version: TextID, _ record: RecordID, _ comparison: VersionOperator, _ flags: ProvideFlags
  ) throws(IndexBuildError) {
    guard provides.count / 4 < limits.rows else { throw .tooLarge(table: "provides") }
    provides += [
      name.number, version.number, record.number, UInt32(comparison.rawValue) | UInt32(flags.rawValue) << 16,
    ]
  }

  /// Whether some package requires this name: of files only such are kept.
  public func requiredTexts(where isWanted: (UnsafeRawBufferPointer) -> Bool) -> Set<TextID> {
    var wanted: Set<TextID> = []
    for row in stride(from: 0, to: relations.count, by: 4) {
      let name = TextID(relations[row + 1])
      if !wanted.contains(name), withText(name, isWanted) { wanted.insert(name) }
    }
    return wanted
  }

  /// Name, version and architecture of a package of earlier.
  public func record(_ record: RecordID) -> (name: TextID, version: TextID, arch: TextID) {
    let row = Int(record.number) * 8
    return (TextID(records[row]), TextID(records[row + 1]), TextID(records[row + 2]))
  }

  /// The packages of the part that was begun last.
  public var recordsOfLastPart: Range<UInt32> {
    let start = parts[parts.count - 3]
    return start..<start + parts[parts.count - 2]
  }

  // MARK: Groups and facts

  public mutating func addGroup(id: TextID, name: TextID) {
    groups += [id.number, name.number, UInt32(max(partCount, 1) - 1), UInt32(members.count / 3), 0]
  }

  /// Adds a package to the group that was added last.
  public mutating func addMember(_ name: TextID, _ kind: GroupMember.Kind, requires: TextID = .none)
    throws(IndexBuildError)
  {
    guard members.count / 3 < limits.members else { throw .tooLarge(table: "members of groups") }
    members += [name.number, kind.rawValue, requires.number]
    groups[groups.count - 1] += 1
  }

  /// Adds something about the index itself; `PackageIndex.facts` has it.
  public mutating func addFact(_ name: String, _ value: [UInt8]) throws(IndexBuildError) {
    let name = try text(name)
    let value = try text(value)
    facts += [name.number, value.number]
  }

  // MARK: The file

  /// Returns the bytes of the index file.
  /// - Parameter time: seconds since 1970, for people.
  public func finish(time: Int64) throws(IndexBuildError) -> [UInt8] {
    let count = texts.count
    let byName = Self.sorted(records, stride: 8, texts: count)
    let byProvided = Self.sorted(provides, stride: 4, texts: count)
    var names = [UInt32](repeating: 0, count: count * 4)
    for text in 0..<count {
      names[text * 4] = byName.starts[text]
      names[text * 4 + 1] = byName.starts[text + 1] - byName.starts[text]
      names[text * 4 + 2] = byProvided.starts[text]
      names[text * 4 + 3] = byProvided.starts[text + 1] - byProvided.starts[text]
    }
    let tables: [[UInt32]] = [
      texts.rows, names, texts.slots, parts, records, relations, provides, byName.rows, byProvided.rows, essentials,
      groups, members, facts,
    ]
    var file = [UInt8](repeating: 0, count: IndexFormat.headerSize)
    file.reserveCapacity(IndexFormat.headerSize + tables.reduce(0) { $0 + $1.count * 4 } + texts.bytes.count)
    file.replaceSubrange(0..<8, with: IndexFormat.magic)
    var header = IndexFormat.fixedHeaderSize
    func describe(_ table: IndexTable, bytes: Int) {
      Self.store(UInt64(file.count), in: &file, at: header)
      Self.store(UInt64(bytes / table.stride), in: &file, at: header + 8)
      header += 16
    }
    for (table, rows) in zip(IndexTable.allCases, tables) {
      describe(table, bytes: rows.count * 4)
      #if _endian(little)
        rows.withUnsafeBytes { file.append(contentsOf: $0) }
      #else
        for row in rows { withUnsafeBytes(of: row.littleEndian) { file.append(contentsOf: $0) } }
      #endif
    }
    describe(.bytes, bytes: texts.bytes.count)
    file += texts.bytes
    Self.store(UInt64(IndexFormat.version) | UInt64(IndexTable.allCases.count) << 32, in: &file, at: 8)
    Self.store(UInt64(file.count), in: &file, at: IndexFormat.sizeOffset)
    Self.store(UInt64(bitPattern: time), in: &file, at: IndexFormat.timeOffset)
    let checksum = file.withUnsafeBytes { bytes in
      TextHash.of(UnsafeRawBufferPointer(rebasing: bytes[IndexFormat.fixedHeaderSize...]))
    }
    Self.store(checksum, in: &file, at: IndexFormat.checksumOffset)
    return file
  }

  /// Sorts rows by their first number, a text: row numbers, and where those of each text begin.
  private static func sorted(_ table: [UInt32], stride step: Int, texts: Int) -> (rows: [UInt32], starts: [UInt32]) {
    var starts = [UInt32](repeating: 0, count: texts + 1)
    for row in stride(from: 0, to: table.count, by: step) { starts[Int(table[row]) + 1] += 1 }
    for text in 0..<texts { starts[text + 1] += starts[text] }
    var next = starts
    var rows = [UInt32](repeating: 0, count: table.count / step)
    for row in 0..<rows.count {
      let text = Int(table[row * step])
      rows[Int(next[text])] = UInt32(row)
      next[text] += 1
    }
    return (rows, starts)
  }

  private static func store(_ value: UInt64, in file: inout [UInt8], at place: Int) {
    for byte in 0..<8 { file[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(byte))) }
  }
}
