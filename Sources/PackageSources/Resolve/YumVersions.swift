/// What Bcfg2 1.4 makes of several versions of a package in one yum source, seen as a whole.
///
/// It reads the files in order and leaves out a package that is older than the last one of its name that it took; epoch, version and
/// release are compared each by itself. The table of versions is new for each file, the table of names is not: a name that another
/// file of the same architecture had already ends the reading with an exception, and the source stays as it was then, without
/// packages, with what they provide. Source: Yum.py, YumSource.parse_primary.
struct YumVersions {
  /// Records that are left out.
  private(set) var skipped: Set<UInt32> = []
  /// The record at which the reading ended.
  private(set) var brokenAt: UInt32?

  init(_ index: PackageIndex, arches: [Int]) {
    for text in 0..<UInt32(clamping: index.textCount) {
      let range = index.rowsOfRecords(named: TextID(text))
      if range.count > 1 { read(index, range, arches) }
    }
  }

  private mutating func read(_ index: PackageIndex, _ rows: Range<UInt32>, _ arches: [Int]) {
    // The last record that was taken, of each architecture.
    var taken: [(arch: Int, part: Int, record: UInt32)] = []
    for row in rows {
      guard let number = index.number(.recordsByName, Int(row), 0), number < brokenAt ?? .max else { continue }
      let part = index.partOfRecord(number)
      guard part < arches.count else { continue }
      let arch = arches[part]
      guard let place = taken.firstIndex(where: { $0.arch == arch }) else {
        taken.append((arch, part, number))
        continue
      }
      guard taken[place].part == part, let isOlder = isOlder(index, number, than: taken[place].record) else {
        brokenAt = number
        return
      }
      if isOlder { skipped.insert(number) } else { taken[place].record = number }
    }
  }

  private func isOlder(_ index: PackageIndex, _ record: UInt32, than other: UInt32) -> Bool? {
    let one = VersionPieces(index.bytes(of: index.versionOfRecord(record)))
    let other = VersionPieces(index.bytes(of: index.versionOfRecord(other)))
    for (first, second) in [(one.epoch, other.epoch), (one.version, other.version), (one.release, other.release)] {
      guard let order = Bcfg2VersionOrder.compare(first, second) else { return nil }
      if order < 0 { return true }
    }
    return false
  }

  /// Whether Bcfg2 read this record and took it.
  @inline(__always)
  func isTaken(_ record: UInt32) -> Bool {
    record < brokenAt ?? .max && (skipped.isEmpty || !skipped.contains(record))
  }
}

/// Single numbers of rows, for loops that need no more.
extension PackageIndex {
  @inline(__always)
  func rowsOfRecords(named text: TextID) -> Range<UInt32> {
    let row = Int(text.number)
    return rows(.recordsByName, number(.names, row, 0) ?? 0, number(.names, row, 1) ?? 0)
  }

  @inline(__always)
  func rowsOfProviders(of text: TextID) -> Range<UInt32> {
    let row = Int(text.number)
    return rows(.providersByName, number(.names, row, 2) ?? 0, number(.names, row, 3) ?? 0)
  }

  @inline(__always)
  func recordNumber(_ row: UInt32) -> UInt32 { number(.recordsByName, Int(row), 0) ?? .max }

  @inline(__always)
  func partOfRecord(_ record: UInt32) -> Int { Int((number(.records, Int(record), 3) ?? .max) & 0xffff) }

  func versionOfRecord(_ record: UInt32) -> TextID { TextID(number(.records, Int(record), 1) ?? 0) }

  @inline(__always)
  func relationsOfRecord(_ record: UInt32) -> Range<UInt32> {
    rows(.relations, number(.records, Int(record), 4) ?? 0, number(.records, Int(record), 5) ?? 0)
  }
}
