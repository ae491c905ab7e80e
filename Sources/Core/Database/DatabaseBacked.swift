public import Databases
public import Identity
public import LoopDatabases

/// Plugins that keep data of clients in the database: `use_database`.
///
/// Other servers, and Python's, write to the same tables. So before a client's call is answered, each plugin asks the
/// database whether what it has in memory of that client is current: `checks`, `checked`.
public protocol DatabaseBacked: Plugin {
  /// Whether the plugin is configured so.
  var usesDatabase: Bool { get }
  /// The tables of the plugin, made where they are missing.
  var tables: [DatabaseTable] { get }
  /// Reads what is kept in memory of all clients. Called once the tables are there.
  func databaseOpened() async throws(DatabaseError)
  /// Questions about clients, by their canonical names. Each is run by itself. Their texts must be few:
  /// `SharedDatabase.list`.
  func checks(of clients: [ClientName]) -> [LoopStatement]
  /// Takes the answers, and forgets what is not as it was.
  func checked(_ clients: [ClientName], _ results: [StatementResult])
}

/// A table as Bcfg2's Django models declare it, with an index of ours.
public nonisolated struct DatabaseTable: Sendable {
  public enum Kind: Sendable {
    /// A number that the database counts up: the primary key.
    case id
    /// A text that is the primary key.
    case key(Int)
    case characters(Int)
    case optionalCharacters(Int)
    case time
    case optionalText
  }

  public let name: String
  public let columns: [(name: String, kind: Kind)]
  /// A column to be found by. Bcfg2's tables have no index there, and are read from end to end for each client.
  public let indexed: String?

  public init(_ name: String, _ columns: [(name: String, kind: Kind)], indexed: String? = nil) {
    self.name = name
    self.columns = columns
    self.indexed = indexed
  }

  /// The statement that makes it.
  func sql(for engine: DatabaseEngine) -> String {
    let columns = columns.map { column in "\"\(column.name)\" \(Self.type(column.kind, engine))" }
    return "CREATE TABLE \"\(name)\" (\(columns.joined(separator: ", ")))"
  }

  var indexName: String { "bcfg2_\(name.lowercased())_\(indexed ?? "")" }

  private static func type(_ kind: Kind, _ engine: DatabaseEngine) -> String {
    switch (kind, engine) {
    case (.id, .sqlite): "integer NOT NULL PRIMARY KEY AUTOINCREMENT"
    case (.id, .postgresql): "serial NOT NULL PRIMARY KEY"
    case (.id, .mysql): "integer AUTO_INCREMENT NOT NULL PRIMARY KEY"
    case (.key(let length), _): "varchar(\(length)) NOT NULL PRIMARY KEY"
    case (.characters(let length), _): "varchar(\(length)) NOT NULL"
    case (.optionalCharacters(let length), _): "varchar(\(length)) NULL"
    case (.time, .sqlite): "datetime NOT NULL"
    case (.time, .postgresql): "timestamp with time zone NOT NULL"
    case (.time, .mysql): "datetime(6) NOT NULL"
    case (.optionalText, .mysql): "longtext NULL"
    case (.optionalText, _): "text NULL"
    }
  }
}
