import Databases

/// Indexes that Bcfg2's tables lack. Django's bookkeeping does not name them, and Bcfg2's programs take no notice of them.
extension ReportStore {
  /// The chart of the front page counts the runs of days by state.
  static let extraIndexes = [
    Index(
      table: "Reporting_interaction", columns: ["timestamp", "state"], isUnique: false,
      name: "bcfg2_interaction_timestamp_state")
  ]

  /// Makes the indexes that are missing. A user who may not is no error: pages are only slower then.
  ///
  /// - Returns: whether one was made.
  func makeExtraIndexes() throws(DatabaseError) -> Bool {
    if try missingIndexes().isEmpty { return false }
    do throws(DatabaseError) {
      return try alone("schema") { () throws(DatabaseError) in
        let dialect = Dialect(engine: database.engine)
        let missing = try missingIndexes()
        try database.execute(missing.map(dialect.create))
        return !missing.isEmpty
      }
    } catch  where error.kind == .denied {
      return false
    }
  }

  private func missingIndexes() throws(DatabaseError) -> [Index] {
    let names =
      switch database.engine {
      case .sqlite: "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
      case .postgresql: "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename = ?"
      case .mysql:
        "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ?"
      }
    var missing: [Index] = []
    for index in Self.extraIndexes {
      let found = try database.rows(names, [.text(index.table)])
      if !found.contains(where: { $0[0].asText == index.name }) { missing.append(index) }
    }
    return missing
  }
}
