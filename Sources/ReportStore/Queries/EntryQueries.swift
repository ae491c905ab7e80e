public import Databases
public import ReportRecords

extension EntryKind {
  /// The kinds that have a state: all but failures to bind, which name their type in a column.
  public static let withState = allCases.filter { $0 != .failure }
}

/// An entry as a run reported it: what lists of entries need of it.
public struct ReportedEntry: Sendable, Hashable {
  public var kind: EntryKind
  public var id: Int64
  public var name: String
  public var state: ReportedItem.State
}

/// An entry that could not be bound for a client.
public struct ReportedFailure: Sendable, Hashable {
  public var id: Int64
  public var type: String
  public var name: String
  public var message: String
}

extension ReportStore {
  /// The entries of a run in one of the states, ordered by kind, then by name. One statement.
  ///
  /// - Throws: `DatabaseError`.
  public func entries(
    of run: ReportedRun, in states: Set<ReportedItem.State>
  ) throws(DatabaseError) -> [ReportedEntry] {
    let states = states.sorted { $0.rawValue < $1.rawValue }
    guard !states.isEmpty else { return [] }
    let places = states.map { _ in "?" }.joined(separator: ", ")
    let parts = EntryKind.withState.enumerated().map { number, kind in
      "SELECT \(number), e.\"id\", e.\"name\", e.\"state\" FROM \"\(kind.linkTable)\" l JOIN \"\(kind.table)\" e"
        + " ON e.\"id\" = l.\"\(kind.linkColumn)\" WHERE l.\"interaction_id\" = ? AND e.\"state\" IN (\(places))"
    }
    let values = EntryKind.withState.flatMap { _ in
      [SQLValue.integer(run.id)] + states.map { SQLValue.integer(Int64($0.rawValue)) }
    }
    let sql = parts.joined(separator: " UNION ALL ") + " ORDER BY 1, 3, 2"
    var found: [ReportedEntry] = []
    try database.run(sql, values) { (row) throws(DatabaseError) in
      guard let number = row[0].asInt, let state = row[3].asState else {
        throw DatabaseError(.value, "entry \(row[2].asText ?? "") has the state \(row[3].asText ?? "NULL")")
      }
      found.append(
        ReportedEntry(
          kind: EntryKind.withState[number], id: row[1].asID, name: row[2].asText ?? "", state: state))
      return true
    }
    return found
  }

  /// What could not be bound in a run, ordered by type and name.
  ///
  /// - Throws: `DatabaseError`.
  public func failures(of run: ReportedRun, limit: Int = .max) throws(DatabaseError) -> [ReportedFailure] {
    let sql =
      "SELECT e.\"id\", e.\"entry_type\", e.\"name\", e.\"message\" FROM \"Reporting_interaction_failures\" l"
      + " JOIN \"Reporting_failureentry\" e ON e.\"id\" = l.\"failureentry_id\" WHERE l.\"interaction_id\" = ?"
      + " ORDER BY 2, 3, 1 LIMIT ?"
    return try database.rows(sql, [.integer(run.id), SQLValue(limit)]).map { row in
      ReportedFailure(
        id: row[0].asID, type: row[1].asText ?? "", name: row[2].asText ?? "", message: row[3].asText ?? "")
    }
  }

  /// Clients whose run of the selection has an entry of this name, with its state, in the order in which the clients were first
  /// seen: once for each such row of the table of entries. One statement, which begins at the entry.
  ///
  /// - Parameter state: only entries in this state; nil: in any.
  /// - Throws: `DatabaseError`.
  public func clients(
    with name: String, of kind: EntryKind, in state: ReportedItem.State? = nil,
    _ selection: RunSelection = RunSelection()
  ) throws(DatabaseError) -> [(run: ClientRun, state: ReportedItem.State)] {
    let query = try runQuery(selection)
    let sql =
      query.select + ", e.\"state\"" + query.from
      + " JOIN \"\(kind.linkTable)\" k ON k.\"interaction_id\" = i.\"id\" JOIN \"\(kind.table)\" e"
      + " ON e.\"id\" = k.\"\(kind.linkColumn)\""
      + query.conditions(["e.\"name\" = ?"] + (state == nil ? [] : ["e.\"state\" = ?"]))
      + " ORDER BY c.\"id\", e.\"state\", e.\"id\""
    var values = query.values + [SQLValue.text(name)]
    if let state { values.append(.integer(Int64(state.rawValue))) }
    var found: [(run: ClientRun, state: ReportedItem.State)] = []
    try database.run(sql, values) { (row) throws(DatabaseError) in
      guard let state = row[RunQuery.columnCount].asState else {
        throw DatabaseError(.value, "entry \(name) has the state \(row[RunQuery.columnCount].asText ?? "NULL")")
      }
      found.append((try ClientRun(row), state))
      return true
    }
    return found
  }
}
