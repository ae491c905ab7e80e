public import Databases
public import ReportRecords

/// What became of an interaction.
public struct StoreResult: Sendable {
  public enum Outcome: Sendable, Hashable {
    case stored
    /// The client has an interaction of this time: nothing was changed.
    case alreadyThere
    /// The database refuses what is in it, and will always do so.
    case failed(DatabaseError)
  }

  public var outcome: Outcome
  /// Entries that are not stored, one sentence each; the same is said once.
  public var warnings: [String] = []
}

extension ReportStore {
  /// Stores one interaction, in one transaction.
  public func store(_ interaction: Interaction) throws(DatabaseError) -> StoreResult {
    try store([interaction])[0]
  }

  /// Stores interactions in one transaction; if that fails for what is in one of them, each in its own, so that a bad one does
  /// not lose its neighbours.
  ///
  /// - Returns: what became of each, in order.
  /// - Throws: what is no interaction's fault: the database is away, locked, full, without tables. Then call again with the same:
  ///   those that were stored are there already.
  public func store(_ batch: [Interaction]) throws(DatabaseError) -> [StoreResult] {
    if batch.isEmpty { return [] }
    do throws(DatabaseError) {
      return try attempt(batch, .all)
    } catch {
      if error.isTemporary || error.kind == .missing { throw error }
    }
    var results: [StoreResult] = []
    var first: DatabaseError?
    for interaction in batch {
      let result = try alone(interaction)
      if case .failed(let error) = result.outcome, error.kind == .other { first = first ?? error }
      results.append(result)
    }
    // Nothing could be stored, for no reason that is known to be theirs.
    if let first, !results.contains(where: { $0.outcome == .stored || $0.outcome == .alreadyThere }) { throw first }
    return results
  }

  private func alone(_ interaction: Interaction) throws(DatabaseError) -> StoreResult {
    var characters = TextLimits.Characters.all
    var isSecond = false
    while true {
      do throws(DatabaseError) {
        return try attempt([interaction], characters)[0]
      } catch {
        if error.isTemporary || error.kind == .missing { throw error }
        if error.kind == .value, let next = TextLimits.Characters(rawValue: characters.rawValue + 1) {
          characters = next
        } else if error.kind == .constraint, !isSecond {
          // Rows that it refers to were deleted, or another process has stored it.
          isSecond = true
        } else {
          return StoreResult(outcome: .failed(error))
        }
      }
    }
  }

  private func attempt(
    _ batch: [Interaction], _ characters: TextLimits.Characters
  ) throws(DatabaseError) -> [StoreResult] {
    let limits = TextLimits(engine: database.engine, characters: characters)
    let reader = ItemReader(limits: limits, fileLimit: fileLimit)
    let prepared = batch.map { PreparedInteraction($0, reader) }
    try checkRoom(prepared)
    do throws(DatabaseError) {
      // A new row of a name is seen by others when its transaction ends: a short one of its own keeps nobody waiting.
      if database.engine != .sqlite { try makeNames(prepared) }
      return try inTransaction { () throws(DatabaseError) in
        if database.engine == .sqlite {
          try checkCache()
          try findNames(prepared)
        }
        return try write(prepared)
      }
    } catch {
      // Ids of rows that were not made after all.
      clearCache()
      throw error
    }
  }

  /// Refuses what has more entries, or owners, groups and modes, than ids are remembered, before the database is asked.
  private func checkRoom(_ batch: [PreparedInteraction]) throws(DatabaseError) {
    let limit = entryIDs.safeCount
    let entries = batch.reduce(0) { $0 + $1.rows.count }
    let hasRoom = entries <= limit || Set(batch.lazy.flatMap(\.rows).map(\.key)).count <= limit
    guard hasRoom, permissions(batch).count <= permissionIDs.safeCount else {
      throw DatabaseError(
        .value,
        "more than \(limit) entries, or \(permissionIDs.safeCount) owners, groups and modes, in one transaction")
    }
  }

  // MARK: Names

  private func makeNames(_ batch: [PreparedInteraction]) throws(DatabaseError) {
    let clients = try unknown(.client, batch.map(\.hostname))
    let groups = try unknown(.group, groups(batch))
    let bundles = try unknown(.bundle, batch.flatMap(\.bundles))
    let permissions = try unknown(permissions(batch))
    if clients.isEmpty && groups.isEmpty && bundles.isEmpty && permissions.isEmpty { return }
    try alone("clients") { () throws(DatabaseError) in try findNames(batch) }
  }

  private func findNames(_ batch: [PreparedInteraction]) throws(DatabaseError) {
    try findOrMake(.client, batch.map(\.hostname))
    try findOrMake(.group, groups(batch))
    try findOrMake(.bundle, batch.flatMap(\.bundles))
    try findOrMake(permissions(batch))
  }

  private func groups(_ batch: [PreparedInteraction]) -> [String] {
    batch.flatMap { $0.groups + ($0.profile.map { [$0] } ?? []) }
  }

  private func permissions(_ batch: [PreparedInteraction]) -> Set<Permissions> {
    var all: Set<Permissions> = []
    for interaction in batch {
      for row in interaction.rows {
        if let target = row.target { all.insert(target) }
        if let current = row.current { all.insert(current) }
      }
    }
    return all
  }

  // MARK: Rows

  private func write(_ batch: [PreparedInteraction]) throws(DatabaseError) -> [StoreResult] {
    try lockClients(batch)
    var ids: [Int64?] = []
    for interaction in batch { ids.append(try insert(interaction)) }
    let new = zip(ids, batch).compactMap { id, interaction in id.map { ($0, interaction) } }
    try findOrMake(new.flatMap { $0.1.rows })
    try link(new)
    try insert(
      "Reporting_performance", ["interaction_id", "metric", "value"],
      new.flatMap { id, interaction in
        interaction.metrics.map { [.integer(id), .text($0.name), .text($0.value)] }
      })
    for (id, interaction) in new { try makeCurrent(id, interaction) }
    return zip(ids, batch).map { id, interaction in
      StoreResult(outcome: id == nil ? .alreadyThere : .stored, warnings: interaction.warnings)
    }
  }

  /// Locks the rows of the clients, in order: their current interaction is compared before it is changed.
  private func lockClients(_ batch: [PreparedInteraction]) throws(DatabaseError) {
    if database.engine == .sqlite { return }
    let ids = Set(batch.compactMap { id(.client, $0.hostname).asInt }).sorted()
    let locked = try rows(of: ids.map { SQLValue($0) }, "lock clients") {
      "SELECT id FROM \"Reporting_client\" WHERE id IN (\($0)) ORDER BY id FOR UPDATE"
    }
    if locked.count != ids.count {
      throw DatabaseError(.constraint, "a client was deleted while its report was stored")
    }
  }

  /// The id of the new row, or nil if the client has an interaction of this time.
  private func insert(_ interaction: PreparedInteraction) throws(DatabaseError) -> Int64? {
    let client = id(.client, interaction.hostname)
    let old = try database.first(
      "SELECT id FROM \"Reporting_interaction\" WHERE \"client_id\" = ? AND \"timestamp\" = ?",
      [client, .text(interaction.time)])
    if old != nil { return nil }
    let profile = interaction.profile.map { id(.group, $0) } ?? .null
    let sql = statement("interaction", 1) {
      let columns = PreparedInteraction.columns + ["client_id", "profile_id"]
      return "INSERT INTO \"Reporting_interaction\" (\(columns.map { "\"\($0)\"" }.joined(separator: ", "))) VALUES ("
        + Array(repeating: "?", count: columns.count).joined(separator: ", ") + ")"
    }
    return try database.insert(sql, interaction.values + [client, profile])
  }

  private func link(_ batch: [(Int64, PreparedInteraction)]) throws(DatabaseError) {
    var links: [EntryKind: [[SQLValue]]] = [:]
    for (id, interaction) in batch {
      var seen: Set<Int64> = []
      for row in interaction.rows {
        guard let entry = entryIDs[row.key] else {
          throw DatabaseError(.value, "\(row.kind.table): more entries in one transaction than are remembered")
        }
        // Ids of one kind are unique, so that the kind need not be in the set with them, but for equal numbers of two kinds.
        if seen.insert(entry &* 16 &+ Int64(row.kind.number)).inserted {
          links[row.kind, default: []].append([.integer(id), .integer(entry)])
        }
      }
    }
    for kind in EntryKind.allCases {
      try insert(kind.linkTable, ["interaction_id", kind.linkColumn], links[kind] ?? [])
    }
    let groups = batch.flatMap { id, interaction in
      Set(interaction.groups.map { self.id(.group, $0) }).map { [.integer(id), $0] }
    }
    try insert("Reporting_interaction_groups", ["interaction_id", "group_id"], groups)
    let bundles = batch.flatMap { id, interaction in
      Set(interaction.bundles.map { self.id(.bundle, $0) }).map { [.integer(id), $0] }
    }
    try insert("Reporting_interaction_bundles", ["interaction_id", "bundle_id"], bundles)
  }

  /// Makes an interaction its client's current one, unless that has a later one.
  private func makeCurrent(_ id: Int64, _ interaction: PreparedInteraction) throws(DatabaseError) {
    try database.change(
      """
      UPDATE "Reporting_client" SET "current_interaction_id" = ? WHERE id = ? AND ("current_interaction_id" IS NULL
      OR NOT EXISTS (SELECT 1 FROM "Reporting_interaction" i
      WHERE i.id = "Reporting_client"."current_interaction_id" AND i."timestamp" > ?))
      """,
      [.integer(id), self.id(.client, interaction.hostname), .text(interaction.time)])
  }
}
