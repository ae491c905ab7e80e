public import Databases

/// Which run of each client is asked for: the latest one that fits.
public struct RunSelection: Sendable, Hashable {
  /// Leaves runs with `--dry-run` out.
  public var skipsDryRuns = false
  /// Leaves runs with `--only-important` out.
  public var skipsOnlyImportant = false
  /// The database as it was then; nil: now.
  public var time: ReportTime?

  public init() {}

  /// Whether it is the one that column `current_interaction_id` names.
  var isCurrent: Bool { !skipsDryRuns && !skipsOnlyImportant && time == nil }
}

/// A client.
public struct ReportedClient: Sendable, Hashable {
  public var id: Int64
  public var name: String
  public var creation: String
  /// When it was expired; nil: it is not.
  public var expiration: String?
  public var currentRun: Int64?
}

/// One run of a client: an interaction, without its entries.
public struct ReportedRun: Sendable, Hashable {
  public var id: Int64
  public var timestamp: ReportTime
  public var state: String
  public var revision: String
  public var server: String
  public var good: Int
  public var total: Int
  public var bad: Int
  public var modified: Int
  public var extra: Int
  /// When the client ran next; nil if it did not.
  public var next: ReportTime?

  public var isClean: Bool { bad == 0 && good == total }

  /// Part of the entries that are not good, in percent.
  /// The numbers are the client's own: their difference may be larger than an integer.
  public var deviation: Double { total == 0 ? 0 : (Double(total) - Double(good)) / Double(total) * 100 }

  /// Whether no run had followed within 25 hours.
  public func isStale(at now: ReportTime) -> Bool { timestamp.adding(hours: 25) < min(next ?? now, now) }
}

/// A client and one of its runs.
public struct ClientRun: Sendable, Hashable {
  public var client: ReportedClient
  public var run: ReportedRun
}

extension ReportStore {
  /// Every client that has a run of the selection, in the order in which they were first seen, the expired ones too. One
  /// statement.
  ///
  /// - Throws: `DatabaseError`.
  public func clients(_ selection: RunSelection = RunSelection()) throws(DatabaseError) -> [ClientRun] {
    let query = try runQuery(selection)
    return try runs(query.select + query.from + query.conditions([]) + " ORDER BY c.\"id\"", query.values)
  }

  /// The client of a name, with its run of the selection if it has one.
  ///
  /// - Throws: `DatabaseError`.
  public func client(
    _ name: String, _ selection: RunSelection = RunSelection()
  ) throws(DatabaseError) -> (client: ReportedClient, run: ReportedRun?)? {
    guard let client = try client(named: name) else { return nil }
    let query = try runQuery(selection)
    let found = try runs(
      query.select + query.from + query.conditions(["c.\"id\" = ?"]), query.values + [.integer(client.id)])
    return (client, found.first?.run)
  }

  /// Marks a client as expired, or takes the mark away.
  ///
  /// - Throws: `DatabaseError`.
  public func setExpiration(_ time: ReportTime?, of client: ReportedClient) throws(DatabaseError) {
    try database.change(
      "UPDATE \"Reporting_client\" SET \"expiration\" = ? WHERE \"id\" = ?",
      [SQLValue(time?.text), .integer(client.id)])
  }

  /// Rows of a statement that begins with `RunQuery.select`.
  func runs(_ sql: String, _ values: [SQLValue]) throws(DatabaseError) -> [ClientRun] {
    var found: [ClientRun] = []
    try database.run(sql, values) { (row) throws(DatabaseError) in
      found.append(try ClientRun(row))
      return true
    }
    return found
  }

  func runQuery(_ selection: RunSelection) throws(DatabaseError) -> RunQuery {
    guard selection.skipsDryRuns || selection.skipsOnlyImportant else { return RunQuery(selection) }
    var selection = selection
    if try !hasRunFlags() {
      selection.skipsDryRuns = false
      selection.skipsOnlyImportant = false
    }
    return RunQuery(selection)
  }

  /// Whether runs have `dry_run` and `only_important`, which Bcfg2 1.3 did not record.
  func hasRunFlags() throws(DatabaseError) -> Bool {
    let schema =
      switch database.engine {
      case .sqlite: "pragma_table_info('Reporting_interaction') WHERE name"
      case .postgresql:
        "information_schema.columns WHERE table_schema = current_schema() AND table_name = 'Reporting_interaction'"
          + " AND column_name"
      case .mysql:
        "information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'Reporting_interaction'"
          + " AND column_name"
      }
    return try database.first("SELECT COUNT(*) FROM \(schema) IN ('dry_run', 'only_important')")?[0].asInt == 2
  }
}

/// The parts of a statement over clients and their runs of a selection.
struct RunQuery {
  static let clientColumns = [
    "c.\"id\"", "c.\"name\"", "c.\"creation\"", "c.\"expiration\"", "c.\"current_interaction_id\"",
  ]
  /// How many columns `columns` names.
  static let columnCount = 16

  private static let runColumns = [
    "id", "timestamp", "state", "repo_rev_code", "server", "good_count", "total_count", "bad_count", "modified_count",
    "extra_count",
  ].map { "i.\"\($0)\"" }

  /// The columns of `ClientRun`.
  ///
  /// - Parameter next: an expression for the time of the client's next run.
  static func columns(next: String = "NULL") -> String {
    (clientColumns + runColumns + [next]).joined(separator: ", ")
  }

  let select: String
  let from: String
  /// For the places in `from` and in `conditions`.
  let values: [SQLValue]
  private let condition: String?

  init(_ selection: RunSelection) {
    let next =
      selection.isCurrent
      ? "NULL"
      : "(SELECT MIN(n.\"timestamp\") FROM \"Reporting_interaction\" n"
        + " WHERE n.\"client_id\" = c.\"id\" AND n.\"timestamp\" > i.\"timestamp\")"
    select = "SELECT " + Self.columns(next: next)
    var values: [SQLValue] = []
    var place = "c.\"current_interaction_id\""
    if !selection.isCurrent {
      var filter = ""
      if let time = selection.time {
        filter += " AND l.\"timestamp\" <= ?"
        values.append(.text(time.text))
      }
      if selection.skipsDryRuns {
        filter += " AND l.\"dry_run\" = ?"
        values.append(.bool(false))
      }
      if selection.skipsOnlyImportant {
        filter += " AND l.\"only_important\" = ?"
        values.append(.bool(false))
      }
      place =
        "(SELECT l.\"id\" FROM \"Reporting_interaction\" l WHERE l.\"client_id\" = c.\"id\"\(filter)"
        + " ORDER BY l.\"timestamp\" DESC LIMIT 1)"
    }
    from = " FROM \"Reporting_client\" c JOIN \"Reporting_interaction\" i ON i.\"id\" = \(place)"
    self.values = values
    condition = selection.time == nil ? "c.\"current_interaction_id\" IS NOT NULL" : nil
  }

  /// The part from WHERE on.
  func conditions(_ more: [String]) -> String {
    let all = (condition.map { [$0] } ?? []) + more
    return all.isEmpty ? "" : " WHERE " + all.joined(separator: " AND ")
  }
}

extension ReportedClient {
  /// Of `RunQuery.clientColumns`.
  init(_ row: Row) {
    id = row[0].asID
    name = row[1].asText ?? ""
    creation = Self.text(row[2]) ?? ""
    expiration = Self.text(row[3])
    currentRun = row[4].asInt.map(Int64.init)
  }

  private static func text(_ value: SQLValue) -> String? {
    value.asText.map { ReportTime($0)?.text ?? $0 }
  }
}

extension ClientRun {
  /// Of `RunQuery.columns`.
  init(_ row: Row) throws(DatabaseError) {
    client = ReportedClient(row)
    run = ReportedRun(
      id: row[5].asID, timestamp: try ReportTime(row[6], of: client.name), state: row[7].asText ?? "",
      revision: row[8].asText ?? "",
      server: row[9].asText ?? "", good: row[10].asInt ?? 0, total: row[11].asInt ?? 0, bad: row[12].asInt ?? 0,
      modified: row[13].asInt ?? 0, extra: row[14].asInt ?? 0, next: row[15].asText.flatMap { ReportTime($0) })
  }
}

extension ReportTime {
  /// The time of a run.
  init(_ value: SQLValue, of client: String) throws(DatabaseError) {
    guard let time = value.asText.flatMap({ ReportTime($0) }) else {
      throw DatabaseError(.value, "an interaction of \(client) has no time: \(value.asText ?? "NULL")")
    }
    self = time
  }
}

extension SQLValue {
  /// An id that a row has.
  var asID: Int64 { Int64(asInt ?? 0) }
}
