import Databases

/// Indexes that Bcfg2's tables lack.
extension ReportStore {
  static let extraIndexes = ReportTables.all.flatMap(\.extraIndexes)

  /// Makes the indexes that are missing. A user who may not is no error: pages are only slower then.
  ///
  /// - Returns: whether one was made.
  func makeExtraIndexes() throws(DatabaseError) -> Bool {
    if try missingIndexes().isEmpty { return false }
    do throws(DatabaseError) {
      return try alone("schema") { () throws(DatabaseError) in
        let missing = try missingIndexes()
        try database.execute(missing.map(SQLDialect(engine: database.engine).create))
        return !missing.isEmpty
      }
    } catch  where error.kind == .denied {
      return false
    }
  }

  private func missingIndexes() throws(DatabaseError) -> [SQLIndex] {
    let names = SQLDialect(engine: database.engine).indexNames
    var missing: [SQLIndex] = []
    for index in Self.extraIndexes {
      let found = try database.rows(names, [.text(index.table)])
      if !found.contains(where: { $0[0].asText == index.name }) { missing.append(index) }
    }
    return missing
  }
}
