public import Databases

/// A table whose rows others refer to, and which go when none does.
public enum OrphanKind: Sendable, Hashable {
  case group
  case bundle
  case entry(EntryKind)
  /// Owner, group and mode of paths.
  case permissions

  /// Those that Bcfg2 prunes, in its order.
  public static let ofBcfg2: [OrphanKind] = [
    .group, .bundle, .entry(.failure), .entry(.action), .entry(.path), .entry(.package), .entry(.service),
  ]
  /// All: Bcfg2 leaves entries of SELinux, users and groups, and permissions.
  public static let all: [OrphanKind] =
    [.group, .bundle] + EntryKind.allCases.map(OrphanKind.entry) + [.permissions]

  /// The name of Django's model.
  public var model: String {
    switch self {
    case .group: "Group"
    case .bundle: "Bundle"
    case .entry(let kind): kind.model
    case .permissions: "FilePerms"
    }
  }

  var table: String { "Reporting_\(model.lowercased())" }

  /// What refers to the table: table and column.
  var references: [(table: String, column: String)] {
    switch self {
    case .group:
      [
        ("Reporting_interaction_groups", "group_id"), ("Reporting_interaction", "profile_id"),
        ("Reporting_group_groups", "to_group_id"), ("Reporting_group_groups", "from_group_id"),
        ("Reporting_group_bundles", "group_id"),
      ]
    case .bundle: [("Reporting_interaction_bundles", "bundle_id"), ("Reporting_group_bundles", "bundle_id")]
    case .entry(let kind): [(kind.linkTable, kind.linkColumn)]
    case .permissions: [("Reporting_pathentry", "target_perms_id"), ("Reporting_pathentry", "current_perms_id")]
    }
  }
}

extension ReportStore {
  /// Deletes rows that nothing refers to. Few are deleted in one transaction; finding them locks nothing.
  ///
  /// - Returns: how many of each kind were deleted.
  @discardableResult
  public func pruneOrphans(_ kinds: [OrphanKind]) throws(DatabaseError) -> [(kind: OrphanKind, count: Int)] {
    var counts: [(kind: OrphanKind, count: Int)] = []
    for kind in kinds {
      var count = 0
      var last = SQLValue.integer(0)
      while true {
        let unused = kind.references.map { table, column in
          "NOT EXISTS (SELECT 1 FROM \"\(table)\" r WHERE r.\"\(column)\" = o.id)"
        }.joined(separator: " AND ")
        let sql = "SELECT o.id FROM \"\(kind.table)\" o WHERE o.id > ? AND \(unused) ORDER BY o.id LIMIT 500"
        let ids = try database.rows(sql, [last]).map { $0[0] }
        guard let end = ids.last else { break }
        last = end
        count += try delete(kind, ids)
      }
      counts.append((kind, count))
    }
    return counts
  }

  /// Deletes those of the rows that are still unused.
  private func delete(_ kind: OrphanKind, _ ids: [SQLValue]) throws(DatabaseError) -> Int {
    clearCache()
    do throws(DatabaseError) {
      return try inTransaction { () throws(DatabaseError) in
        let unused = kind.references.map { table, column in
          "NOT EXISTS (SELECT 1 FROM \"\(table)\" r WHERE r.\"\(column)\" = \"\(kind.table)\".id)"
        }.joined(separator: " AND ")
        // Rows that were used since they were found stay.
        let left = try rows(of: ids, "unused \(kind.table)") {
          "SELECT id FROM \"\(kind.table)\" WHERE id IN (\($0)) AND \(unused)"
        }.map { $0[0] }
        if case .entry(.path) = kind {
          for (table, column) in [
            ("Reporting_linkentry", "pathentry_ptr_id"), ("Reporting_deviceentry", "pathentry_ptr_id"),
            ("Reporting_pathentry_acls", "pathentry_id"),
          ] {
            try rows(of: left, "orphans \(table)") { "DELETE FROM \"\(table)\" WHERE \"\(column)\" IN (\($0))" }
          }
        }
        try rows(of: left, "orphans \(kind.table)") { "DELETE FROM \"\(kind.table)\" WHERE id IN (\($0))" }
        return left.count
      }
    } catch {
      // An importer has used one of them meanwhile; the next run finds the others.
      if error.kind == .constraint { return 0 }
      throw error
    }
  }

  /// How many rows the tables have that Bcfg2's `reportsstats` prints, by model, in its order: paths are there twice.
  public func counts() throws(DatabaseError) -> [(model: String, count: Int)] {
    var counts: [(model: String, count: Int)] = []
    let models =
      ["Group", "Bundle", "FailureEntry", "ActionEntry", "PathEntry", "PackageEntry", "PathEntry", "ServiceEntry"]
      + ["Client", "Interaction", "Performance"]
    for model in models {
      let row = try database.first("SELECT COUNT(*) FROM \"Reporting_\(model.lowercased())\"")
      counts.append((model, row?[0].asInt ?? 0))
    }
    return counts
  }
}
