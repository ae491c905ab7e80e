import CDatabases
import Glibc

/// A database of SQLite.
///
/// Writers of several processes wait for each other up to `options["timeout"]` seconds (5), then fail with `busy`. The file's
/// journal mode stays what it is: Python's programs open the same file.
///
/// A file that was removed, or that another one replaced (a restored backup), fails with `unavailable` from then on: what is
/// written to it would be lost, and what is read from it is old. Whoever opens the database again has the new file.
public final class SQLiteDatabase: Database {
  public let engine = DatabaseEngine.sqlite

  private let library: UnsafePointer<cdb_sqlite>
  private let handle: OpaquePointer
  private let path: String
  private var statements: [String: OpaquePointer] = [:]
  /// The file that is open; nil if it is none, but a database in memory.
  private let file: FileIdentity?

  // Numbers of SQLite's interface.
  private static let ok: Int32 = 0
  private static let row: Int32 = 100
  private static let done: Int32 = 101
  private static let readOnly: Int32 = 8
  private static let cannotOpen: Int32 = 14
  private static let readWrite: Int32 = 2
  private static let create: Int32 = 4
  /// The value is copied.
  private static let transient = -1

  public init(_ settings: DatabaseSettings, createsFile: Bool) throws(DatabaseError) {
    var reason: UnsafePointer<CChar>?
    guard let library = cdb_load_sqlite(&reason) else {
      let text = reason.map { String(cString: $0) } ?? "?"
      throw DatabaseError(
        .unavailable, "libsqlite3.so.0 cannot be loaded, Debian has it in the package libsqlite3-0: \(text)")
    }
    self.library = library
    path = settings.name
    // `<repository>/etc`, which nothing else makes. A failure shows when the file is opened.
    if createsFile, let slash = path.lastIndex(of: "/") { _ = mkdir(String(path[..<slash]), 0o777) }
    var opened: OpaquePointer?
    let flags = Self.readWrite | (createsFile ? Self.create : 0)
    let code = library.pointee.open(settings.name, &opened, flags, nil)
    guard let opened else { throw DatabaseError(.unavailable, "\(settings.name): out of memory") }
    handle = opened
    guard code == Self.ok else {
      var error = Self.error(code, library.pointee.errmsg(opened), settings.name)
      if let reason = Self.whyNotOpened(path, createsFile) { error.text += ": \(reason)" }
      error.text += settings.originNote
      _ = library.pointee.close(opened)
      throw error
    }
    file = FileIdentity(path)
    let seconds = settings.options["timeout"].flatMap(Double.init) ?? 5
    _ = library.pointee.busy_timeout(opened, Int32(max(0, min(seconds, 3600)) * 1000))
    try change("PRAGMA foreign_keys = OFF")
  }

  deinit {
    for statement in statements.values { _ = library.pointee.finalize(statement) }
    _ = library.pointee.close(handle)
  }

  @discardableResult
  public func run(
    _ sql: String, _ values: [SQLValue], _ body: (Row) throws(DatabaseError) -> Bool
  ) throws(DatabaseError) -> Int {
    try checkFile()
    let statement = try prepared(sql)
    defer {
      _ = library.pointee.reset(statement)
      _ = library.pointee.clear_bindings(statement)
    }
    try bind(values, to: statement, sql)
    while true {
      // The first step prepares a statement again whose table has changed.
      let code = library.pointee.step(statement)
      let columns = library.pointee.column_count(statement)
      switch code {
      case Self.row:
        let row = (0..<columns).map { value(statement, $0) }
        if try !body(row) { return 0 }
      case Self.done: return columns == 0 ? Int(library.pointee.changes(handle)) : 0
      default: throw lastError(code)
      }
    }
  }

  @discardableResult
  public func insert(_ sql: String, _ values: [SQLValue]) throws(DatabaseError) -> Int64 {
    try change(sql, values)
    return library.pointee.last_insert_rowid(handle)
  }

  public func execute(_ statements: [String]) throws(DatabaseError) {
    try checkFile()
    for sql in statements {
      var statement: OpaquePointer?
      let code = library.pointee.prepare(handle, sql, -1, &statement, nil)
      guard code == Self.ok, let statement else { throw lastError(code) }
      var step: Int32
      repeat { step = library.pointee.step(statement) } while step == Self.row
      let end = library.pointee.finalize(statement)
      if step != Self.done { throw lastError(end) }
    }
  }

  public func begin() throws(DatabaseError) { try change("BEGIN IMMEDIATE") }

  public func commit() throws(DatabaseError) {
    try change("COMMIT")
    // The file may have been replaced since the transaction began: then nobody will find what was written.
    try checkFile()
  }

  public func rollBack() {
    guard library.pointee.get_autocommit(handle) == 0 else { return }
    // It can fail only if SQLite has ended the transaction itself.
    _ = try? change("ROLLBACK")
  }

  // MARK: The file

  /// Which file a path leads to.
  private struct FileIdentity: Equatable {
    var device: dev_t
    var number: ino_t

    /// - Returns: nil if there is none.
    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      (device, number) = (status.st_dev, status.st_ino)
    }
  }

  /// What SQLite's message does not tell.
  private static func whyNotOpened(_ path: String, _ createsFile: Bool) -> String? {
    guard access(path, R_OK | W_OK) != 0 else { return nil }
    let reason = String(cString: strerror(errno))
    guard errno == ENOENT, createsFile, let slash = path.lastIndex(of: "/") else { return reason }
    let folder = String(path[..<slash])
    return access(folder, W_OK | X_OK) == 0 ? reason : "\(folder): \(String(cString: strerror(errno)))"
  }

  /// Fails if the path leads elsewhere now. A transaction goes on: its end tells.
  private func checkFile() throws(DatabaseError) {
    guard let file, library.pointee.get_autocommit(handle) != 0 else { return }
    guard let now = FileIdentity(path) else {
      throw DatabaseError(.unavailable, "\(path): the file was removed after it was opened")
    }
    if now != file { throw DatabaseError(.unavailable, "\(path): another file took its place after it was opened") }
  }

  // MARK: Statements

  private func prepared(_ sql: String) throws(DatabaseError) -> OpaquePointer {
    if let statement = statements[sql] { return statement }
    var statement: OpaquePointer?
    let code = library.pointee.prepare(handle, sql, -1, &statement, nil)
    guard code == Self.ok, let statement else { throw lastError(code) }
    statements[sql] = statement
    return statement
  }

  private func bind(_ values: [SQLValue], to statement: OpaquePointer, _ sql: String) throws(DatabaseError) {
    guard library.pointee.bind_parameter_count(statement) == values.count else {
      throw DatabaseError(.other, "\(values.count) values for: \(sql)")
    }
    for (index, value) in values.enumerated() {
      let place = Int32(index + 1)
      let code =
        switch value {
        case .null: library.pointee.bind_null(statement, place)
        case .integer(let number): library.pointee.bind_int64(statement, place, number)
        case .real(let number): library.pointee.bind_double(statement, place, number)
        case .bool(let flag): library.pointee.bind_int64(statement, place, flag ? 1 : 0)
        case .text(let text): bindText(text, to: statement, place)
        }
      if code != Self.ok { throw lastError(code) }
    }
  }

  private func bindText(_ text: String, to statement: OpaquePointer, _ place: Int32) -> Int32 {
    var text = text
    return text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        // An empty string has no address, which would be null.
        guard let address = characters.baseAddress, !characters.isEmpty else {
          return library.pointee.bind_text(statement, place, "", 0, Self.transient)
        }
        return library.pointee.bind_text(statement, place, address, Int32(clamping: characters.count), Self.transient)
      }
    }
  }

  private func value(_ statement: OpaquePointer, _ column: Int32) -> SQLValue {
    switch library.pointee.column_type(statement, column) {
    case 1: return .integer(library.pointee.column_int64(statement, column))
    case 2: return .real(library.pointee.column_double(statement, column))
    case 5: return .null
    default:
      guard let text = library.pointee.column_text(statement, column) else { return .text("") }
      let count = Int(library.pointee.column_bytes(statement, column))
      return .text(String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self))
    }
  }

  // MARK: Errors

  private func lastError(_ code: Int32) -> DatabaseError {
    var error = Self.error(library.pointee.extended_errcode(handle), library.pointee.errmsg(handle), path)
    // The journal beside an open file cannot be made.
    if code & 0xFF == Self.cannotOpen, let slash = path.lastIndex(of: "/") {
      error.isReadOnly = access(String(path[..<slash]), W_OK | X_OK) != 0
    }
    return error
  }

  private static func error(_ code: Int32, _ text: UnsafePointer<CChar>?, _ path: String) -> DatabaseError {
    let message = text.map { String(cString: $0) } ?? "error \(code)"
    let kind: DatabaseError.Kind =
      switch code & 0xFF {
      case 5, 6: .busy
      case 8, 10, 14, 23: .unavailable
      case 13: .full
      case 18, 20: .value
      case 19: .constraint
      case 1 where message.hasPrefix("no such table") || message.hasPrefix("no such column"): .missing
      default: .other
      }
    var error = DatabaseError(kind, "\(path): \(message)")
    error.isReadOnly = code & 0xFF == readOnly
    return error
  }
}
