public import Databases

/// A database for the loop: statements run while the loop goes on with others, in the order in which they were given.
public protocol LoopDatabase: AnyObject {
  /// Runs the statements, each with its values, in one transaction; a single one by itself.
  ///
  /// - Returns: a result for each.
  /// - Throws: `DatabaseError`; then none of them had an effect. `unavailable` also if the answer did not come in time or the
  ///   queue is full.
  func run(_ statements: [LoopStatement]) async throws(DatabaseError) -> [StatementResult]

  /// Ends it. What waits fails with `unavailable`.
  func close()
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
  /// Runs one statement.
  public func run(_ sql: String, _ values: [SQLValue] = []) async throws(DatabaseError) -> StatementResult {
    try await run([LoopStatement(sql, values)])[0]
  }
}
