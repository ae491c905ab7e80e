import Databases

/// One step from the tables that a database has to those of 1.4.
enum SchemaChange {
  /// 1.3.0: `perms` became `mode`.
  case renamePermissions
  case create(SQLTable)
  case addColumn(SQLColumn, SQLTable)
  /// 1.3.1: hash keys of 64 bits.
  case widen(column: String, table: String)
  /// MySQL with an old Django: times with microseconds, so that two runs in one second are two.
  case addMicroseconds(column: String, table: String)
  /// 1.3.2: an interaction without a profile.
  case allowNull(SQLColumn, SQLTable)
  /// SQLite: South lost some when it made tables anew.
  case createIndex(SQLIndex)
  case recordMigration(app: String, name: String)
  /// Rows that Django makes with its own tables.
  case fillContentTypes
  case fillSite

  /// The steps that a database needs, in order; none if it is as 1.4 leaves it.
  ///
  /// Columns of Django's own tables are left alone, as is South's history: Django's `migrate` changes the first, and 1.3.4
  /// refuses a history that has migrations which it does not know.
  static func needed(by shape: DatabaseShape, engine: DatabaseEngine) -> [SchemaChange] {
    let tables = DjangoTables.all + ReportTables.all
    let missing = tables.filter { !shape.has($0.name) }
    var changes: [SchemaChange] = []
    if shape.column("Reporting_fileperms", "perms") != nil, shape.column("Reporting_fileperms", "mode") == nil {
      changes.append(.renamePermissions)
    }
    // Migrations are recorded before their tables are made: MySQL may stop between them, and missing tables are made whatever
    // is recorded.
    let record = DjangoTables.record
    if !shape.has(record.name) { changes.append(.create(record)) }
    changes += migrations(shape)
    changes += missing.filter { $0.name != record.name }.map(SchemaChange.create)
    for table in ReportTables.all where shape.has(table.name) { changes += columns(of: table, shape, engine) }
    if engine == .sqlite {
      for table in ReportTables.all where shape.has(table.name) {
        changes += table.indexes.filter { !shape.has($0) && !isRenamed($0, shape) }.map(SchemaChange.createIndex)
      }
    }
    if !shape.has("django_content_type"), !shape.has("auth_permission") { changes.append(.fillContentTypes) }
    if !shape.has("django_site") { changes.append(.fillSite) }
    return changes
  }

  private static func columns(of table: SQLTable, _ shape: DatabaseShape, _ engine: DatabaseEngine) -> [SchemaChange] {
    var changes: [SchemaChange] = []
    for column in table.columns {
      guard let old = shape.column(table.name, column.name) else {
        if column.added != nil { changes.append(.addColumn(column, table)) }
        continue
      }
      if column.isNull, !old.isNull { changes.append(.allowNull(column, table)) }
      if column.kind == .bigint, engine != .sqlite, !old.type.hasPrefix("bigint") {
        changes.append(.widen(column: column.name, table: table.name))
      }
      if engine == .mysql, column.kind == .datetime, column.name == "timestamp", old.type == "datetime" {
        changes.append(.addMicroseconds(column: column.name, table: table.name))
      }
    }
    // SQLite makes a table anew to allow NULL, when it has all columns.
    return changes.filter(\.isAddition) + changes.filter { !$0.isAddition }
  }

  private var isAddition: Bool {
    if case .addColumn = self { true } else { false }
  }

  /// Whether an index stands under the name that its column had in 1.3.0.
  private static func isRenamed(_ index: SQLIndex, _ shape: DatabaseShape) -> Bool {
    guard index.table == "Reporting_fileperms", shape.column(index.table, "mode") == nil else { return false }
    var old = index
    old.columns = index.columns.map { $0 == "mode" ? "perms" : $0 }
    return shape.has(old)
  }

  private static func migrations(_ shape: DatabaseShape) -> [SchemaChange] {
    DjangoTables.migrations.flatMap { app, names -> [SchemaChange] in
      let applied = shape.migrations[app] ?? []
      let isNew = !(DjangoTables.all + ReportTables.all).contains { $0.app == app && shape.has($0.name) }
      let wanted: [String] =
        if app == "Reporting" || app == "Server" || (isNew && applied.isEmpty) {
          names
        } else {
          // Tables of Django before 1.7, which its later migrations have yet to change.
          applied.isEmpty ? Array(names.prefix(1)) : []
        }
      return wanted.filter { !applied.contains($0) }.map { .recordMigration(app: app, name: $0) }
    }
  }
}
