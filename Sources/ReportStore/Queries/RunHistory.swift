public import Databases

/// What only the page of one run needs of it.
public struct RunDetails: Sendable, Hashable {
  public var profile: String?
  public var isDryRun = false
  public var isOnlyImportant = false
}

/// Runs of a client or of all, and what one of them reported besides entries.
extension ReportStore {
  /// Runs, the latest first.
  ///
  /// - Parameter until: the time of the latest.
  /// - Throws: `DatabaseError`.
  public func history(
    _ client: ReportedClient?, _ filter: RunFilter = RunFilter(), until: ReportTime? = nil, limit: Int, offset: Int = 0
  ) throws(DatabaseError) -> [ClientRun] {
    let (from, values) = Self.history(client, filter, until)
    return try runs(
      "SELECT \(RunQuery.columns()) \(from) ORDER BY i.\"timestamp\" DESC, i.\"id\" DESC LIMIT ? OFFSET ?",
      values + [SQLValue(limit), SQLValue(offset)])
  }

  /// - Throws: `DatabaseError`.
  public func historyCount(_ client: ReportedClient?, _ filter: RunFilter) throws(DatabaseError) -> Int {
    let (from, values) = Self.history(client, filter, nil)
    // Without limits the clients need not be looked up.
    let source = client == nil && filter.isEmpty ? "FROM \"Reporting_interaction\" i" : from
    return try database.first("SELECT COUNT(*) \(source)", values)?[0].asInt ?? 0
  }

  private static func history(
    _ client: ReportedClient?, _ filter: RunFilter, _ time: ReportTime?
  ) -> (sql: String, values: [SQLValue]) {
    var conditions = filter.conditions
    if let time { conditions.insert(("i.\"timestamp\" <= ?", .text(time.text)), at: 0) }
    if let client { conditions.insert(("i.\"client_id\" = ?", .integer(client.id)), at: 0) }
    let clause = conditions.isEmpty ? "" : " WHERE " + conditions.map(\.sql).joined(separator: " AND ")
    return (
      "FROM \"Reporting_interaction\" i JOIN \"Reporting_client\" c ON c.\"id\" = i.\"client_id\"" + clause,
      conditions.map(\.value)
    )
  }

  /// A run of a client; nil if it has no such run.
  ///
  /// - Throws: `DatabaseError`.
  public func run(_ id: Int64, of client: ReportedClient) throws(DatabaseError) -> ReportedRun? {
    try runs(
      """
      SELECT \(RunQuery.columns()) FROM "Reporting_interaction" i JOIN "Reporting_client" c ON c."id" = i."client_id" \
      WHERE i."id" = ? AND i."client_id" = ?
      """, [.integer(id), .integer(client.id)]
    ).first?.run
  }

  /// - Throws: `DatabaseError`.
  public func details(of run: ReportedRun) throws(DatabaseError) -> RunDetails {
    let flags = try hasRunFlags() ? "i.\"dry_run\", i.\"only_important\"" : "NULL, NULL"
    let row = try database.first(
      """
      SELECT p."name", \(flags) FROM "Reporting_interaction" i LEFT JOIN "Reporting_group" p ON p."id" = i."profile_id" \
      WHERE i."id" = ?
      """, [.integer(run.id)])
    guard let row else { return RunDetails() }
    return RunDetails(profile: row[0].asText, isDryRun: row[1].asBool, isOnlyImportant: row[2].asBool)
  }

  /// When a run was.
  ///
  /// - Throws: `DatabaseError`.
  public func time(ofRun id: Int64) throws(DatabaseError) -> ReportTime? {
    try database.first("SELECT i.\"timestamp\" FROM \"Reporting_interaction\" i WHERE i.\"id\" = ?", [.integer(id)])?[0]
      .asText.flatMap { ReportTime($0) }
  }

  /// When the client ran next after a run.
  ///
  /// - Throws: `DatabaseError`.
  public func nextTime(after run: ReportedRun, of client: ReportedClient) throws(DatabaseError) -> ReportTime? {
    try database.first(
      "SELECT MIN(i.\"timestamp\") FROM \"Reporting_interaction\" i WHERE i.\"client_id\" = ? AND i.\"timestamp\" > ?",
      [.integer(client.id), .text(run.timestamp.text)])?[0].asText.flatMap { ReportTime($0) }
  }

  /// Names of a run's groups.
  ///
  /// - Throws: `DatabaseError`.
  public func groups(of run: ReportedRun, limit: Int) throws(DatabaseError) -> [String] {
    try names("group", of: run, limit)
  }

  /// Names of a run's bundles.
  ///
  /// - Throws: `DatabaseError`.
  public func bundles(of run: ReportedRun, limit: Int) throws(DatabaseError) -> [String] {
    try names("bundle", of: run, limit)
  }

  private func names(_ kind: String, of run: ReportedRun, _ limit: Int) throws(DatabaseError) -> [String] {
    try database.rows(
      """
      SELECT n."name" FROM "Reporting_interaction_\(kind)s" l JOIN "Reporting_\(kind)" n ON n."id" = l."\(kind)_id" \
      WHERE l."interaction_id" = ? ORDER BY n."name" LIMIT ?
      """, [.integer(run.id), SQLValue(limit)]
    ).map { $0[0].asText ?? "" }
  }

  /// What a run took, by metric.
  ///
  /// - Throws: `DatabaseError`.
  public func performance(
    of run: ReportedRun, limit: Int
  ) throws(DatabaseError) -> [(metric: String, value: Double)] {
    try database.rows(
      "SELECT \"metric\", \"value\" FROM \"Reporting_performance\" WHERE \"interaction_id\" = ? ORDER BY \"id\" LIMIT ?",
      [.integer(run.id), SQLValue(limit)]
    ).map { ($0[0].asText ?? "", $0[1].asDouble ?? 0) }
  }
}
