import Databases

/// A run of a client, as lists show it.
struct Run {
  var id: Int
  var client: String
  var clientID: Int
  /// As the database has it.
  var time: String
  var state: String
  var good: Int
  var total: Int
  var bad: Int
  var modified: Int
  var extra: Int
  var server: String
  var revision: String
  var isDryRun: Bool
  var isOnlyImportant: Bool
  var profile: String?

  /// The columns of a run `i` of the client `c`.
  static let columns = """
    i."id", c."name", c."id", i."timestamp", i."state", i."good_count", i."total_count", i."bad_count", i."modified_count", \
    i."extra_count", i."server", i."repo_rev_code", i."dry_run", i."only_important"
    """

  init(_ row: Row) {
    id = row[0].asInt ?? 0
    client = row[1].asText ?? ""
    clientID = row[2].asInt ?? 0
    time = row[3].asText ?? ""
    state = row[4].asText ?? ""
    good = row[5].asInt ?? 0
    total = row[6].asInt ?? 0
    bad = row[7].asInt ?? 0
    modified = row[8].asInt ?? 0
    extra = row[9].asInt ?? 0
    server = row[10].asText ?? ""
    revision = row[11].asText ?? ""
    isDryRun = row[12].asBool
    isOnlyImportant = row[13].asBool
  }

  var isClean: Bool { bad == 0 && good == total }

  /// Part of the entries that are not good, in percent.
  var deviation: Double { total == 0 ? 0 : Double(total - good) / Double(total) * 100 }
}

/// The point from which clients are looked at: a time, and what limits them.
struct ViewPoint {
  var time: LocalTime?
  var filter = Filter()
}

/// What pages ask the database. Everything has a bound.
struct Reader {
  let database: any Database
  var now: LocalTime

  /// `FROM ... WHERE ...` for the latest run `i` of each client `c` that is not expired: one step in the index of client and time for each.
  ///
  /// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting/models.py, recent_ids.
  static func recent(_ view: ViewPoint) -> (sql: String, values: [SQLValue]) {
    var values: [SQLValue] = []
    var latest = "SELECT MAX(m.\"timestamp\") FROM \"Reporting_interaction\" m WHERE m.\"client_id\" = c.\"id\""
    var conditions = "c.\"expiration\" IS NULL"
    if let time = view.time {
      latest += " AND m.\"timestamp\" <= ?"
      conditions = "(c.\"expiration\" IS NULL OR c.\"expiration\" > ?) AND c.\"creation\" <= ?"
      values += [.text(time.text), .text(time.text), .text(time.text)]
    }
    if let state = view.filter.state {
      conditions += " AND i.\"state\" = ?"
      values.append(.text(state))
    }
    if let server = view.filter.server {
      conditions += " AND i.\"server\" = ?"
      values.append(.text(server))
    }
    if let group = view.filter.group {
      conditions += """
         AND EXISTS (SELECT 1 FROM "Reporting_interaction_groups" ig JOIN "Reporting_group" g ON g."id" = ig."group_id" \
        WHERE ig."interaction_id" = i."id" AND g."name" = ?)
        """
      values.append(.text(group))
    }
    return (
      """
      FROM "Reporting_client" c JOIN "Reporting_interaction" i ON i."client_id" = c."id" AND i."timestamp" = (\(latest)) \
      WHERE \(conditions)
      """, values
    )
  }

  /// The latest runs in an order, from one on.
  func runs(_ view: ViewPoint, order: String = "c.\"name\"", limit: Int, offset: Int = 0) throws(DatabaseError) -> [Run]
  {
    let (from, values) = Reader.recent(view)
    return try database.rows(
      "SELECT \(Run.columns) \(from) ORDER BY \(order), i.\"id\" LIMIT ? OFFSET ?",
      values + [SQLValue(limit), SQLValue(offset)]
    ).map(Run.init)
  }

  /// What the front page counts of a client's latest run.
  struct Health {
    var run: Int
    var client: String
    var time: String
    var bad: Int
    var modified: Int
    var extra: Int
  }

  /// The latest run of each client, in no order and with no more than counts need.
  func health(_ view: ViewPoint) throws(DatabaseError) -> [Health] {
    let (from, values) = Reader.recent(view)
    var all: [Health] = []
    try database.run(
      "SELECT i.\"id\", c.\"name\", i.\"timestamp\", i.\"bad_count\", i.\"modified_count\", i.\"extra_count\" \(from)",
      values
    ) { (row) throws(DatabaseError) in
      all.append(
        Health(
          run: row[0].asInt ?? 0, client: row[1].asText ?? "", time: row[2].asText ?? "", bad: row[3].asInt ?? 0,
          modified: row[4].asInt ?? 0, extra: row[5].asInt ?? 0))
      return true
    }
    return all
  }

  func count(_ view: ViewPoint) throws(DatabaseError) -> Int {
    let (from, values) = Reader.recent(view)
    return try database.first("SELECT COUNT(*) \(from)", values)?[0].asInt ?? 0
  }

  func hasGroup(_ name: String) throws(DatabaseError) -> Bool {
    try database.first("SELECT \"id\" FROM \"Reporting_group\" WHERE \"name\" = ?", [.text(name)]) != nil
  }

  // MARK: Clients

  struct Client {
    var id: Int
    var name: String
    var expiration: String?
    var creation: String

    init(_ row: Row) {
      id = row[0].asInt ?? 0
      name = row[1].asText ?? ""
      expiration = row[2].asText
      creation = row[3].asText ?? ""
    }
  }

  private static let clientColumns = "c.\"id\", c.\"name\", c.\"expiration\", c.\"creation\""

  /// Names have no index in Bcfg2's tables: this reads the table of clients.
  func client(_ name: String) throws(DatabaseError) -> Client? {
    try database.first(
      "SELECT \(Reader.clientColumns) FROM \"Reporting_client\" c WHERE c.\"name\" = ? ORDER BY c.\"id\" LIMIT 1",
      [.text(name)]
    ).map(Client.init)
  }

  func clients(limit: Int, offset: Int) throws(DatabaseError) -> [Client] {
    try database.rows(
      "SELECT \(Reader.clientColumns) FROM \"Reporting_client\" c ORDER BY c.\"name\", c.\"id\" LIMIT ? OFFSET ?",
      [SQLValue(limit), SQLValue(offset)]
    ).map(Client.init)
  }

  func clientCount() throws(DatabaseError) -> Int {
    try database.first("SELECT COUNT(*) FROM \"Reporting_client\"")?[0].asInt ?? 0
  }

  /// Clients whose names contain a text.
  func clients(like text: String, limit: Int) throws(DatabaseError) -> [Client] {
    try database.rows(
      """
      SELECT \(Reader.clientColumns) FROM "Reporting_client" c WHERE LOWER(c."name") LIKE ? ESCAPE '!' ORDER BY c."name", c."id" LIMIT ?
      """, [.text(Reader.pattern(text)), SQLValue(limit)]
    ).map(Client.init)
  }

  static func pattern(_ text: String) -> String {
    var pattern = "%"
    for character in text.lowercased() {
      if "!%_".contains(character) { pattern.append("!") }
      pattern.append(character)
    }
    return pattern + "%"
  }

  /// The runs of a client, the latest first.
  func history(
    _ client: Client?, _ filter: Filter, until time: String? = nil, limit: Int, offset: Int = 0
  ) throws(DatabaseError) -> [Run] {
    let (from, values) = Reader.history(client, filter, time)
    return try database.rows(
      "SELECT \(Run.columns) \(from) ORDER BY i.\"timestamp\" DESC, i.\"id\" DESC LIMIT ? OFFSET ?",
      values + [SQLValue(limit), SQLValue(offset)]
    ).map(Run.init)
  }

  func historyCount(_ client: Client?, _ filter: Filter) throws(DatabaseError) -> Int {
    let (from, values) = Reader.history(client, filter, nil)
    // Without limits the clients need not be looked up.
    let source = client == nil && filter.isEmpty ? "FROM \"Reporting_interaction\" i" : from
    return try database.first("SELECT COUNT(*) \(source)", values)?[0].asInt ?? 0
  }

  private static func history(_ client: Client?, _ filter: Filter, _ time: String?) -> (sql: String, values: [SQLValue])
  {
    var conditions: [String] = []
    var values: [SQLValue] = []
    func add(_ condition: String, _ value: SQLValue) {
      conditions.append(condition)
      values.append(value)
    }
    if let client { add("i.\"client_id\" = ?", SQLValue(client.id)) }
    if let time { add("i.\"timestamp\" <= ?", .text(time)) }
    if let state = filter.state { add("i.\"state\" = ?", .text(state)) }
    if let server = filter.server { add("i.\"server\" = ?", .text(server)) }
    if let group = filter.group {
      add(
        """
        EXISTS (SELECT 1 FROM "Reporting_interaction_groups" ig JOIN "Reporting_group" g ON g."id" = ig."group_id" \
        WHERE ig."interaction_id" = i."id" AND g."name" = ?)
        """, .text(group))
    }
    let clause = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
    return (
      "FROM \"Reporting_interaction\" i JOIN \"Reporting_client\" c ON c.\"id\" = i.\"client_id\"" + clause, values
    )
  }

  /// One run, with its profile.
  func run(_ id: Int, of client: Client) throws(DatabaseError) -> Run? {
    guard
      let row = try database.first(
        """
        SELECT \(Run.columns), p."name" FROM "Reporting_interaction" i JOIN "Reporting_client" c ON c."id" = i."client_id" \
        LEFT JOIN "Reporting_group" p ON p."id" = i."profile_id" WHERE i."id" = ? AND i."client_id" = ?
        """, [SQLValue(id), SQLValue(client.id)])
    else { return nil }
    var run = Run(row)
    run.profile = row[14].asText
    return run
  }

  func time(ofRun id: Int) throws(DatabaseError) -> String? {
    try database.first("SELECT i.\"timestamp\" FROM \"Reporting_interaction\" i WHERE i.\"id\" = ?", [SQLValue(id)])?[0]
      .asText
  }

  /// When the client ran next after a run.
  func nextTime(after run: Run) throws(DatabaseError) -> String? {
    try database.first(
      "SELECT MIN(i.\"timestamp\") FROM \"Reporting_interaction\" i WHERE i.\"client_id\" = ? AND i.\"timestamp\" > ?",
      [SQLValue(run.clientID), .text(run.time)])?[0].asText
  }

  /// Names of a run's groups or bundles.
  func names(_ kind: String, of run: Run, limit: Int) throws(DatabaseError) -> [String] {
    try database.rows(
      """
      SELECT n."name" FROM "Reporting_interaction_\(kind)s" l JOIN "Reporting_\(kind)" n ON n."id" = l."\(kind)_id" \
      WHERE l."interaction_id" = ? ORDER BY n."name" LIMIT ?
      """, [SQLValue(run.id), SQLValue(limit)]
    ).map { $0[0].asText ?? "" }
  }

  /// What a run took, by metric.
  func performance(of run: Run, limit: Int) throws(DatabaseError) -> [(metric: String, value: Double)] {
    try database.rows(
      "SELECT \"metric\", \"value\" FROM \"Reporting_performance\" WHERE \"interaction_id\" = ? ORDER BY \"id\" LIMIT ?",
      [SQLValue(run.id), SQLValue(limit)]
    ).map { ($0[0].asText ?? "", $0[1].asDouble ?? 0) }
  }
}
