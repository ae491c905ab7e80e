import Databases

/// Statements of several rows. Their numbers of rows are powers of two, so that few are prepared.
extension ReportStore {
  /// Rows in a statement at most: with 16 columns, fewer values than the 999 that an old SQLite takes.
  static let rowLimit = 32
  /// Values in a list at most.
  static let listLimit = 128

  /// Inserts rows. `flavour` is what to do with rows that are there already.
  func insert(_ table: String, _ columns: [String], _ rows: [[SQLValue]], ignoringOld: Bool = false)
    throws(DatabaseError)
  {
    let limit = columns.count <= 3 ? Self.listLimit : Self.rowLimit
    var start = 0
    while start < rows.count {
      var size = limit
      while size > rows.count - start { size /= 2 }
      let sql = statement("insert \(table)", size) {
        let places = "(" + Array(repeating: "?", count: columns.count).joined(separator: ", ") + ")"
        let names = columns.map { "\"\($0)\"" }.joined(separator: ", ")
        let verb = ignoringOld && database.engine == .mysql ? "INSERT IGNORE" : "INSERT"
        let end = ignoringOld && database.engine != .mysql ? " ON CONFLICT DO NOTHING" : ""
        return "\(verb) INTO \"\(table)\" (\(names)) VALUES "
          + Array(repeating: places, count: size).joined(separator: ", ") + end
      }
      try database.change(sql, Array(rows[start..<start + size].joined()))
      start += size
    }
  }

  /// The rows of a statement that is run once for each part of a list of values. `sql` gets the places, as in `IN (?, ?)`; they
  /// are filled by repeating the last value.
  @discardableResult
  func rows(
    of values: [SQLValue], _ name: String, before: [SQLValue] = [], after: [SQLValue] = [],
    _ sql: (_ places: String) -> String
  ) throws(DatabaseError) -> [Row] {
    var rows: [Row] = []
    var start = 0
    while start < values.count {
      let part = values[start..<min(values.count, start + Self.listLimit)]
      var size = 1
      while size < part.count { size *= 2 }
      let filled = part + Array(repeating: part[part.endIndex - 1], count: size - part.count)
      let text = statement(name, size) { sql(Array(repeating: "?", count: size).joined(separator: ", ")) }
      rows += try database.rows(text, before + filled + after)
      start += part.count
    }
    return rows
  }

  /// The text of a statement, made once.
  func statement(_ name: String, _ rows: Int, _ make: () -> String) -> String {
    let key = StatementKey(name: name, rows: rows)
    if let text = statements[key] { return text }
    let text = make()
    statements[key] = text
    return text
  }
}
