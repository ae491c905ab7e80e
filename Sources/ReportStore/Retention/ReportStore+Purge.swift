public import Databases

/// Which interactions a purge deletes: those that meet all conditions that are given.
public struct PurgeSelection: Sendable, Hashable {
  public var client: String?
  /// Interactions before this time, as `ReportTime.text` writes it.
  public var before: String?
  public var state: String?

  public init(client: String? = nil, before: String? = nil, state: String? = nil) {
    self.client = client
    self.before = before
    self.state = state
  }

  /// Whether it would delete all interactions there are.
  public var isEmpty: Bool { client == nil && before == nil && state == nil }
}

/// Why a purge was not done.
public enum PurgeError: Error, Sendable, Hashable {
  /// It would delete everything.
  case noCondition
  case unknownClient(String)
  case database(DatabaseError)
}

extension ReportStore {
  /// Interactions in one transaction of a purge.
  static let purgeStep = 100

  /// Deletes interactions, then entries, groups and bundles that nothing refers to any more.
  ///
  /// A client whose last interaction was deleted is deleted with it; Bcfg2 deletes a client whenever its current interaction is,
  /// with all others that it has. Other clients' latest interaction becomes the current one.
  ///
  /// - Throws: after an error, what was deleted before it stays deleted: each step is a transaction.
  public func purge(_ selection: PurgeSelection) throws(PurgeError) {
    if selection.isEmpty { throw .noCondition }
    do throws(DatabaseError) {
      var conditions: [String] = []
      var values: [SQLValue] = []
      var client: SQLValue?
      if let name = selection.client {
        // To MySQL a name of other case is the same.
        client = try database.rows(
          "SELECT id, \"name\" FROM \"Reporting_client\" WHERE \"name\" = ? ORDER BY id", [.text(name)]
        ).first { $0[1].asText.map { Array($0.utf8) } == Array(name.utf8) }?.first
        if let client {
          conditions.append("i.\"client_id\" = ?")
          values.append(client)
        }
      }
      if selection.client == nil || client != nil {
        if let before = selection.before {
          conditions.append("i.\"timestamp\" < ?")
          values.append(.text(before))
        }
        if let state = selection.state {
          conditions.append("i.\"state\" = ?")
          values.append(.text(state))
        }
        while try deleteStep(conditions.joined(separator: " AND "), values, limit: Self.purgeStep) > 0 {}
        try pruneOrphans(OrphanKind.ofBcfg2)
        if let client, selection.before == nil, selection.state == nil { try deleteClient(client) }
        return
      }
    } catch {
      throw .database(error)
    }
    throw .unknownClient(selection.client ?? "")
  }

  /// Deletes expired clients with all of their interactions.
  ///
  /// - Parameter before: only those that expired before this time.
  public func purgeExpired(before: String? = nil) throws(DatabaseError) {
    let condition = before == nil ? "\"expiration\" IS NOT NULL" : "\"expiration\" < ?"
    let sql = "SELECT id FROM \"Reporting_client\" WHERE \(condition) ORDER BY id"
    for client in try database.rows(sql, before.map { [.text($0)] } ?? []) {
      while try deleteStep("i.\"client_id\" = ?", [client[0]], limit: Self.purgeStep) > 0 {}
      try deleteClient(client[0])
    }
  }

  /// The time before which retention deletes interactions; nil if it deletes none.
  ///
  /// A clock that jumped ahead would make all reports old. So it counts only while there are reports of the second to last week;
  /// otherwise those that are kept are counted from the latest report that is older than a week.
  public func retentionEnd(days: Int, now: ReportTime) throws(DatabaseError) -> String? {
    let trusted = now.adding(days: -Self.trustedDays)
    let sql = "SELECT MAX(\"timestamp\") FROM \"Reporting_interaction\" WHERE \"timestamp\" <= ?"
    guard let text = try database.first(sql, [.text(trusted.text)])?[0].asText, let latest = ReportTime(text) else {
      return nil
    }
    let end = latest >= trusted.adding(days: -Self.trustedDays) ? now : latest
    return end.adding(days: -days).text
  }

  /// Days for which nothing is deleted after a jump of the clock.
  private static let trustedDays = 7

  /// One step of retention: deletes some of the interactions before a time, but for each client's current one, and no client.
  ///
  /// - Returns: how many were deleted; 0 when there are no more. `pruneOrphans` then deletes what they left.
  public func keepSince(_ time: String, limit: Int = purgeStepLimit) throws(DatabaseError) -> Int {
    try deleteStep(
      """
      i."timestamp" < ?
      AND NOT EXISTS (SELECT 1 FROM "Reporting_client" c WHERE c."current_interaction_id" = i.id)
      """, [.text(time)], limit: min(max(1, limit), 1000))
  }

  /// The size of a step of `keepSince`, unless it is given.
  public static var purgeStepLimit: Int { purgeStep }

  // MARK: Steps

  /// Deletes up to `limit` interactions that meet the condition, with what belongs to them, in one transaction.
  private func deleteStep(_ condition: String, _ values: [SQLValue], limit: Int) throws(DatabaseError) -> Int {
    try inTransaction { () throws(DatabaseError) in
      let sql =
        "SELECT i.id FROM \"Reporting_interaction\" i WHERE \(condition) ORDER BY i.\"timestamp\" LIMIT \(limit)"
      let ids = try database.rows(sql, values).map { $0[0] }
      if ids.isEmpty { return 0 }
      let current = try rows(of: ids, "purge: current") {
        "SELECT id FROM \"Reporting_client\" WHERE \"current_interaction_id\" IN (\($0)) ORDER BY id"
      }
      try rows(of: ids, "purge: no current") {
        "UPDATE \"Reporting_client\" SET \"current_interaction_id\" = NULL WHERE \"current_interaction_id\" IN (\($0))"
      }
      let tables =
        EntryKind.allCases.map(\.linkTable) + [
          "Reporting_interaction_groups", "Reporting_interaction_bundles", "Reporting_performance",
        ]
      for table in tables {
        try rows(of: ids, "purge \(table)") { "DELETE FROM \"\(table)\" WHERE \"interaction_id\" IN (\($0))" }
      }
      try rows(of: ids, "purge interactions") { "DELETE FROM \"Reporting_interaction\" WHERE id IN (\($0))" }
      for client in current { try findCurrent(client[0]) }
      return ids.count
    }
  }

  /// Makes the latest of a client's interactions the current one, or deletes a client without one.
  private func findCurrent(_ client: SQLValue) throws(DatabaseError) {
    let latest = try database.first(
      "SELECT id FROM \"Reporting_interaction\" WHERE \"client_id\" = ? ORDER BY \"timestamp\" DESC LIMIT 1", [client])
    if let latest {
      try database.change(
        "UPDATE \"Reporting_client\" SET \"current_interaction_id\" = ? WHERE id = ?", [latest[0], client])
    } else {
      try database.change("DELETE FROM \"Reporting_client\" WHERE id = ?", [client])
      clearCache()
    }
  }

  /// Deletes a client that has no interactions.
  private func deleteClient(_ client: SQLValue) throws(DatabaseError) {
    try database.change(
      """
      DELETE FROM "Reporting_client" WHERE id = ?
      AND NOT EXISTS (SELECT 1 FROM "Reporting_interaction" WHERE "client_id" = "Reporting_client".id)
      """, [client])
    clearCache()
  }
}
