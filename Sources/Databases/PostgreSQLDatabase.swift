import CDatabases
import Glibc

/// A database of PostgreSQL, by libpq.
///
/// After an error within a transaction the server takes only its end: `rollBack()`.
public final class PostgreSQLDatabase: Database {
  public let engine = DatabaseEngine.postgresql

  /// How long the server may be silent while an answer is waited for, but for changes of tables: a server that hangs is as one that is
  /// away.
  package var patience = Duration.seconds(600)

  private let settings: DatabaseSettings
  private let library: PostgreSQLLibrary
  private var connection: OpaquePointer?
  private var transaction = TransactionState.none
  /// Names of prepared statements.
  private var statements = PreparedStatements<String>()
  private var lastNumber = 0

  private var functions: cdb_postgresql { library.functions }

  /// Loads the library. It connects at the first statement.
  public init(_ settings: DatabaseSettings) throws(DatabaseError) {
    self.settings = settings
    library = try PostgreSQLLibrary(settings)
  }

  deinit { if let connection { library.functions.finish(connection) } }

  @discardableResult
  public func run(
    _ sql: String, _ values: [SQLValue], _ body: (Row) throws(DatabaseError) -> Bool
  ) throws(DatabaseError) -> Int {
    let result = try result(sql, values)
    defer { functions.clear(result) }
    for row in library.rows(result) {
      if try !body(row) { break }
    }
    return library.changes(result)
  }

  @discardableResult
  public func insert(_ sql: String, _ values: [SQLValue]) throws(DatabaseError) -> Int64 {
    guard let id = try first(sql + #" RETURNING "id""#, values)?.first?.asInt else {
      throw settings.error(.constraint, "no row was made by: \(sql)")
    }
    return Int64(id)
  }

  public func execute(_ statements: [String]) throws(DatabaseError) {
    // What was prepared before a table changed would fail.
    if !self.statements.isEmpty {
      try command("DEALLOCATE ALL")
      self.statements.removeAll()
    }
    for sql in statements { try command(sql, isPatient: true) }
  }

  public func begin() throws(DatabaseError) {
    try command("BEGIN")
    transaction = .open
  }

  public func commit() throws(DatabaseError) {
    defer { transaction = .none }
    // The server ends a transaction that has failed by a rollback, and calls this no error.
    if try command("COMMIT") == "ROLLBACK" {
      throw settings.error(.other, "the transaction was rolled back, because a statement of it had failed")
    }
  }

  public func rollBack() {
    if case .open = transaction { _ = try? command("ROLLBACK") }
    transaction = .none
  }

  // MARK: Statements

  private func result(_ sql: String, _ values: [SQLValue]) throws(DatabaseError) -> OpaquePointer {
    let values = try PostgreSQLValues(values, settings)
    let connection = try connected()
    let name = try prepared(sql, connection)
    let isSent = values.withPointers {
      functions.send_query_prepared(connection, name, Int32(values.count), $0, nil, nil, 0)
    }
    return try answer(isSent, sql)
  }

  /// Runs a statement without values, and returns its tag.
  @discardableResult
  private func command(_ sql: String, isPatient: Bool = false) throws(DatabaseError) -> String {
    let result = try answer(functions.send_query(try connected(), sql), sql, isPatient: isPatient)
    defer { functions.clear(result) }
    return functions.command(result).map { String(cString: $0) } ?? ""
  }

  private func prepared(_ sql: String, _ connection: OpaquePointer) throws(DatabaseError) -> String {
    if let name = statements[sql] { return name }
    lastNumber += 1
    let name = "bcfg2_\(lastNumber)"
    functions.clear(try answer(functions.send_prepare(connection, name, numberedPlaces(sql), 0, nil), sql))
    if let old = statements.add(name, for: sql) { try command("DEALLOCATE \(old)") }
    return name
  }

  /// The last result of what was sent, if it is no error.
  private func answer(_ isSent: Int32, _ sql: String, isPatient: Bool = false) throws(DatabaseError) -> OpaquePointer {
    var last: OpaquePointer?
    while isSent == 1, let connection {
      let unsent = functions.flush(connection)
      if unsent < 0 { break }
      if unsent == 0, functions.is_busy(connection) == 0 {
        guard let result = functions.get_result(connection) else { return try checked(last, sql) }
        functions.clear(last)
        last = result
        if PostgreSQLLibrary.copying.contains(functions.result_status(result)) { break }
        continue
      }
      var descriptor = pollfd(
        fd: functions.socket(connection), events: Int16(unsent == 0 ? POLLIN : POLLIN | POLLOUT), revents: 0)
      let count = poll(&descriptor, 1, isPatient ? -1 : Int32(clamping: patience.milliseconds))
      if count == 0 {
        functions.clear(last)
        let error = settings.error(.unavailable, "no answer within \(patience)")
        disconnect(error)
        throw error
      }
      if count > 0, functions.consume_input(connection) != 1 { break }
    }
    functions.clear(last)
    throw lost()
  }

  /// The result, if it is no error.
  private func checked(_ result: OpaquePointer?, _ sql: String) throws(DatabaseError) -> OpaquePointer {
    guard let result else { throw lost() }
    guard var error = library.error(result, sql) else { return result }
    // A table has changed since it was prepared: it succeeds when it is asked again.
    if library.isOutdated(result), statements.remove(sql) != nil { error.kind = .busy }
    functions.clear(result)
    if let connection, functions.status(connection) != PostgreSQLLibrary.connectionOK {
      error.kind = .unavailable
      disconnect(error)
    }
    throw error
  }

  // MARK: The connection

  private func connected() throws(DatabaseError) -> OpaquePointer {
    if case .broken(let error) = transaction { throw error }
    if case .none = transaction, let connection, !isAlive(connection) {
      disconnect(library.connectionError(connection))
    }
    if let connection { return connection }
    let new = library.withParameters { functions.connect($0, $1, 0) }
    guard let new else { throw settings.error(.unavailable, "out of memory") }
    guard functions.status(new) == PostgreSQLLibrary.connectionOK else {
      let error = library.connectionError(new)
      functions.finish(new)
      throw error
    }
    // Its notices would go to the standard error output.
    _ = functions.set_notice_processor(new, { _, _ in }, nil)
    connection = new
    do throws(DatabaseError) {
      guard functions.set_nonblocking(new, 1) == 0 else { throw lost() }
      functions.clear(try answer(functions.send_query(new, library.greeting), library.greeting))
    } catch {
      disconnect(error)
      throw error
    }
    return new
  }

  /// Whether the server has not ended the connection while nothing was asked.
  private func isAlive(_ connection: OpaquePointer) -> Bool {
    var reads = 0
    while functions.status(connection) == PostgreSQLLibrary.connectionOK {
      var descriptor = pollfd(fd: functions.socket(connection), events: Int16(POLLIN), revents: 0)
      guard poll(&descriptor, 1, 0) > 0 else { return true }
      reads += 1
      guard reads < 16, functions.consume_input(connection) == 1 else { return false }
    }
    return false
  }

  private func lost() -> DatabaseError {
    let error = connection.map(library.connectionError) ?? settings.error(.unavailable, "it is not connected")
    disconnect(error)
    return error
  }

  private func disconnect(_ error: DatabaseError) {
    if let connection { functions.finish(connection) }
    connection = nil
    statements.removeAll()
    if case .open = transaction { transaction = .broken(error) }
  }
}

extension Duration {
  fileprivate var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
