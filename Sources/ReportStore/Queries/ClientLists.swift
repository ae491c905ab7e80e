public import Databases

/// Clients, the expired ones too, without their runs.
extension ReportStore {
  /// The client of a name, the oldest of several. Names have no index in Bcfg2's tables: this reads the table of clients.
  ///
  /// - Throws: `DatabaseError`.
  public func client(named name: String) throws(DatabaseError) -> ReportedClient? {
    try clients("WHERE \(isOfBytes("c.\"name\"")) ORDER BY c.\"id\" LIMIT 1", [.text(name)]).first
  }

  /// Clients by name, from one on.
  ///
  /// - Throws: `DatabaseError`.
  public func clients(limit: Int, offset: Int) throws(DatabaseError) -> [ReportedClient] {
    try clients("ORDER BY c.\"name\", c.\"id\" LIMIT ? OFFSET ?", [SQLValue(limit), SQLValue(offset)])
  }

  /// Clients whose names contain a text, in upper or lower case.
  ///
  /// - Throws: `DatabaseError`.
  public func clients(like text: String, limit: Int) throws(DatabaseError) -> [ReportedClient] {
    try clients(
      "WHERE LOWER(c.\"name\") LIKE ? ESCAPE '!' ORDER BY c.\"name\", c.\"id\" LIMIT ?",
      [.text(Self.pattern(text)), SQLValue(limit)])
  }

  private func clients(_ rest: String, _ values: [SQLValue]) throws(DatabaseError) -> [ReportedClient] {
    let columns = RunQuery.clientColumns.joined(separator: ", ")
    return try database.rows("SELECT \(columns) FROM \"Reporting_client\" c \(rest)", values).map(ReportedClient.init)
  }

  /// How many clients there are.
  ///
  /// - Throws: `DatabaseError`.
  public func clientCount() throws(DatabaseError) -> Int {
    try database.first("SELECT COUNT(*) FROM \"Reporting_client\"")?[0].asInt ?? 0
  }

  /// Marks clients of a name as expired, or takes the mark away.
  ///
  /// - Returns: whether there is such a client.
  /// - Throws: `DatabaseError`.
  public func setExpiration(_ time: ReportTime?, ofClients name: String) throws(DatabaseError) -> Bool {
    let changed = try database.change(
      "UPDATE \"Reporting_client\" SET \"expiration\" = ? WHERE \(isOfBytes("\"name\""))",
      [SQLValue(time?.text), .text(name)])
    // MySQL counts no row that had the value already.
    if changed > 0 { return true }
    return try client(named: name) != nil
  }

  /// The condition that a column has the bytes of a value. Tables that Bcfg2 made in MySQL find names equal that differ in case.
  private func isOfBytes(_ column: String) -> String {
    database.engine == .mysql ? "CAST(CONVERT(\(column) USING utf8mb4) AS BINARY) = CAST(? AS BINARY)" : "\(column) = ?"
  }

  /// For LIKE, with `!` before its signs.
  static func pattern(_ text: String) -> String {
    var pattern = "%"
    for character in text.lowercased() {
      if "!%_".contains(character) { pattern.append("!") }
      pattern.append(character)
    }
    return pattern + "%"
  }
}
