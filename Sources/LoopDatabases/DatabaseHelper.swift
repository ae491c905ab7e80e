import CLinux
import Databases
import EventLoop
import Glibc

/// The helper process that waits for a database whose library only waits: SQLite, MySQL.
///
/// Its socket brings the settings once, then statements, and takes an answer to each. It ends when the socket closes. The
/// database is opened with the first statements, and again after it could not be.
public nonisolated enum DatabaseHelper {
  static let argument = "--database-helper"
  /// The socket's number in the helper.
  static let socketNumber: Int32 = 3
  /// Files that it may open: a database with its journal, its directory, a connection.
  private static let fileLimit: rlim_t = 64

  /// Becomes a helper, and does not return, if the arguments say so: first thing in `@main`.
  public static func runIfAsked(_ arguments: [String] = CommandLine.arguments) {
    guard arguments.dropFirst().first == argument else { return }
    exit(run(socket: socketNumber))
  }

  /// Answers until the other end closes. Returns the exit status.
  static func run(socket: Int32) -> Int32 {
    var status = stat()
    guard fstat(socket, &status) == 0, clinux_s_issock(status.st_mode) != 0 else { return 64 }
    _ = clinux_set_name("database-helper")
    // It neither outlives the server nor shows its memory, which has the password.
    _ = clinux_set_parent_death_signal(SIGKILL)
    _ = clinux_set_dumpable(0)
    // New database files are the server's alone.
    umask(0o027)
    var files = rlimit(rlim_cur: fileLimit, rlim_max: fileLimit)
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
    do {
      guard let first = try receive(socket), first.kind == StatementFrames.Kind.settings else { return 1 }
      let settings = try StatementFrames.settings(first.payload)
      var database: (any Database)?
      while let question = try receive(socket) {
        guard question.kind == StatementFrames.Kind.statements else { return 1 }
        let statements = try StatementFrames.statements(question.payload)
        guard send(answer(statements, settings, &database), socket) else { return 1 }
      }
      return 0
    } catch {
      return 1
    }
  }

  private static func answer(
    _ statements: [LoopStatement], _ settings: DatabaseSettings, _ database: inout (any Database)?
  ) -> [UInt8] {
    do throws(DatabaseError) {
      let opened: any Database
      if let known = database { opened = known } else { opened = try Databases.open(settings, createsFile: true) }
      database = opened
      let payload = StatementFrames.bytes(of: try results(statements, opened))
      guard payload.count <= StatementFrames.limitBytes else {
        throw DatabaseError(.other, "an answer has \(payload.count) bytes, more than \(StatementFrames.limitBytes)")
      }
      return StatementFrames.frame(StatementFrames.Kind.results, payload)
    } catch {
      // A file that was replaced stays lost; a connection is made anew anyway.
      if error.kind == .unavailable { database = nil }
      return StatementFrames.frame(StatementFrames.Kind.failure, StatementFrames.bytes(of: error))
    }
  }

  private static func results(
    _ statements: [LoopStatement], _ database: any Database
  ) throws(DatabaseError) -> [StatementResult] {
    if statements.count == 1 { return [try result(statements[0], database)] }
    try database.begin()
    do throws(DatabaseError) {
      var results: [StatementResult] = []
      for statement in statements { results.append(try result(statement, database)) }
      try database.commit()
      return results
    } catch {
      database.rollBack()
      throw error
    }
  }

  private static func result(_ statement: LoopStatement, _ database: any Database) throws(DatabaseError)
    -> StatementResult
  {
    var result = StatementResult()
    // Rows are as large as what the daemon takes.
    var bytes = 0
    result.changes = try database.run(statement.sql, statement.values) { (row) throws(DatabaseError) in
      bytes += row.reduce(8) { $0 + 9 + (($1.asText?.utf8.count) ?? 0) }
      guard bytes <= StatementFrames.limitBytes else {
        throw DatabaseError(.other, "a statement has rows of more than \(StatementFrames.limitBytes) bytes")
      }
      result.rows.append(row)
      return true
    }
    return result
  }

  // MARK: Socket

  /// The next frame; nil at the end.
  private static func receive(_ socket: Int32) throws -> (kind: UInt8, payload: ArraySlice<UInt8>)? {
    guard let head = receive(socket, FrameHeader.byteCount) else { return nil }
    guard let header = FrameHeader(head[...], limitBytes: StatementFrames.limitBytes),
      let payload = receive(socket, header.payloadBytes)
    else { throw StatementFrames.Malformed() }
    return (header.kind, payload[...])
  }

  private static func receive(_ socket: Int32, _ count: Int) -> [UInt8]? {
    var isWhole = true
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { space, filled in
      while filled < count {
        let got = recv(socket, space.baseAddress! + filled, count - filled, 0)
        if got < 0 && errno == EINTR { continue }
        guard got > 0 else {
          isWhole = false
          return
        }
        filled += got
      }
    }
    return isWhole ? bytes : nil
  }

  private static func send(_ frame: [UInt8], _ socket: Int32) -> Bool {
    frame.withUnsafeBytes { bytes in
      var sent = 0
      while sent < bytes.count {
        let count = Glibc.send(socket, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return false }
        sent += count
      }
      return true
    }
  }
}
