/// An open database. Its functions wait for the answer; `LoopDatabase` does not.
///
/// Statements have `?` where values go, names between double quotes, and mean the same with each engine. Statements are
/// prepared once and kept, so their text must be one of few.
public protocol Database: AnyObject {
  var engine: DatabaseEngine { get }

  /// Runs one statement with its values, and calls `body` for each row, until it returns false.
  ///
  /// PostgreSQL and MySQL send all rows at once: a statement that could find very many needs a LIMIT.
  ///
  /// - Returns: how many rows the statement changed.
  /// - Throws: `DatabaseError`. A connection that was lost is made anew at the next statement outside of a transaction.
  @discardableResult
  func run(_ sql: String, _ values: [SQLValue], _ body: (Row) throws(DatabaseError) -> Bool) throws(DatabaseError)
    -> Int

  /// Runs an INSERT into a table with a column `id`.
  ///
  /// - Returns: the new row's id.
  @discardableResult
  func insert(_ sql: String, _ values: [SQLValue]) throws(DatabaseError) -> Int64

  /// Runs statements without values, one after the other, as DDL.
  func execute(_ statements: [String]) throws(DatabaseError)

  /// Begins a transaction that writes; with SQLite it waits for the lock here. After an error in it, only `rollBack()` is
  /// sure to work: PostgreSQL refuses further statements.
  func begin() throws(DatabaseError)
  func commit() throws(DatabaseError)
  /// Ends the transaction, if there is one, without effect.
  func rollBack()
}

extension Database {
  /// The rows of a statement.
  public func rows(_ sql: String, _ values: [SQLValue] = []) throws(DatabaseError) -> [Row] {
    var rows: [Row] = []
    try run(sql, values) { (row) throws(DatabaseError) in
      rows.append(row)
      return true
    }
    return rows
  }

  /// The first row, if there is one.
  public func first(_ sql: String, _ values: [SQLValue] = []) throws(DatabaseError) -> Row? {
    var first: Row?
    try run(sql, values) { (row) throws(DatabaseError) in
      first = row
      return false
    }
    return first
  }

  /// Runs a statement that returns no rows, and returns how many it changed.
  @discardableResult
  public func change(_ sql: String, _ values: [SQLValue] = []) throws(DatabaseError) -> Int {
    try run(sql, values) { (_) throws(DatabaseError) in true }
  }

  /// Runs `body` within a transaction, which is rolled back if it throws.
  @discardableResult
  public func transaction<Result>(_ body: () throws -> Result) throws -> Result {
    try begin()
    do {
      let result = try body()
      try commit()
      return result
    } catch {
      rollBack()
      throw error
    }
  }
}

/// Opens databases.
public enum Databases {
  /// Opens a database. PostgreSQL and MySQL connect at the first statement.
  ///
  /// - Parameter createsFile: with SQLite, whether a missing file is made.
  public static func open(_ settings: DatabaseSettings, createsFile: Bool = false) throws(DatabaseError) -> any Database
  {
    switch settings.engine {
    case .sqlite: return try SQLiteDatabase(settings, createsFile: createsFile)
    case .postgresql: return try PostgreSQLDatabase(settings)
    case .mysql: return try MySQLDatabase(settings)
    }
  }
}
