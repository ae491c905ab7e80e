public import Databases

/// What limits a list of runs.
public struct RunFilter: Sendable, Hashable {
  public var server: String?
  public var group: String?
  public var state: String?

  public init() {}

  public var isEmpty: Bool { server == nil && group == nil && state == nil }

  /// Conditions on a run `i`, with their values.
  var conditions: [(sql: String, value: SQLValue)] {
    var conditions: [(sql: String, value: SQLValue)] = []
    if let state { conditions.append(("i.\"state\" = ?", .text(state))) }
    if let server { conditions.append(("i.\"server\" = ?", .text(server))) }
    if let group {
      conditions.append(
        (
          """
          EXISTS (SELECT 1 FROM "Reporting_interaction_groups" ig JOIN "Reporting_group" g ON g."id" = ig."group_id" \
          WHERE ig."interaction_id" = i."id" AND g."name" = ?)
          """, .text(group)
        ))
    }
    return conditions
  }
}

/// The latest runs of clients that are not expired: now or at a time, and some of them only.
public struct RecentRuns: Sendable, Hashable {
  public var time: ReportTime?
  public var filter: RunFilter

  public init(time: ReportTime? = nil, filter: RunFilter = RunFilter()) {
    self.time = time
    self.filter = filter
  }

  /// `FROM ... WHERE ...` for the run `i` of each client `c`: one step in the index of client and time for each.
  ///
  /// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting/models.py, recent_ids.
  func source(for engine: DatabaseEngine) -> (sql: String, values: [SQLValue]) {
    var values: [SQLValue] = []
    var latest = "FROM \"Reporting_interaction\" m WHERE m.\"client_id\" = c.\"id\""
    var conditions = ["c.\"expiration\" IS NULL"]
    if let time {
      latest += " AND m.\"timestamp\" <= ?"
      conditions = ["(c.\"expiration\" IS NULL OR c.\"expiration\" > ?)", "c.\"creation\" <= ?"]
      values += [.text(time.text), .text(time.text), .text(time.text)]
    }
    latest += " ORDER BY m.\"timestamp\" DESC LIMIT 1"
    for (sql, value) in filter.conditions {
      conditions.append(sql)
      values.append(value)
    }
    // PostgreSQL reads all interactions to join them with an id of a subquery; the others have no LATERAL.
    let join =
      engine == .postgresql
      ? "CROSS JOIN LATERAL (SELECT m.* \(latest)) i"
      : "JOIN \"Reporting_interaction\" i ON i.\"id\" = (SELECT m.\"id\" \(latest))"
    return ("FROM \"Reporting_client\" c \(join) WHERE \(conditions.joined(separator: " AND "))", values)
  }
}

/// What lists of runs are sorted by.
public enum RunOrder: String, Sendable, Hashable, CaseIterable {
  case client, state, good, bad, modified, extra, time, server

  var column: String {
    switch self {
    case .client: "c.\"name\""
    case .state, .server: "i.\"\(rawValue)\""
    case .good, .bad, .modified, .extra: "i.\"\(rawValue)_count\""
    case .time: "i.\"timestamp\""
    }
  }
}

/// What is counted of a client's latest run.
public struct RunHealth: Sendable, Hashable {
  public var run: Int64
  public var client: String
  public var timestamp: ReportTime
  public var bad: Int
  public var modified: Int
  public var extra: Int
}

extension ReportStore {
  /// The latest runs in an order, from one on.
  ///
  /// - Throws: `DatabaseError`.
  public func runs(
    _ recent: RecentRuns, by order: RunOrder = .client, descending: Bool = false, limit: Int, offset: Int = 0
  ) throws(DatabaseError) -> [ClientRun] {
    let (from, values) = recent.source(for: database.engine)
    let order = order.column + (descending ? " DESC" : "")
    return try runs(
      "SELECT \(RunQuery.columns()) \(from) ORDER BY \(order), c.\"name\", i.\"id\" LIMIT ? OFFSET ?",
      values + [SQLValue(limit), SQLValue(offset)])
  }

  /// The latest run of each client, in no order and with no more than counts need.
  ///
  /// - Throws: `DatabaseError`.
  public func health(_ recent: RecentRuns) throws(DatabaseError) -> [RunHealth] {
    let (from, values) = recent.source(for: database.engine)
    var all: [RunHealth] = []
    try database.run(
      "SELECT i.\"id\", c.\"name\", i.\"timestamp\", i.\"bad_count\", i.\"modified_count\", i.\"extra_count\" \(from)",
      values
    ) { (row) throws(DatabaseError) in
      let client = row[1].asText ?? ""
      all.append(
        RunHealth(
          run: row[0].asID, client: client, timestamp: try ReportTime(row[2], of: client), bad: row[3].asInt ?? 0,
          modified: row[4].asInt ?? 0, extra: row[5].asInt ?? 0))
      return true
    }
    return all
  }

  /// - Throws: `DatabaseError`.
  public func count(_ recent: RecentRuns) throws(DatabaseError) -> Int {
    let (from, values) = recent.source(for: database.engine)
    return try database.first("SELECT COUNT(*) \(from)", values)?[0].asInt ?? 0
  }

  /// Whether any client was in a group.
  ///
  /// - Throws: `DatabaseError`.
  public func hasGroup(_ name: String) throws(DatabaseError) -> Bool {
    try database.first("SELECT \"id\" FROM \"Reporting_group\" WHERE \"name\" = ?", [.text(name)]) != nil
  }

  /// Metrics of the latest runs, by client.
  ///
  /// - Throws: `DatabaseError`.
  public func performance(
    _ recent: RecentRuns, limit: Int
  ) throws(DatabaseError) -> [(client: String, metrics: [String: Double])] {
    let (from, values) = recent.source(for: database.engine)
    var result: [(client: String, metrics: [String: Double])] = []
    try database.run(
      """
      SELECT r."name", p."metric", p."value" FROM (SELECT i."id", c."name" \(from)) r \
      JOIN "Reporting_performance" p ON p."interaction_id" = r."id" ORDER BY r."name", p."id"
      """, values
    ) { (row) throws(DatabaseError) in
      let name = row[0].asText ?? ""
      if result.last?.client != name {
        if result.count == limit { return false }
        result.append((name, [:]))
      }
      result[result.count - 1].metrics[row[1].asText ?? ""] = row[2].asDouble ?? 0
      return true
    }
    return result
  }

  /// How many runs between two times were in each state. `extraIndexes` has the index for it.
  ///
  /// - Throws: `DatabaseError`.
  public func states(from start: ReportTime, to end: ReportTime) throws(DatabaseError) -> [String: Int] {
    var counts: [String: Int] = [:]
    try database.run(
      """
      SELECT i."state", COUNT(*) FROM "Reporting_interaction" i WHERE i."timestamp" >= ? AND i."timestamp" < ? GROUP BY i."state"
      """, [.text(start.text), .text(end.text)]
    ) { (row) throws(DatabaseError) in
      counts[row[0].asText ?? ""] = row[1].asInt ?? 0
      return true
    }
    return counts
  }
}
