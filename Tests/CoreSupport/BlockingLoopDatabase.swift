import Core
package import Databases
import EventLoop
package import LoopDatabases
import Repository
import ServerSettings

/// A database for a core in a test, which keeps the loop waiting. Several of one database are several servers.
package final class BlockingLoopDatabase: LoopDatabase {
  private let database: any Database
  /// Whether it answers as one that cannot be reached.
  package var isAway = false
  /// Called before each run, with its statements.
  package var beforeRun: ([LoopStatement]) -> Void = { _ in }
  /// What was run.
  package private(set) var ran: [LoopStatement] = []
  package private(set) var runs = 0

  package init(_ settings: DatabaseSettings) throws(DatabaseError) {
    database = try Databases.open(settings, createsFile: true)
  }

  package func run(_ statements: [LoopStatement]) async throws(DatabaseError) -> [StatementResult] {
    if isAway { throw DatabaseError(.unavailable, "the test has it away") }
    beforeRun(statements)
    runs += 1
    ran += statements
    guard statements.count > 1 else { return try execute(statements) }
    try database.begin()
    do throws(DatabaseError) {
      let results = try execute(statements)
      try database.commit()
      return results
    } catch {
      database.rollBack()
      throw error
    }
  }

  private func execute(_ statements: [LoopStatement]) throws(DatabaseError) -> [StatementResult] {
    var results: [StatementResult] = []
    for statement in statements {
      var rows: [Row] = []
      let changes = try database.run(statement.sql, statement.values) { (row) throws(DatabaseError) in
        rows.append(row)
        return true
      }
      results.append(StatementResult(rows: rows, changes: changes))
    }
    return results
  }

  /// As `run`, for a test that is in the midst of something.
  package func runNow(_ sql: String) throws(DatabaseError) { _ = try execute([LoopStatement(sql)]) }

  package func close() {}

  /// Statements that were run since the last call and do not only read.
  package func takeChanges() -> [LoopStatement] {
    defer { ran = [] }
    return ran.filter { !$0.sql.hasPrefix("SELECT") }
  }
}

extension RepositoryFixture {
  /// Makes a core that uses this database.
  package static func core(with database: BlockingLoopDatabase) -> MakeCore {
    { settings, loop, monitor, resolver, registry in
      let core = ServerCore(
        settings: settings, loop: loop, fileMonitor: monitor, resolver: resolver, registry: registry)
      core.openDatabase = { _ in database }
      return core
    }
  }
}
