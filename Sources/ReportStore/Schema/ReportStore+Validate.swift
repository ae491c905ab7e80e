public import Databases

extension ReportStore {
  /// What the tables lack to be those of 1.4, one line each; `prepare` mends it, but for a column that was always there. Only
  /// reads.
  ///
  /// - Throws: `DatabaseError`.
  public func flaws() throws(DatabaseError) -> [String] {
    let shape = try DatabaseShape(database)
    let changes = SchemaChange.needed(by: shape, engine: database.engine)
    let isRenamed = changes.contains { if case .renamePermissions = $0 { true } else { false } }
    let lost = ReportTables.all.filter { shape.has($0.name) }.flatMap { table in
      table.columns.filter { $0.added == nil && shape.column(table.name, $0.name) == nil }.map { (table.name, $0.name) }
    }
    return changes.map(\.flaw)
      + lost.filter { !isRenamed || $0 != ("Reporting_fileperms", "mode") }.map {
        "\($0).\($1) is missing, and no version of Bcfg2 was without it"
      }
  }

  /// The statements that make all tables of reports and of the server, with their indexes and `extraIndexes`, in an empty
  /// database.
  public static func statements(for engine: DatabaseEngine) -> [String] {
    let dialect = SQLDialect(engine: engine)
    return ReportTables.all.map { dialect.create($0) } + ReportTables.all.flatMap(dialect.references)
      + ReportTables.all.flatMap(dialect.indexes) + extraIndexes.map(dialect.create)
  }
}

extension SchemaChange {
  /// What is wrong while the change has not been made.
  fileprivate var flaw: String {
    switch self {
    case .renamePermissions: "Reporting_fileperms.mode has its name of Bcfg2 1.3.0, perms"
    case .create(let table): "\(table.name) is missing"
    case .addColumn(let column, let table): "\(table.name).\(column.name) is missing"
    case .widen(let column, let table): "\(table).\(column) is too small for hash keys of 64 bits"
    case .addMicroseconds(let column, let table): "\(table).\(column) keeps no microseconds"
    case .allowNull(let column, let table): "\(table.name).\(column.name) must have a value"
    case .createIndex(let index): "\(index.table) has no index over \(index.columns.joined(separator: ", "))"
    case .recordMigration(let app, let name): "django_migrations lacks \(app) \(name)"
    case .fillContentTypes: "django_content_type and auth_permission have no rows"
    case .fillSite: "django_site has no row"
    }
  }
}
