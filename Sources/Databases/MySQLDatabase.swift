import CDatabases
import Glibc

/// A database of MariaDB or MySQL, by MariaDB's library.
public final class MySQLDatabase: Database {
  public let engine = DatabaseEngine.mysql

  private let settings: DatabaseSettings
  private let library: MySQLLibrary
  private var connection: OpaquePointer?
  private var transaction = TransactionState.none
  private var statements = PreparedStatements<OpaquePointer>()

  private var functions: cdb_mysql { library.functions }

  /// Loads the library. It connects at the first statement.
  public init(_ settings: DatabaseSettings) throws(DatabaseError) {
    self.settings = settings
    library = try MySQLLibrary(settings)
  }

  deinit {
    for statement in statements.all { _ = library.functions.stmt_close(statement) }
    if let connection { library.functions.close(connection) }
  }

  @discardableResult
  public func run(
    _ sql: String, _ values: [SQLValue], _ body: (Row) throws(DatabaseError) -> Bool
  ) throws(DatabaseError) -> Int {
    let statement = try executed(sql, values)
    guard functions.stmt_field_count(statement) > 0 else { return Int(functions.stmt_changes(statement)) }
    // `body` may run the same statement again.
    for row in try rows(statement, sql) {
      if try !body(row) { break }
    }
    return 0
  }

  @discardableResult
  public func insert(_ sql: String, _ values: [SQLValue]) throws(DatabaseError) -> Int64 {
    let id = functions.stmt_insert_id(try executed(sql, values))
    guard id != 0 else { throw settings.error(.constraint, "no row was made by: \(sql)") }
    return Int64(clamping: id)
  }

  public func execute(_ statements: [String]) throws(DatabaseError) {
    // A statement that was prepared before a table changed may find other columns than it knows.
    for statement in self.statements.all { _ = functions.stmt_close(statement) }
    self.statements.removeAll()
    for sql in statements { try command(sql) }
  }

  public func begin() throws(DatabaseError) {
    try command("START TRANSACTION")
    transaction = .open
  }

  public func commit() throws(DatabaseError) {
    defer { transaction = .none }
    try command("COMMIT")
  }

  public func rollBack() {
    if case .open = transaction { _ = try? command("ROLLBACK") }
    transaction = .none
  }

  // MARK: Statements

  private func executed(_ sql: String, _ values: [SQLValue]) throws(DatabaseError) -> OpaquePointer {
    let connection = try connected()
    let statement = try prepared(sql, connection)
    guard functions.stmt_parameter_count(statement) == UInt(values.count) else {
      throw settings.error(.other, "\(values.count) values for: \(sql)")
    }
    let isExecuted = MySQLParameters(values).withBindings { bindings in
      if let bindings, functions.stmt_bind_parameters(statement, bindings) != 0 { return false }
      return functions.stmt_execute(statement) == 0
    }
    if !isExecuted { throw failure(statement, sql) }
    return statement
  }

  /// Runs a statement that the server does not prepare.
  private func command(_ sql: String) throws(DatabaseError) {
    let connection = try connected()
    guard functions.query(connection, sql, UInt(sql.utf8.count)) == 0 else {
      throw failed(functions.error_number(connection), functions.error_text(connection), sql)
    }
    if let result = functions.use_result(connection) { functions.free_result(result) }
  }

  private func prepared(_ sql: String, _ connection: OpaquePointer) throws(DatabaseError) -> OpaquePointer {
    if let statement = statements[sql] { return statement }
    guard let statement = functions.stmt_init(connection) else { throw settings.error(.unavailable, "out of memory") }
    if functions.stmt_prepare(statement, sql, UInt(sql.utf8.count)) != 0 {
      let error = failed(functions.stmt_error_number(statement), functions.stmt_error_text(statement), sql)
      _ = functions.stmt_close(statement)
      throw error
    }
    if let old = statements.add(statement, for: sql) { _ = functions.stmt_close(old) }
    return statement
  }

  private func rows(_ statement: OpaquePointer, _ sql: String) throws(DatabaseError) -> [Row] {
    guard let metadata = functions.stmt_metadata(statement) else { throw failure(statement, sql) }
    defer { functions.free_result(metadata) }
    let fields = (0..<functions.stmt_field_count(statement)).compactMap { functions.fetch_field(metadata, $0)?.pointee }
    let columns = MySQLColumns(fields)
    guard functions.stmt_bind_result(statement, columns.bindings) == 0, functions.stmt_store_result(statement) == 0
    else { throw failure(statement, sql) }
    defer { _ = functions.stmt_free_result(statement) }
    var rows: [Row] = []
    let noData: Int32 = 100
    let truncated: Int32 = 101
    while true {
      let code = functions.stmt_fetch(statement)
      if code == noData { return rows }
      guard code == 0 || code == truncated else { throw failure(statement, sql) }
      rows.append(columns.row { functions.stmt_fetch_column(statement, $1, UInt32($0), 0) })
    }
  }

  private func failure(_ statement: OpaquePointer, _ sql: String) -> DatabaseError {
    let number = functions.stmt_error_number(statement)
    let error = failed(number, functions.stmt_error_text(statement), sql)
    // The server does not know it, or could not prepare it again, or it has other columns since a table changed.
    if [1243, 1615, 2057].contains(number), let old = statements.remove(sql) { _ = functions.stmt_close(old) }
    return error
  }

  /// The error of a statement. The connection is closed if it is lost.
  private func failed(_ number: UInt32, _ text: UnsafePointer<CChar>?, _ sql: String) -> DatabaseError {
    let deadlock: UInt32 = 1213
    let error = library.error(number, text, sql)
    if error.kind == .unavailable {
      disconnect(error)
    } else if number == deadlock, case .open = transaction {
      // The server has rolled all of it back: what follows would be outside of a transaction.
      transaction = .broken(error)
    }
    return error
  }

  // MARK: The connection

  private func connected() throws(DatabaseError) -> OpaquePointer {
    if case .broken(let error) = transaction { throw error }
    if case .none = transaction, let connection, !isAlive(connection) {
      disconnect(settings.error(.unavailable, "the server has ended the connection"))
    }
    if let connection { return connection }
    let new = try library.connect()
    connection = new
    return new
  }

  /// Whether the server has not ended the connection while nothing was asked: it says nothing else unasked.
  private func isAlive(_ connection: OpaquePointer) -> Bool {
    var descriptor = pollfd(fd: functions.socket(connection), events: Int16(POLLIN), revents: 0)
    return poll(&descriptor, 1, 0) == 0
  }

  private func disconnect(_ error: DatabaseError) {
    guard let connection else { return }
    // Closing a statement frees its memory; over a lost connection nothing is sent.
    let old = statements.all
    functions.close(connection)
    for statement in old { _ = functions.stmt_close(statement) }
    self.connection = nil
    statements.removeAll()
    if case .open = transaction { transaction = .broken(error) }
  }
}
