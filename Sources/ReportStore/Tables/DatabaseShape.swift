import Databases

/// Which tables and columns a database has.
struct DatabaseShape {
  struct ColumnShape {
    /// The type, as the engine names it, in lower case.
    var type: String
    var isNull: Bool
  }

  private(set) var tables: [String: [String: ColumnShape]] = [:]
  /// SQLite: indexes, as lists of columns by table. Other engines' are not read: only South's SQLite tables lack some.
  private(set) var indexes: [String: [(columns: [String], isUnique: Bool)]] = [:]
  /// Applied migrations by app.
  private(set) var migrations: [String: Set<String>] = [:]

  init(_ database: any Database) throws(DatabaseError) {
    let columns =
      switch database.engine {
      case .sqlite:
        """
        SELECT m.name, p.name, p.type, CASE WHEN p."notnull" = 1 OR p.pk = 1 THEN 'NO' ELSE 'YES' END
        FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'
        """
      case .postgresql:
        """
        SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = current_schema()
        """
      case .mysql:
        """
        SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns
        WHERE table_schema = DATABASE()
        """
      }
    for row in try database.rows(columns) {
      guard let table = row[0].asText, let column = row[1].asText else { continue }
      tables[table, default: [:]][column] = ColumnShape(
        type: row[2].asText?.lowercased() ?? "", isNull: row[3].asText == "YES")
    }
    if database.engine == .sqlite { try readIndexes(database) }
    if tables["django_migrations"] != nil {
      for row in try database.rows("SELECT \"app\", \"name\" FROM \"django_migrations\"") {
        migrations[row[0].asText ?? "", default: []].insert(row[1].asText ?? "")
      }
    }
  }

  private mutating func readIndexes(_ database: any Database) throws(DatabaseError) {
    let rows = try database.rows(
      """
      SELECT m.name, l.name, l."unique", i.name FROM sqlite_master m JOIN pragma_index_list(m.name) l
      JOIN pragma_index_info(l.name) i WHERE m.type = 'table' ORDER BY l.name, i.seqno
      """)
    var last = ""
    for row in rows {
      let table = row[0].asText ?? ""
      let column = row[3].asText ?? ""
      let index = row[1].asText ?? ""
      if index == last, let place = indexes[table]?.indices.last {
        indexes[table]?[place].columns.append(column)
      } else {
        indexes[table, default: []].append((columns: [column], isUnique: row[2].asBool))
      }
      last = index
    }
  }

  func has(_ table: String) -> Bool { tables[table] != nil }
  func column(_ table: String, _ column: String) -> ColumnShape? { tables[table]?[column] }

  func has(_ index: SQLIndex) -> Bool {
    (indexes[index.table] ?? []).contains { $0.columns == index.columns && (!index.isUnique || $0.isUnique) }
  }
}
