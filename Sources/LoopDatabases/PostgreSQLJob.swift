import Databases
import EventLoop

/// Statements for PostgreSQL that wait or are being done: one by itself, or several in a transaction.
final class PostgreSQLJob {
  /// The next thing to do.
  enum Step {
    case begin
    case statement(sql: String, PostgreSQLValues)
    case commit
    case rollBack
    case end(Result<[StatementResult], DatabaseError>)
  }

  let byteCount: Int
  let start: MonotonicTime
  var timer: Timer?

  private enum Transaction {
    case none, begun, committing, ended
  }

  private let statements: [LoopStatement]
  private let values: [PostgreSQLValues]
  private var continuation: CheckedContinuation<Result<[StatementResult], DatabaseError>, Never>?
  private var transaction = Transaction.none
  private var results: [StatementResult] = []
  private var error: DatabaseError?
  private var attempts = 0

  /// - Throws: `value` for a value that PostgreSQL cannot store.
  init(
    _ statements: [LoopStatement], _ settings: DatabaseSettings, byteCount: Int, start: MonotonicTime
  ) throws(DatabaseError) {
    self.statements = statements
    var values: [PostgreSQLValues] = []
    for statement in statements { values.append(try PostgreSQLValues(statement.values, settings)) }
    self.values = values
    self.byteCount = byteCount
    self.start = start
  }

  func wait(_ continuation: CheckedContinuation<Result<[StatementResult], DatabaseError>, Never>) {
    self.continuation = continuation
  }

  /// What to do now that all before it is done.
  func next() -> Step {
    let isTransaction = statements.count > 1
    if let error {
      guard transaction == .begun else { return .end(.failure(error)) }
      transaction = .ended
      return .rollBack
    }
    if isTransaction, transaction == .none {
      transaction = .begun
      return .begin
    }
    if results.count < statements.count { return .statement(sql: statements[results.count].sql, values[results.count]) }
    guard transaction == .begun else { return .end(.success(results)) }
    transaction = .committing
    return .commit
  }

  func succeed(_ result: StatementResult) { results.append(result) }

  /// A step has failed. The server has ended a transaction whose COMMIT failed, and one whose BEGIN failed is none.
  func fail(_ error: DatabaseError, at step: Step) {
    self.error = self.error ?? error
    if case .statement = step { return }
    transaction = .ended
  }

  /// Makes it ready to be done once more, after the connection was lost. False if it may have had an effect, or has had its second
  /// attempt.
  func restart() -> Bool {
    let reads = statements.allSatisfy { $0.sql.hasPrefix("SELECT ") }
    attempts += 1
    guard attempts < 2, reads || transaction == .begun || isUnbegun else { return false }
    transaction = .none
    results = []
    error = nil
    return true
  }

  /// Whether only BEGIN may have been sent.
  private var isUnbegun: Bool { statements.count > 1 && transaction == .none }

  func end(_ result: Result<[StatementResult], DatabaseError>) {
    timer?.cancel()
    timer = nil
    continuation.take()?.resume(returning: result)
  }
}
