public import Databases

/// A database for the loop: statements run while the loop goes on with others, in the order in which they were given.
public protocol LoopDatabase: AnyObject {
  /// Runs the statements, each with its values, in one transaction; a single one by itself.
  ///
  /// - Returns: a result for each.
  /// - Throws: `DatabaseError`; then none of them had an effect, except that nobody knows after `unavailable`, which is thrown also
  ///   if the answer did not come in time or the queue is full.
  func run(_ statements: [LoopStatement]) async throws(DatabaseError) -> [StatementResult]

  /// Calls the handler for each notification of a channel (NOTIFY), as long as the database is open.
  ///
  /// - Returns: false if the engine has no notifications; the handler is then never called.
  func listen(_ channel: String, _ handler: @escaping (DatabaseNotification) -> Void) -> Bool

  /// Ends it. What waits fails with `unavailable`.
  func close()
}

/// What a listener is told.
public nonisolated enum DatabaseNotification: Sendable, Hashable {
  /// From now on messages come. Those before are unknown, the first time and after each loss of the connection.
  case began
  /// No messages come until `began`.
  case lost
  /// What was given to NOTIFY.
  case message(String)
}

/// A statement with its values.
public nonisolated struct LoopStatement: Sendable, Hashable {
  public var sql: String
  public var values: [SQLValue]

  public init(_ sql: String, _ values: [SQLValue] = []) {
    self.sql = sql
    self.values = values
  }
}

extension LoopDatabase {
  public func listen(_ channel: String, _ handler: @escaping (DatabaseNotification) -> Void) -> Bool { false }

  /// Runs one statement.
  public func run(_ sql: String, _ values: [SQLValue] = []) async throws(DatabaseError) -> StatementResult {
    try await run([LoopStatement(sql, values)])[0]
  }
}
