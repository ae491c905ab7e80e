import Databases

/// Writes declarations of tables for an engine, as Django does.
struct Dialect {
  var engine: DatabaseEngine

  /// CREATE TABLE. A table that replaces an old one, under another name first, keeps the defaults of added columns. With SQLite the references are in it; otherwise `references` adds them, when all tables are there.
  func create(_ table: Table, as name: String? = nil) -> String {
    let columns = table.columns.map { definition($0, in: table, default: name == nil ? nil : $0.added) }
    return "CREATE TABLE \"\(name ?? table.name)\" (\(columns.joined(separator: ", ")))"
  }

  func definition(_ column: Column, in table: Table, default value: String? = nil) -> String {
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

  func type(_ kind: Column.Kind) -> String {
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
  func references(_ table: Table) -> [String] {
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
  func indexes(_ table: Table) -> [String] {
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
          create(Index(table: table.name, columns: [column.name], isUnique: false, isForPatterns: true)))
      }
    }
    return made
  }

  func create(_ index: Index) -> String {
    let suffix = index.isForPatterns ? "like" : index.isUnique ? "uniq" : "idx"
    let columns = index.columns.map { "\"\($0)\"" }.joined(separator: ", ")
    let name = index.name ?? Self.name(index.table, index.columns, suffix)
    if engine == .postgresql, index.isUnique {
      return "ALTER TABLE \"\(index.table)\" ADD CONSTRAINT \"\(name)\" UNIQUE (\(columns))"
    }
    return "CREATE \(index.isUnique ? "UNIQUE " : "")INDEX \"\(name)\" ON"
      + " \"\(index.table)\" (\(columns)\(index.isForPatterns ? " varchar_pattern_ops" : ""))"
  }

  /// A name of at most 60 bytes, as all engines take.
  private static func name(_ table: String, _ columns: [String], _ suffix: String) -> String {
    let whole = "\(table)_\(columns.joined(separator: "_"))"
    var hash = EntryHash()
    hash.add(whole)
    let end = "_\(EntryHash.hexadecimal(hash.value).prefix(8))_\(suffix)"
    return "\(whole.prefix(60 - end.count))\(end)"
  }

  private func key(of table: String) -> String { table == "Server_metadataclientmodel" ? "hostname" : "id" }
}
