/// Writes declarations of tables for an engine, as Django does.
package struct SQLDialect: Sendable {
  package var engine: DatabaseEngine

  package init(engine: DatabaseEngine) { self.engine = engine }

  /// Of MySQL's tables, so that names differ by case, as those of the other engines do. In its usual order of texts `WEB1` is `web1`,
  /// and one client would get the rows of another.
  package static let binaryOrder = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

  /// CREATE TABLE. A table that replaces an old one, under another name first, keeps the defaults of added columns. With SQLite the
  /// references are in it; otherwise `references` adds them, when all tables are there.
  package func create(_ table: SQLTable, as name: String? = nil, ifMissing: Bool = false) -> String {
    let columns = table.columns.map { definition($0, in: table, default: name == nil ? nil : $0.added) }
    let end = engine == .mysql ? " DEFAULT \(Self.binaryOrder)" : ""
    return "CREATE TABLE \(ifMissing ? "IF NOT EXISTS " : "")\"\(name ?? table.name)\""
      + " (\(columns.joined(separator: ", ")))\(end)"
  }

  package func definition(_ column: SQLColumn, in table: SQLTable, default value: String? = nil) -> String {
    var text = "\"\(column.name)\" \(type(column.kind))"
    if column.kind == .id {
      switch engine {
      case .sqlite: return text + " NOT NULL PRIMARY KEY AUTOINCREMENT"
      case .postgresql: return text + " NOT NULL PRIMARY KEY"
      case .mysql: return text + " AUTO_INCREMENT NOT NULL PRIMARY KEY"
      }
    }
    if let value { text += " DEFAULT \(value)" }
    text += column.isNull ? " NULL" : " NOT NULL"
    if column.isKey { text += " PRIMARY KEY" }
    if column.isUnique { text += " UNIQUE" }
    if column.kind == .small, engine == .postgresql { text += " CHECK (\"\(column.name)\" >= 0)" }
    if engine == .sqlite, let target = column.reference { text += " REFERENCES \"\(target)\" (\"\(key(of: target))\")" }
    return text
  }

  package func type(_ kind: SQLColumn.Kind) -> String {
    switch kind {
    case .id: engine == .postgresql ? "serial" : "integer"
    case .integer: "integer"
    case .bigint: "bigint"
    case .small: engine == .postgresql ? "smallint" : "smallint unsigned"
    case .bool: engine == .postgresql ? "boolean" : "bool"
    case .varchar(let length): "varchar(\(length))"
    case .text: engine == .mysql ? "longtext" : "text"
    case .datetime:
      switch engine {
      case .sqlite: "datetime"
      case .postgresql: "timestamp with time zone"
      case .mysql: "datetime(6)"
      }
    case .decimal: engine == .sqlite ? "decimal" : "numeric(32, 16)"
    }
  }

  /// Adds the references of a table.
  package func references(_ table: SQLTable) -> [String] {
    guard engine != .sqlite else { return [] }
    return table.columns.compactMap { column in
      guard let target = column.reference else { return nil }
      let name = Self.name(table.name, [column.name], "fk")
      let deferred = engine == .postgresql ? " DEFERRABLE INITIALLY DEFERRED" : ""
      return "ALTER TABLE \"\(table.name)\" ADD CONSTRAINT \"\(name)\" FOREIGN KEY (\"\(column.name)\")"
        + " REFERENCES \"\(target)\" (\"\(key(of: target))\")\(deferred)"
    }
  }

  /// Makes the indexes of a table. MySQL has one for each reference already.
  package func indexes(_ table: SQLTable) -> [String] {
    var made: [String] = []
    for index in table.indexes {
      let isReference = index.columns.count == 1 && table.column(index.columns[0])?.reference != nil
      if engine == .mysql, isReference { continue }
      made.append(create(index))
    }
    if engine == .postgresql {
      for column in table.columns {
        guard case .varchar = column.kind, column.isIndexed || column.isUnique || column.isKey else { continue }
        made.append(
          create(SQLIndex(table: table.name, columns: [column.name], isUnique: false, isForPatterns: true)))
      }
    }
    return made
  }

  package func create(_ index: SQLIndex) -> String {
    let suffix = index.isForPatterns ? "like" : index.isUnique ? "uniq" : "idx"
    let columns = index.columns.map { "\"\($0)\"" }.joined(separator: ", ")
    let name = index.name ?? Self.name(index.table, index.columns, suffix)
    if engine == .postgresql, index.isUnique {
      return "ALTER TABLE \"\(index.table)\" ADD CONSTRAINT \"\(name)\" UNIQUE (\(columns))"
    }
    return "CREATE \(index.isUnique ? "UNIQUE " : "")INDEX \"\(name)\" ON"
      + " \"\(index.table)\" (\(columns)\(index.isForPatterns ? " varchar_pattern_ops" : ""))"
  }

  /// A query for the names of the indexes of a table.
  package var indexNames: String {
    switch engine {
    case .sqlite: "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
    case .postgresql: "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename = ?"
    case .mysql:
      "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ?"
    }
  }

  /// The local time, as an expression.
  package var now: String { engine == .sqlite ? "DATETIME('now', 'localtime')" : "CURRENT_TIMESTAMP" }

  /// A name of at most 60 bytes, as all engines take.
  private static func name(_ table: String, _ columns: [String], _ suffix: String) -> String {
    let whole = "\(table)_\(columns.joined(separator: "_"))"
    var hash = TextHash()
    hash.add(whole)
    let end = "_\(TextHash.hexadecimal(hash.value).prefix(8))_\(suffix)"
    return "\(whole.prefix(60 - end.count))\(end)"
  }

  private func key(of table: String) -> String { table == "Server_metadataclientmodel" ? "hostname" : "id" }
}
