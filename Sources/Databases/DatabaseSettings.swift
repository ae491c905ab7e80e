/// A kind of database.
public enum DatabaseEngine: String, Sendable, Hashable, CaseIterable {
  case sqlite = "sqlite3"
  case postgresql
  case mysql

  /// The engine of a name in `[database] engine`: that of one of Django's, which may be followed by more
  /// (`postgresql_psycopg2`).
  public init?(named name: String) {
    if let engine = DatabaseEngine(rawValue: name) {
      self = engine
    } else if name == "postgresql_psycopg2" {
      self = .postgresql
    } else {
      return nil
    }
  }
}

/// Where a database is, and who opens it: one of the two that `[database]` names.
public struct DatabaseSettings: Sendable, Hashable {
  public var engine: DatabaseEngine
  /// The path with SQLite, otherwise the name of the database.
  public var name: String
  public var user: String?
  public var password: String?
  /// A name, an address, or the folder of a socket with PostgreSQL or the socket with MySQL.
  public var host: String?
  public var port: Int?
  /// Further options of the connection, by the names of the library: `sslmode`, `timeout`.
  public var options: [String: String] = [:]
  /// The file and line that name it, for messages about a database that cannot be reached.
  public var origin: String?

  public init(engine: DatabaseEngine, name: String) {
    self.engine = engine
    self.name = name
  }
}
