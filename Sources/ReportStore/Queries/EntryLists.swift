public import Databases
public import ReportRecords

/// Entries in lists, and one of them whole.
extension ReportStore {
  /// The entries of a run that are not good, or were when it was made; of all kinds. One statement for each kind: a union would
  /// compute all of them.
  ///
  /// - Throws: `DatabaseError`.
  public func entryLines(of run: ReportedRun, limit: Int) throws(DatabaseError) -> [EntryLine] {
    var lines: [EntryLine] = []
    for kind in EntryKind.withState where lines.count < limit {
      lines += try database.rows(
        """
        SELECT \(EntryLine.columns(kind)) FROM "\(kind.linkTable)" l JOIN \(kind.source) ON e."id" = l."\(kind.linkColumn)"\
        \(kind.joins) WHERE l."interaction_id" = ? ORDER BY e."state", e."name", e."id" LIMIT ?
        """, [.integer(run.id), SQLValue(limit - lines.count)]
      ).map { EntryLine(kind, $0[...]) }
    }
    return lines
  }

  /// Values of one statement's list: as many each time, so that there are few statements.
  private static let chunk = 500
  private static let places = Array(repeating: "?", count: chunk).joined(separator: ",")

  /// Runs a statement with a list, part by part.
  private func inChunks(_ ids: [Int64], _ body: ([SQLValue]) throws(DatabaseError) -> Void) throws(DatabaseError) {
    var start = 0
    while start < ids.count {
      let part = ids[start..<min(start + Self.chunk, ids.count)]
      // The last part is filled with an id that nothing has.
      try body(part.map(SQLValue.integer) + Array(repeating: .integer(-1), count: Self.chunk - part.count))
      start += Self.chunk
    }
  }

  /// The latest runs that have entries in a state; with nil, in any but good.
  private func runIDs(_ recent: RecentRuns, with state: ReportedItem.State?) throws(DatabaseError) -> [Int64] {
    let counted =
      switch state {
      case .bad: " AND i.\"bad_count\" > 0"
      case .modified: " AND i.\"modified_count\" > 0"
      case .extra: " AND i.\"extra_count\" > 0"
      case .good: ""
      case nil: " AND (i.\"bad_count\" > 0 OR i.\"modified_count\" > 0 OR i.\"extra_count\" > 0)"
      }
    let (from, values) = recent.source(for: database.engine)
    return try database.rows("SELECT i.\"id\" \(from)\(counted)", values).map { $0[0].asID }
  }

  /// Entries of a kind, and on how many of some runs they are. Steps in an index: no statement reads a table of links whole.
  private func counts(_ kind: EntryKind, on runs: [Int64]) throws(DatabaseError) -> [Int64: Int] {
    var counts: [Int64: Int] = [:]
    let column = "l.\"\(kind.linkColumn)\""
    try inChunks(runs) { (values) throws(DatabaseError) in
      try database.run(
        """
        SELECT \(column), COUNT(*) FROM "\(kind.linkTable)" l WHERE l."interaction_id" IN (\(Self.places)) GROUP BY \(column)
        """, values
      ) { (row) throws(DatabaseError) in
        counts[row[0].asID, default: 0] += row[1].asInt ?? 0
        return true
      }
    }
    return counts
  }

  /// Entries on the latest runs, with how many runs have each; the most frequent first, or by name.
  ///
  /// - Parameter state: nil for all that are not good.
  /// - Throws: `DatabaseError`.
  public func entryLines(
    _ recent: RecentRuns, in state: ReportedItem.State?, threshold: Int = 1, byCount: Bool, limit: Int
  ) throws(DatabaseError) -> [(kind: EntryKind, lines: [EntryLine], total: Int)] {
    let runs = try runIDs(recent, with: state)
    var result: [(kind: EntryKind, lines: [EntryLine], total: Int)] = []
    for kind in EntryKind.withState {
      let counts = try counts(kind, on: runs).filter { $0.value >= threshold }
      var lines: [EntryLine] = []
      try inChunks(counts.keys.sorted()) { (values) throws(DatabaseError) in
        try database.run(
          "SELECT \(EntryLine.columns(kind)) FROM \(kind.source)\(kind.joins) WHERE e.\"id\" IN (\(Self.places))",
          values
        ) { (row) throws(DatabaseError) in
          var line = EntryLine(kind, row[...])
          line.count = counts[line.id] ?? 0
          if state.map({ line.state == $0 }) ?? (line.state != .good) { lines.append(line) }
          return true
        }
      }
      guard !lines.isEmpty else { continue }
      lines.sort { byCount && $0.count != $1.count ? $0.count > $1.count : ($0.name, $0.id) < ($1.name, $1.id) }
      result.append((kind, Array(lines.prefix(limit)), lines.count))
    }
    return result
  }

  /// Names of entries that are bad, or could not be bound, on the most of some runs.
  ///
  /// - Throws: `DatabaseError`.
  public func commonFailures(on runs: [Int64], limit: Int) throws(DatabaseError) -> [EntryLine] {
    var names: [[String]: EntryLine] = [:]
    for kind in EntryKind.withState + [.failure] {
      let counts = try counts(kind, on: runs)
      let condition = kind == .failure ? "" : " AND e.\"state\" = 1"
      let type = kind == .failure ? "e.\"entry_type\"" : "''"
      try inChunks(counts.keys.sorted()) { (values) throws(DatabaseError) in
        try database.run(
          "SELECT e.\"id\", e.\"name\", \(type) FROM \(kind.source) WHERE e.\"id\" IN (\(Self.places))\(condition)",
          values
        ) { (row) throws(DatabaseError) in
          let id = row[0].asID
          let name = row[1].asText ?? ""
          let line = EntryLine(kind, id: id, name: name, state: kind == .failure ? nil : .bad)
          names[[kind.model, row[2].asText ?? "", name], default: line].count += counts[id] ?? 0
          return true
        }
      }
    }
    return Array(
      names.values.sorted { $0.count != $1.count ? $0.count > $1.count : ($0.name, $0.id) < ($1.name, $1.id) }.prefix(
        limit))
  }

  /// Entries whose names contain a text, in upper or lower case: the first of each name, with how many there are.
  ///
  /// - Throws: `DatabaseError`.
  public func entryLines(like text: String, limit: Int) throws(DatabaseError) -> [EntryLine] {
    var lines: [EntryLine] = []
    for kind in EntryKind.withState where lines.count < limit {
      lines += try database.rows(
        """
        SELECT MIN(e."id"), e."name", COUNT(*) FROM \(kind.source) WHERE LOWER(e."name") LIKE ? ESCAPE '!' GROUP BY e."name" \
        ORDER BY e."name" LIMIT ?
        """, [.text(Self.pattern(text)), SQLValue(limit - lines.count)]
      ).map { EntryLine(kind, id: $0[0].asID, name: $0[1].asText ?? "", count: $0[2].asInt ?? 0) }
    }
    return lines
  }

  /// An entry; nil if there is none of the id.
  ///
  /// - Throws: `DatabaseError`.
  public func entry(_ kind: EntryKind, _ id: Int64) throws(DatabaseError) -> EntryDetails? {
    if kind == .failure {
      return try database.first(
        "SELECT e.\"name\", e.\"entry_type\", e.\"message\" FROM \(kind.source) WHERE e.\"id\" = ?", [.integer(id)]
      ).map { row in
        EntryDetails(
          line: EntryLine(kind, id: id, name: row[0].asText ?? ""), tag: row[1].asText ?? "",
          details: row[2].asText ?? "")
      }
    }
    let expressions = EntryExpressions.of(kind)
    var columns = expressions.values.flatMap { [$0.target, $0.current] }
    if kind == .path { columns += ["e.\"path_type\"", "e.\"details\""] }
    if kind == .package { columns.append("e.\"verification_details\"") }
    let more = columns.map { ", " + $0 }.joined()
    guard
      let row = try database.first(
        "SELECT \(EntryLine.columns(kind))\(more) FROM \(kind.source)\(kind.joins) WHERE e.\"id\" = ?", [.integer(id)])
    else { return nil }
    var details = EntryDetails(line: EntryLine(kind, row[...]), tag: kind.rawValue, exists: row[3].asBool)
    var next = EntryLine.columnCount
    for (value, target, current) in expressions.values {
      defer { next += 2 }
      // A path that is no link has no row of links.
      if row[next].isNull, row[next + 1].isNull { continue }
      details.comparisons.append(
        EntryDetails.Comparison(
          value: value, target: row[next].asText ?? "", current: row[next + 1].asText ?? "",
          isOneSided: target == "''" || current == "''"))
    }
    if kind == .path {
      details.detail = row[8].asInt.flatMap(PathDetail.init(rawValue:)) ?? .unused
      details.pathType = row[next].asText ?? ""
      details.details = row[next + 1].asText ?? ""
    } else if row.count > next {
      details.details = row[next].asText ?? ""
    }
    return details
  }

  /// The runs between two times that have an entry, the latest first.
  ///
  /// - Throws: `DatabaseError`.
  public func runs(
    with kind: EntryKind, _ id: Int64, from start: ReportTime, to end: ReportTime, limit: Int
  ) throws(DatabaseError) -> [ClientRun] {
    try runs(
      """
      SELECT \(RunQuery.columns()) FROM "\(kind.linkTable)" l JOIN "Reporting_interaction" i ON i."id" = l."interaction_id" \
      JOIN "Reporting_client" c ON c."id" = i."client_id" WHERE l."\(kind.linkColumn)" = ? AND i."timestamp" >= ? \
      AND i."timestamp" < ? ORDER BY i."timestamp" DESC, i."id" DESC LIMIT ?
      """, [.integer(id), .text(start.text), .text(end.text), SQLValue(limit)])
  }

  /// The latest runs that have an entry of this name, each with what is wrong with it there.
  ///
  /// - Throws: `DatabaseError`.
  public func runs(
    _ recent: RecentRuns, withName name: String, of kind: EntryKind, limit: Int
  ) throws(DatabaseError) -> [(run: ClientRun, line: EntryLine)] {
    let (from, values) = recent.source(for: database.engine)
    // From the name, which has an index, to the runs that are the latest ones.
    return try database.rows(
      """
      WITH "recent" AS (SELECT i."id" \(from)) SELECT \(RunQuery.columns()), \(EntryLine.columns(kind)) \
      FROM \(kind.source)\(kind.joins) JOIN "\(kind.linkTable)" l ON l."\(kind.linkColumn)" = e."id" \
      JOIN "recent" r ON r."id" = l."interaction_id" JOIN "Reporting_interaction" i ON i."id" = r."id" \
      JOIN "Reporting_client" c ON c."id" = i."client_id" WHERE e."name" = ? ORDER BY e."state", e."id", c."name" LIMIT ?
      """, values + [.text(name), SQLValue(limit)]
    ).map { (row) throws(DatabaseError) in
      (try ClientRun(row), EntryLine(kind, row[RunQuery.columnCount...]))
    }
  }
}

extension EntryKind {
  /// The table of the entries as `e`.
  fileprivate var source: String { "\"\(table)\" e" }
  /// What its expressions need besides.
  fileprivate var joins: String { EntryExpressions.of(self).joins }

  /// The kind of a name of Django's model: `PathEntry`.
  public init?(model: String) {
    guard let kind = Self.allCases.first(where: { $0.model == model }) else { return nil }
    self = kind
  }
}
