import Databases

/// Ids of entries' rows: equal entries of all clients share one.
extension ReportStore {
  /// Finds the rows, or makes them. Their permissions are known. Within a transaction.
  func findOrMake(_ rows: some Sequence<EntryRow>) throws(DatabaseError) {
    var byKind: [EntryKind: [EntryKey: EntryRow]] = [:]
    for row in rows where entryIDs[row.key] == nil { byKind[row.kind, default: [:]][row.key] = row }
    for kind in EntryKind.allCases {
      guard let wanted = byKind[kind] else { continue }
      let missing = try foreign(kind, try unknown(kind, wanted))
      if missing.isEmpty { continue }
      try make(kind, missing)
      if let lost = try unknown(kind, Dictionary(uniqueKeysWithValues: missing.map { ($0.key, $0) })).first {
        throw DatabaseError(.other, "\(kind.table): no row of hash \(lost.key.hash) after it was made")
      }
    }
  }

  /// Looks rows up by their hash and compares them, and returns those that are not there.
  private func unknown(_ kind: EntryKind, _ wanted: [EntryKey: EntryRow]) throws(DatabaseError) -> [EntryRow] {
    var left: [Int64: [EntryRow]] = [:]
    for row in wanted.values { left[row.key.hash, default: []].append(row) }
    let found = try rows(of: left.keys.sorted().map(SQLValue.integer), "find \(kind.table)") {
      query(kind, "hash_key", $0)
    }
    for row in found {
      guard let id = row[0].asInt, let hash = row[1].asInt, let candidates = left[Int64(hash)] else { continue }
      guard let place = candidates.firstIndex(where: { isEqual($0, row) }) else { continue }
      entryIDs[candidates[place].key] = Int64(id)
      left[Int64(hash)]?.remove(at: place)
    }
    // In the order of their hashes: two processes that make the same do not wait for each other.
    return left.values.joined().sorted { $0.key.hash < $1.key.hash }
  }

  /// Looks rows up by their names, among those that a Python server has made: its hashes are others. Returns those that are not
  /// there. Paths are not looked up: Bcfg2 makes a row for each time that one is reported.
  private func foreign(_ kind: EntryKind, _ wanted: [EntryRow]) throws(DatabaseError) -> [EntryRow] {
    guard kind != .path, !wanted.isEmpty,
      let name = EntryColumns.of(kind).firstIndex(where: { $0.name == "name" })
    else { return wanted }
    var left = Dictionary(grouping: wanted) { $0.values[name] }
    let names = left.keys.compactMap(\.asText).sorted().map(SQLValue.text)
    let found = try rows(of: names, "find \(kind.table) by name") { query(kind, "name", $0) }
    for row in found {
      guard let id = row[0].asInt, let candidates = left[row[name + 2]],
        let place = candidates.firstIndex(where: { isEqual($0, row) })
      else { continue }
      entryIDs[candidates[place].key] = Int64(id)
      left[row[name + 2]]?.remove(at: place)
    }
    return left.values.joined().sorted { $0.key.hash < $1.key.hash }
  }

  private func query(_ kind: EntryKind, _ column: String, _ places: String) -> String {
    var columns = ["id", "hash_key"] + EntryColumns.of(kind).map(\.name)
    if kind == .path { columns += ["target_perms_id", "current_perms_id"] }
    let list = columns.map { "e.\"\($0)\"" }.joined(separator: ", ")
    let link =
      kind == .path
      ? (
        ", l.\"target_path\", l.\"current_path\"",
        " LEFT JOIN \"Reporting_linkentry\" l ON l.\"pathentry_ptr_id\" = e.id"
      ) : ("", "")
    return
      "SELECT \(list)\(link.0) FROM \"\(kind.table)\" e\(link.1) WHERE e.\"\(column)\" IN (\(places)) ORDER BY e.id"
  }

  /// Whether a row that was read has the columns of one that is wanted.
  private func isEqual(_ wanted: EntryRow, _ row: Row) -> Bool {
    let columns = EntryColumns.of(wanted.kind)
    for (index, column) in columns.enumerated() {
      let value = wanted.values[index]
      let stored = row[index + 2]
      if value.isNull != stored.isNull { return false }
      if value.isNull { continue }
      switch column.kind {
      case .bool: if value.asBool != stored.asBool { return false }
      case .integer: if value.asInt != stored.asInt { return false }
      default: if value.asText != stored.asText { return false }
      }
    }
    guard wanted.kind == .path else { return true }
    let end = columns.count + 2
    return row[end].asInt.map(Int64.init) == wanted.target.flatMap { permissionIDs[$0] }
      && row[end + 1].asInt.map(Int64.init) == wanted.current.flatMap { permissionIDs[$0] }
      && row[end + 2].asText == wanted.link?.target && row[end + 3].asText == wanted.link?.current
  }

  private func make(_ kind: EntryKind, _ rows: [EntryRow]) throws(DatabaseError) {
    var columns = ["hash_key"] + EntryColumns.of(kind).map(\.name)
    if kind == .path { columns += ["target_perms_id", "current_perms_id"] }
    try insert(
      kind.table, columns,
      rows.map { row in
        [SQLValue.integer(row.key.hash)] + row.values
          + [row.target, row.current].compactMap { $0.map { SQLValue.integer(permissionIDs[$0] ?? 0) } }
      })
    try count(rows.count, in: kind.table)
    let links = rows.filter { $0.link != nil }
    if links.isEmpty { return }
    // The rows of links need the ids of their paths, which are told from older ones by having no row yet.
    var left = Dictionary(grouping: links, by: \.key.hash)
    var made: [[SQLValue]] = []
    let paths = try self.rows(of: left.keys.sorted().map(SQLValue.integer), "links without rows") { places in
      "SELECT e.id, e.\"hash_key\" FROM \"Reporting_pathentry\" e LEFT JOIN \"Reporting_linkentry\" l"
        + " ON l.\"pathentry_ptr_id\" = e.id WHERE e.\"hash_key\" IN (\(places)) AND l.\"pathentry_ptr_id\" IS NULL"
        + " AND e.\"path_type\" IN ('symlink', 'hardlink') ORDER BY e.id DESC"
    }
    for row in paths {
      guard let hash = row[1].asInt, let link = left[Int64(hash)]?.popLast()?.link else { continue }
      made.append([row[0], .text(link.target), .text(link.current)])
    }
    try insert("Reporting_linkentry", ["pathentry_ptr_id", "target_path", "current_path"], made)
    try count(made.count, in: "Reporting_linkentry")
  }

  /// Has PostgreSQL look at a table into which many rows came, and again when as many more have come. Until then it takes the table
  /// for a small one, and reads all of it for each list of hashes.
  private func count(_ made: Int, in table: String) throws(DatabaseError) {
    guard database.engine == .postgresql else { return }
    var rows = madeRows[table] ?? (count: 0, next: Self.analyzedRows)
    rows.count += made
    if rows.count >= rows.next {
      try database.execute(["ANALYZE \"\(table)\""])
      rows.next = rows.count * 2
    }
    madeRows[table] = rows
  }
}
