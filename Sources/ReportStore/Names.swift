import Databases

/// A table whose rows are found by their name.
enum NamedTable: String, Hashable, Sendable {
  case client = "Reporting_client"
  case group = "Reporting_group"
  case bundle = "Reporting_bundle"
}

/// Ids of clients, groups, bundles and permissions, which are made if they are missing.
extension ReportStore {
  /// Finds ids of all names, or makes the rows. Within a transaction.
  func findOrMake(_ table: NamedTable, _ names: some Sequence<String>) throws(DatabaseError) {
    // Sorted, so that two processes that make the same do not wait for each other.
    let missing = try unknown(table, names).sorted()
    if missing.isEmpty { return }
    switch table {
    case .client:
      // Clients' names are not unique: their maker is alone.
      let now = SQLValue.text(ReportTime.now().text)
      try insert(table.rawValue, ["creation", "name"], missing.map { [now, .text($0)] })
    case .group:
      try insert(
        table.rawValue, ["name", "profile", "public", "category", "comment"],
        missing.map { [.text($0), false, false, "", ""] }, ignoringOld: true)
    case .bundle: try insert(table.rawValue, ["name"], missing.map { [.text($0)] }, ignoringOld: true)
    }
    // MySQL may find a name that differs in case to be the same.
    for name in try unknown(table, missing) {
      let sql = "SELECT id FROM \"\(table.rawValue)\" WHERE \"name\" = ? ORDER BY id LIMIT 1"
      guard let id = try database.first(sql, [.text(name)])?[0].asInt else {
        throw DatabaseError(.other, "\(table.rawValue): no row of the name \(name) after it was made")
      }
      nameIDs[NameKey(table: table, name: name)] = Int64(id)
    }
  }

  /// Looks names up that are not in the cache, and returns those that are not in the table.
  func unknown(_ table: NamedTable, _ names: some Sequence<String>) throws(DatabaseError) -> [String] {
    var wanted = Set(names.filter { nameIDs[NameKey(table: table, name: $0)] == nil })
    if wanted.isEmpty { return [] }
    let found = try rows(of: wanted.sorted().map(SQLValue.text), "names \(table.rawValue)") { places in
      "SELECT id, \"name\" FROM \"\(table.rawValue)\" WHERE \"name\" IN (\(places)) ORDER BY id DESC"
    }
    for row in found {
      guard let id = row[0].asInt, let name = row[1].asText else { continue }
      // The oldest of several clients of one name comes last, and stays.
      nameIDs[NameKey(table: table, name: name)] = Int64(id)
      wanted.remove(name)
    }
    return Array(wanted)
  }

  func id(_ table: NamedTable, _ name: String) -> SQLValue {
    nameIDs[NameKey(table: table, name: name)].map(SQLValue.integer) ?? .null
  }

  func findOrMake(_ permissions: Set<Permissions>) throws(DatabaseError) {
    let missing = try unknown(permissions)
    if missing.isEmpty { return }
    let sorted = missing.sorted { ($0.owner, $0.group, $0.mode) < ($1.owner, $1.group, $1.mode) }
    try insert(
      "Reporting_fileperms", ["owner", "group", "mode"],
      sorted.map { [.text($0.owner), .text($0.group), .text($0.mode)] }, ignoringOld: true)
    if let first = try unknown(permissions).first {
      throw DatabaseError(.other, "Reporting_fileperms: no row of \(first) after it was made")
    }
  }

  func unknown(_ permissions: Set<Permissions>) throws(DatabaseError) -> [Permissions] {
    var missing: [Permissions] = []
    for one in permissions where permissionIDs[one] == nil {
      let sql = "SELECT id FROM \"Reporting_fileperms\" WHERE \"owner\" = ? AND \"group\" = ? AND \"mode\" = ?"
      if let id = try database.first(sql, [.text(one.owner), .text(one.group), .text(one.mode)])?[0].asInt {
        permissionIDs[one] = Int64(id)
      } else {
        missing.append(one)
      }
    }
    return missing
  }
}
