public import Databases

extension ReportStore {
  /// A number of our own for locks of PostgreSQL, by which processes that change tables or clients wait for each other.
  static let lockNumber: Int64 = 0x6263_6667_3272

  /// Makes the tables that are missing, brings those of Bcfg2 1.3.0 to 1.3.4 to 1.4, and adds `extraIndexes`. Other processes may
  /// do so at the same time; a database that is as it should be is only read.
  ///
  /// - Returns: whether anything was changed.
  @discardableResult
  public func prepare() throws(DatabaseError) -> Bool {
    let hasChanged = try prepareTables()
    return try makeExtraIndexes() || hasChanged
  }

  private func prepareTables() throws(DatabaseError) -> Bool {
    if SchemaChange.needed(by: try DatabaseShape(database), engine: database.engine).isEmpty { return false }
    clearCache()
    return try alone("schema") { () throws(DatabaseError) in
      // Another process may have done so while this one waited.
      let changes = SchemaChange.needed(by: try DatabaseShape(database), engine: database.engine)
      let created = changes.compactMap { change -> SQLTable? in
        if case .create(let table) = change { table } else { nil }
      }
      let dialect = SQLDialect(engine: database.engine)
      for change in changes { try apply(change, dialect) }
      try database.execute(created.flatMap(dialect.references))
      try database.execute(created.flatMap(dialect.indexes))
      for change in changes { try fill(change) }
      return !changes.isEmpty
    }
  }

  /// Runs `body` while no other process runs another one: in a transaction, or with a lock where changes of tables end
  /// transactions.
  func alone<Result>(
    _ purpose: String, _ body: () throws(DatabaseError) -> Result
  ) throws(DatabaseError) -> Result {
    guard database.engine == .mysql else {
      return try inTransaction { () throws(DatabaseError) in
        if database.engine == .postgresql {
          _ = try database.rows("SELECT pg_advisory_xact_lock(?)", [.integer(Self.lockNumber)])
        }
        return try body()
      }
    }
    let name = SQLValue.text("bcfg2 \(purpose)")
    guard try database.first("SELECT GET_LOCK(?, 30)", [name])?[0].asInt == 1 else {
      throw DatabaseError(.busy, "another process holds the lock of the \(purpose) for more than 30 seconds")
    }
    do throws(DatabaseError) {
      let result = try body()
      _ = try database.first("SELECT RELEASE_LOCK(?)", [name])
      return result
    } catch {
      // The connection may be gone, and the lock with it.
      _ = try? database.first("SELECT RELEASE_LOCK(?)", [name])
      throw error
    }
  }

  func inTransaction<Result>(_ body: () throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
    try database.begin()
    do throws(DatabaseError) {
      let result = try body()
      try database.commit()
      return result
    } catch {
      database.rollBack()
      throw error
    }
  }

  private func apply(_ change: SchemaChange, _ dialect: SQLDialect) throws(DatabaseError) {
    switch change {
    case .renamePermissions:
      let sql =
        database.engine == .mysql
        ? "ALTER TABLE \"Reporting_fileperms\" CHANGE \"perms\" \"mode\" varchar(128) NOT NULL"
        : "ALTER TABLE \"Reporting_fileperms\" RENAME COLUMN \"perms\" TO \"mode\""
      try database.execute([sql])
    case .create(let table): try database.execute([dialect.create(table)])
    case .addColumn(let column, let table):
      // The default stays, so that a server of 1.3.4 can go on writing.
      let definition = dialect.definition(column, in: table, default: column.added)
      try database.execute(["ALTER TABLE \"\(table.name)\" ADD COLUMN \(definition)"])
    case .widen(let column, let table):
      let sql =
        database.engine == .mysql
        ? "MODIFY \"\(column)\" bigint NOT NULL" : "ALTER COLUMN \"\(column)\" TYPE bigint"
      try database.execute(["ALTER TABLE \"\(table)\" \(sql)"])
    case .addMicroseconds(let column, let table):
      try database.execute(["ALTER TABLE \"\(table)\" MODIFY \"\(column)\" datetime(6) NOT NULL"])
    case .allowNull(let column, let table):
      switch database.engine {
      case .sqlite: try makeAnew(table, dialect)
      case .postgresql:
        try database.execute(["ALTER TABLE \"\(table.name)\" ALTER COLUMN \"\(column.name)\" DROP NOT NULL"])
      case .mysql:
        let type = dialect.type(column.kind)
        try database.execute(["ALTER TABLE \"\(table.name)\" MODIFY \"\(column.name)\" \(type) NULL"])
      }
    case .createIndex(let index): try create(index, dialect)
    case .recordMigration(let app, let name):
      try database.change(
        "INSERT INTO \"django_migrations\" (\"app\", \"name\", \"applied\") VALUES (?, ?, ?)",
        [.text(app), .text(name), .text(ReportTime.now().text)])
    case .fillContentTypes, .fillSite: break
    }
  }

  private func fill(_ change: SchemaChange) throws(DatabaseError) {
    switch change {
    case .fillContentTypes:
      for (app, model, words) in DjangoTables.models {
        let id = try database.insert(
          "INSERT INTO \"django_content_type\" (\"app_label\", \"model\") VALUES (?, ?)", [.text(app), .text(model)])
        for verb in ["add", "change", "delete"] {
          try database.change(
            "INSERT INTO \"auth_permission\" (\"name\", \"content_type_id\", \"codename\") VALUES (?, ?, ?)",
            [.text("Can \(verb) \(words)"), .integer(id), .text("\(verb)_\(model)")])
        }
      }
    case .fillSite:
      try database.change(
        "INSERT INTO \"django_site\" (\"domain\", \"name\") VALUES (?, ?)", ["example.com", "example.com"])
    default: break
    }
  }

  /// SQLite: makes a table with the columns of 1.4 from one that has others, as its documentation describes.
  private func makeAnew(_ table: SQLTable, _ dialect: SQLDialect) throws(DatabaseError) {
    let shape = try DatabaseShape(database)
    let columns = table.columns.filter { shape.column(table.name, $0.name) != nil }.map { "\"\($0.name)\"" }
      .joined(separator: ", ")
    let new = "\(table.name)__new"
    try database.execute([
      dialect.create(table, as: new),
      "INSERT INTO \"\(new)\" (\(columns)) SELECT \(columns) FROM \"\(table.name)\"",
      "DROP TABLE \"\(table.name)\"",
      "ALTER TABLE \"\(new)\" RENAME TO \"\(table.name)\"",
    ])
    try database.execute(dialect.indexes(table))
  }

  /// SQLite: makes an index that a table lacks. One that is to be unique may find equal rows: permissions become one, other
  /// tables stay without it, as they were.
  private func create(_ index: SQLIndex, _ dialect: SQLDialect) throws(DatabaseError) {
    if try DatabaseShape(database).has(index) { return }
    if index.isUnique {
      if index.table == "Reporting_fileperms" { try joinPermissions() }
      let columns = index.columns.map { "\"\($0)\"" }.joined(separator: ", ")
      let equal = "SELECT 1 FROM \"\(index.table)\" GROUP BY \(columns) HAVING COUNT(*) > 1 LIMIT 1"
      if try database.first(equal) != nil { return }
    }
    try database.execute([dialect.create(index)])
  }

  private func joinPermissions() throws(DatabaseError) {
    let first = """
      (SELECT MIN(f.id) FROM "Reporting_fileperms" f JOIN "Reporting_fileperms" o ON f."owner" = o."owner"
      AND f."group" = o."group" AND f."mode" = o."mode" WHERE o.id = "Reporting_pathentry"."COLUMN")
      """
    try database.execute(
      ["current_perms_id", "target_perms_id"].map { column in
        let value = first.split(separator: "COLUMN", omittingEmptySubsequences: false).joined(separator: column)
        return "UPDATE \"Reporting_pathentry\" SET \"\(column)\" = \(value)"
      } + [
        """
        DELETE FROM "Reporting_fileperms" WHERE id NOT IN
        (SELECT MIN(id) FROM "Reporting_fileperms" GROUP BY "owner", "group", "mode")
        """
      ])
  }
}
