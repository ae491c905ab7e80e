import Databases

extension Reader {
  /// Reads one row of the columns `e.id, e.name, e.state, e.exists` and the five expressions of `EntryType.short`.
  private static func line(_ type: EntryType, _ row: ArraySlice<SQLValue>) -> EntryLine {
    let row = Array(row)
    let state = row[2].asInt.flatMap(EntryState.init(rawValue:))
    return EntryLine(
      type: type, id: row[0].asInt ?? 0, name: row[1].asText ?? "", state: state,
      problems: EntryLine.problems(
        type, state, exists: row[3].asBool, row[4...7].map { $0.asText ?? "" }, detail: row[8].asInt ?? 0))
  }

  private static func columns(_ type: EntryType) -> String {
    (["e.\"id\"", "e.\"name\"", "e.\"state\"", "e.\"exists\""] + type.short).joined(separator: ", ")
  }

  /// The entries of a run in one state, of all types. One statement for each type: a union would compute all of them.
  func entries(of run: Run, limit: Int) throws(DatabaseError) -> [EntryLine] {
    var lines: [EntryLine] = []
    for type in EntryType.all where lines.count < limit {
      lines += try database.rows(
        """
        SELECT \(Reader.columns(type)) FROM "\(type.link)" l JOIN "\(type.table)" e ON e."id" = l."\(type.column)"\(type.joins) \
        WHERE l."interaction_id" = ? ORDER BY e."state", e."name", e."id" LIMIT ?
        """, [SQLValue(run.id), SQLValue(limit - lines.count)]
      ).map { Reader.line(type, $0[...]) }
    }
    return lines
  }

  /// The entries of a run that could not be bound: their types, names, ids.
  func failures(of run: Run, limit: Int) throws(DatabaseError) -> [(id: Int, tag: String, name: String)] {
    let type = EntryType.failure
    return try database.rows(
      """
      SELECT e."id", e."entry_type", e."name" FROM "\(type.link)" l JOIN "\(type.table)" e ON e."id" = l."\(type.column)" \
      WHERE l."interaction_id" = ? ORDER BY e."entry_type", e."name", e."id" LIMIT ?
      """, [SQLValue(run.id), SQLValue(limit)]
    ).map { ($0[0].asInt ?? 0, $0[1].asText ?? "", $0[2].asText ?? "") }
  }

  /// Values of one statement's list: as many each time, so that there are few statements.
  private static let chunk = 500
  private static let places = Array(repeating: "?", count: chunk).joined(separator: ",")

  /// Runs a statement with a list, part by part.
  private func inChunks(_ ids: [Int], _ body: ([SQLValue]) throws(DatabaseError) -> Void) throws(DatabaseError) {
    var start = 0
    while start < ids.count {
      let part = ids[start..<min(start + Reader.chunk, ids.count)]
      // The last part is filled with an id that nothing has.
      try body(part.map { SQLValue($0) } + Array(repeating: SQLValue(-1), count: Reader.chunk - part.count))
      start += Reader.chunk
    }
  }

  /// The latest runs that have entries in a state; with nil, in any but good.
  private func runIDs(_ view: ViewPoint, with state: EntryState?) throws(DatabaseError) -> [Int] {
    let counted =
      switch state {
      case .bad: " AND i.\"bad_count\" > 0"
      case .modified: " AND i.\"modified_count\" > 0"
      case .extra: " AND i.\"extra_count\" > 0"
      case .good: ""
      case nil: " AND (i.\"bad_count\" > 0 OR i.\"modified_count\" > 0 OR i.\"extra_count\" > 0)"
      }
    let (from, values) = Reader.recent(view)
    return try database.rows("SELECT i.\"id\" \(from)\(counted)", values).map { $0[0].asInt ?? 0 }
  }

  /// Entries of a type, and on how many of some runs they are. Steps in an index: no statement reads a table of links whole.
  private func counts(_ type: EntryType, on runs: [Int]) throws(DatabaseError) -> [Int: Int] {
    var counts: [Int: Int] = [:]
    try inChunks(runs) { (values) throws(DatabaseError) in
      try database.run(
        """
        SELECT l."\(type.column)", COUNT(*) FROM "\(type.link)" l WHERE l."interaction_id" IN (\(Reader.places)) GROUP BY l."\(type.column)"
        """, values
      ) { (row) throws(DatabaseError) in
        counts[row[0].asInt ?? 0, default: 0] += row[1].asInt ?? 0
        return true
      }
    }
    return counts
  }

  /// Entries on the latest runs, with how many runs have each; the most frequent first, or by name.
  ///
  /// - Parameter state: nil for all that are not good.
  func entries(
    _ view: ViewPoint, state: EntryState?, threshold: Int = 1, byCount: Bool, limit: Int
  ) throws(DatabaseError) -> [(type: EntryType, lines: [EntryLine], total: Int)] {
    let runs = try runIDs(view, with: state)
    var result: [(type: EntryType, lines: [EntryLine], total: Int)] = []
    for type in EntryType.all {
      let counts = try counts(type, on: runs).filter { $0.value >= threshold }
      var lines: [EntryLine] = []
      try inChunks(counts.keys.sorted()) { (values) throws(DatabaseError) in
        try database.run(
          "SELECT \(Reader.columns(type)) FROM \"\(type.table)\" e\(type.joins) WHERE e.\"id\" IN (\(Reader.places))",
          values
        ) { (row) throws(DatabaseError) in
          var line = Reader.line(type, row[...])
          line.count = counts[line.id] ?? 0
          if state.map({ line.state == $0 }) ?? (line.state != .good) { lines.append(line) }
          return true
        }
      }
      guard !lines.isEmpty else { continue }
      lines.sort { byCount && $0.count != $1.count ? $0.count > $1.count : ($0.name, $0.id) < ($1.name, $1.id) }
      result.append((type, Array(lines.prefix(limit)), lines.count))
    }
    return result
  }

  /// Names of entries that are bad, or could not be bound, on the most of some runs.
  func commonFailures(on runs: [Int], limit: Int) throws(DatabaseError) -> [EntryLine] {
    var names: [[String]: EntryLine] = [:]
    for type in EntryType.all + [.failure] {
      let counts = try counts(type, on: runs)
      let condition = type.isFailure ? "" : " AND e.\"state\" = 1"
      let kind = type.isFailure ? "e.\"entry_type\"" : "''"
      try inChunks(counts.keys.sorted()) { (values) throws(DatabaseError) in
        try database.run(
          "SELECT e.\"id\", e.\"name\", \(kind) FROM \"\(type.table)\" e WHERE e.\"id\" IN (\(Reader.places))\(condition)",
          values
        ) { (row) throws(DatabaseError) in
          let id = row[0].asInt ?? 0
          let name = row[1].asText ?? ""
          let line = EntryLine(
            type: type, id: id, name: name, state: type.isFailure ? nil : .bad, problems: [], count: 0)
          names[[type.className, row[2].asText ?? "", name], default: line].count += counts[id] ?? 0
          return true
        }
      }
    }
    return Array(
      names.values.sorted { $0.count != $1.count ? $0.count > $1.count : ($0.name, $0.id) < ($1.name, $1.id) }.prefix(
        limit))
  }

  /// Everything about one entry.
  struct EntryDetails {
    var line: EntryLine
    /// `Path` for the failure to bind a Path, too.
    var tag: String
    var exists = true
    var pairs: [(pair: EntryType.Pair, target: String, current: String)] = []
    var pathType = ""
    var detail = PathDetail.unused
    /// Contents, a diff, names; of a failure the message.
    var details = ""
  }

  func entry(_ type: EntryType, _ id: Int) throws(DatabaseError) -> EntryDetails? {
    if type.isFailure {
      return try database.first(
        "SELECT e.\"id\", e.\"name\", e.\"entry_type\", e.\"message\" FROM \"\(type.table)\" e WHERE e.\"id\" = ?",
        [SQLValue(id)]
      ).map { row in
        EntryDetails(
          line: EntryLine(type: type, id: id, name: row[1].asText ?? "", state: nil, problems: []),
          tag: row[2].asText ?? "",
          details: row[3].asText ?? "")
      }
    }
    let isPath = type.tag == "Path"
    var columns = type.pairs.flatMap { [$0.target, $0.current] }
    if isPath { columns += ["e.\"path_type\"", "e.\"details\""] }
    if type.tag == "Package" { columns.append("e.\"verification_details\"") }
    let more = columns.map { ", " + $0 }.joined()
    guard
      let row = try database.first(
        "SELECT \(Reader.columns(type))\(more) FROM \"\(type.table)\" e\(type.joins) WHERE e.\"id\" = ?", [SQLValue(id)]
      )
    else { return nil }
    var details = EntryDetails(line: Reader.line(type, row[0...8]), tag: type.tag, exists: row[3].asBool)
    for (index, pair) in type.pairs.enumerated() {
      let (target, current) = (row[9 + 2 * index], row[10 + 2 * index])
      // A path that is no link has no row of links.
      if target.isNull, current.isNull { continue }
      details.pairs.append((pair, target.asText ?? "", current.asText ?? ""))
    }
    let next = 9 + 2 * type.pairs.count
    if isPath {
      details.detail = row[8].asInt.flatMap(PathDetail.init(rawValue:)) ?? .unused
      details.pathType = row[next].asText ?? ""
      details.details = row[next + 1].asText ?? ""
    } else if row.count > next {
      details.details = row[next].asText ?? ""
    }
    return details
  }

  /// The runs of a day that have an entry.
  func runs(with type: EntryType, _ id: Int, from start: LocalTime, to end: LocalTime, limit: Int) throws(DatabaseError)
    -> [Run]
  {
    try database.rows(
      """
      SELECT \(Run.columns) FROM "\(type.link)" l JOIN "Reporting_interaction" i ON i."id" = l."interaction_id" \
      JOIN "Reporting_client" c ON c."id" = i."client_id" WHERE l."\(type.column)" = ? AND i."timestamp" >= ? AND i."timestamp" < ? \
      ORDER BY i."timestamp" DESC, i."id" DESC LIMIT ?
      """, [SQLValue(id), .text(start.text), .text(end.text), SQLValue(limit)]
    ).map(Run.init)
  }

  /// The latest runs that have an entry of this name, each with what is wrong with it there.
  func runs(
    _ view: ViewPoint, withName name: String, of type: EntryType, limit: Int
  ) throws(DatabaseError) -> [(run: Run, line: EntryLine)] {
    let (from, values) = Reader.recent(view)
    // From the name, which has an index, to the runs that are the latest ones.
    return try database.rows(
      """
      WITH "recent" AS (SELECT i."id" \(from)) SELECT \(Run.columns), \(Reader.columns(type)) FROM "\(type.table)" e\(type.joins) \
      JOIN "\(type.link)" l ON l."\(type.column)" = e."id" JOIN "recent" r ON r."id" = l."interaction_id" \
      JOIN "Reporting_interaction" i ON i."id" = r."id" JOIN "Reporting_client" c ON c."id" = i."client_id" \
      WHERE e."name" = ? ORDER BY e."state", e."id", c."name" LIMIT ?
      """, values + [.text(name), SQLValue(limit)]
    ).map { (Run($0), Reader.line(type, $0[14...22])) }
  }

  /// Entries whose names contain a text.
  func entries(like text: String, limit: Int) throws(DatabaseError) -> [EntryLine] {
    var lines: [EntryLine] = []
    for type in EntryType.all where lines.count < limit {
      lines += try database.rows(
        """
        SELECT MIN(e."id"), e."name", COUNT(*) FROM "\(type.table)" e WHERE LOWER(e."name") LIKE ? ESCAPE '!' GROUP BY e."name" \
        ORDER BY e."name" LIMIT ?
        """, [.text(Reader.pattern(text)), SQLValue(limit - lines.count)]
      ).map { row in
        EntryLine(
          type: type, id: row[0].asInt ?? 0, name: row[1].asText ?? "", state: nil, problems: [],
          count: row[2].asInt ?? 0)
      }
    }
    return lines
  }

  /// How many runs of a day were in each state.
  func states(from start: LocalTime, to end: LocalTime) throws(DatabaseError) -> [String: Int] {
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

  /// Metrics of the latest runs, by client.
  func performance(_ view: ViewPoint, limit: Int) throws(DatabaseError) -> [(client: String, metrics: [String: Double])]
  {
    let (from, values) = Reader.recent(view)
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
}
