import CDatabases
import Databases
import EventLoop
import Glibc

/// One connection to PostgreSQL, by the calls of libpq that do not wait. It does one command at a time.
final class PostgreSQLConnection {
  enum Command {
    /// One or more statements without values.
    case simple(String)
    case prepare(name: String, sql: String)
    case execute(name: String, sql: String, PostgreSQLValues)
  }

  /// What became of a command.
  struct Outcome {
    var result = StatementResult()
    var error: DatabaseError?
    /// The prepared statement has to be prepared again.
    var isOutdated = false
  }

  /// Bytes of the rows of one command.
  static let resultLimitBytes = 64 << 20
  /// PGRES_SINGLE_TUPLE.
  private static let singleRow: Int32 = 9

  private let library: PostgreSQLLibrary
  private let settings: DatabaseSettings
  private unowned let loop: Reactor
  private var connection: OpaquePointer?
  /// A duplicate of libpq's socket, which libpq closes whenever the connection fails.
  private var descriptor: FileDescriptor?
  private var watcher: Watcher?
  private var timer: Timer?
  private var isConnected = false
  private var outcome: Outcome?
  private var text = ""
  private var resultBytes = 0

  /// It is connected.
  var onReady: () -> Void = {}
  var onOutcome: (Outcome) -> Void = { _ in }
  var onNotification: (_ channel: String, _ payload: String) -> Void = { _, _ in }
  /// It could not be made, or was lost: called once, and it is closed.
  var onLoss: (DatabaseError) -> Void = { _ in }

  private var functions: cdb_postgresql { library.functions }

  init(_ library: PostgreSQLLibrary, _ settings: DatabaseSettings, on loop: Reactor) {
    self.library = library
    self.settings = settings
    self.loop = loop
  }

  isolated deinit { close() }

  // MARK: Connecting

  /// Begins to connect. The end is told by `onReady` or `onLoss`.
  func start(_ hosts: PostgreSQLHosts) {
    let new = library.withParameters(hosts: hosts.hosts, addresses: hosts.addresses) {
      functions.connect_start($0, $1, 0)
    }
    guard let new else { return lose(settings.error(.unavailable, "out of memory")) }
    connection = new
    _ = functions.set_notice_processor(new, { _, _ in }, nil)
    guard functions.status(new) != PostgreSQLLibrary.connectionBad else {
      return lose(library.connectionError(new))
    }
    let seconds = settings.options["connect_timeout"].flatMap { Int($0) } ?? 10
    // libpq's own is for those who wait. 0 means no end there; here there is one.
    let limit = Duration.seconds(seconds > 0 ? min(seconds, 3600) : 3600)
    timer = loop.schedule(after: limit) { [weak self] in
      guard let self else { return }
      lose(settings.error(.unavailable, "no connection within \(limit)"))
    }
    // As after PGRES_POLLING_WRITING (libpq's manual, PQconnectStartParams).
    watch(.write)
  }

  private func advanceConnecting(_ connection: OpaquePointer) {
    // libpq may go on with another socket.
    unwatch()
    switch functions.connect_poll(connection) {
    case 1: watch(.read)
    case 2: watch(.write)
    case 3:
      isConnected = true
      guard functions.set_nonblocking(connection, 1) == 0 else { return lose(library.connectionError(connection)) }
      watch(.read)
      send(.simple(library.greeting))
    default: lose(library.connectionError(connection))
    }
  }

  private func connected() {
    timer?.cancel()
    timer = nil
    onReady()
  }

  // MARK: Commands

  /// Sends a command; `onOutcome` tells the end.
  func send(_ command: Command) {
    guard let connection else { preconditionFailure("a command for a closed connection") }
    precondition(outcome == nil, "a connection does one command at a time")
    outcome = Outcome()
    resultBytes = 0
    let isSent: Int32
    switch command {
    case .simple(let sql):
      text = sql
      isSent = functions.send_query(connection, sql)
    case .prepare(let name, let sql):
      text = sql
      isSent = functions.send_prepare(connection, name, numberedPlaces(sql), 0, nil)
    case .execute(let name, let sql, let values):
      text = sql
      isSent = values.withPointers {
        functions.send_query_prepared(connection, name, Int32(values.count), $0, nil, nil, 0)
      }
      // Rows come one by one, so that their number can be bounded.
      if isSent == 1 { _ = functions.set_single_row_mode(connection) }
    }
    if isSent == 1 { flush(connection) } else { lose(library.connectionError(connection)) }
  }

  func close() {
    timer?.cancel()
    timer = nil
    unwatch()
    if let connection = connection.take() { functions.finish(connection) }
  }

  // MARK: Readiness

  private func watch(_ interest: Interest) {
    guard let connection else { return }
    do throws(SystemError) {
      if let watcher { return try watcher.setInterest(interest) }
      let copy = fcntl(functions.socket(connection), F_DUPFD_CLOEXEC, 0)
      if copy < 0 { throw SystemError(call: "fcntl", errno: errno) }
      descriptor = FileDescriptor(owning: copy)
      watcher = try loop.register(copy, interest: interest) { [weak self] in self?.handle($0) }
    } catch {
      lose(settings.error(.unavailable, "\(error)"))
    }
  }

  private func unwatch() {
    watcher?.cancel()
    watcher = nil
    if let descriptor = descriptor.take() { loop.closeLater(descriptor) }
  }

  private func handle(_ readiness: Readiness) {
    guard let connection else { return }
    guard isConnected else { return advanceConnecting(connection) }
    if !readiness.isDisjoint(with: [.readable, .hangup, .error]) {
      // It reads what is there, as long as that fits into its buffer.
      guard functions.consume_input(connection) == 1 else { return lose(library.connectionError(connection)) }
      tellNotifications()
      readResults()
    }
    if let connection = self.connection, readiness.contains(.writable) { flush(connection) }
  }

  private func flush(_ connection: OpaquePointer) {
    switch functions.flush(connection) {
    case 0: watch(.read)
    case 1: watch([.read, .write])
    default: lose(library.connectionError(connection))
    }
  }

  private func tellNotifications() {
    while let connection, let notification = functions.notifies(connection) {
      let channel = notification.pointee.channel.map { String(cString: $0) } ?? ""
      let payload = notification.pointee.payload.map { String(cString: $0) } ?? ""
      functions.free_memory(notification)
      onNotification(channel, payload)
    }
  }

  /// Takes the results that are there. The end of one command may begin the next.
  private func readResults() {
    while outcome != nil, let connection, functions.is_busy(connection) == 0 {
      guard let result = functions.get_result(connection) else {
        end()
        continue
      }
      defer { functions.clear(result) }
      let status = functions.result_status(result)
      if PostgreSQLLibrary.copying.contains(status) { return lose(settings.error(.other, "COPY is not used: \(text)")) }
      take(result, status)
    }
    // Without a command in progress the end of the connection is noticed here.
    if let connection, functions.status(connection) == PostgreSQLLibrary.connectionBad {
      lose(library.connectionError(connection))
    }
  }

  private func take(_ result: OpaquePointer, _ status: Int32) {
    guard status == Self.singleRow else {
      if let error = library.error(result, text) {
        outcome?.error = error
        outcome?.isOutdated = library.isOutdated(result)
      } else {
        outcome?.result.rows += library.rows(result)
        outcome?.result.changes += library.changes(result)
      }
      return
    }
    guard outcome?.error == nil else { return }
    let rows = library.rows(result)
    for row in rows { resultBytes += row.reduce(8) { $0 + 16 + ($1.textBytes) } }
    if resultBytes <= Self.resultLimitBytes {
      outcome?.result.rows += rows
    } else {
      // The rows that still come are dropped.
      outcome?.result.rows = []
      outcome?.error = settings.error(.other, "more than \(Self.resultLimitBytes) bytes were found by: \(text)")
    }
  }

  private func end() {
    guard let ended = outcome.take() else { return }
    if timer == nil { return onOutcome(ended) }
    // It was the greeting.
    if let error = ended.error { lose(error) } else { connected() }
  }

  private func lose(_ error: DatabaseError) {
    close()
    outcome = nil
    let tell = onLoss
    onLoss = { _ in }
    tell(DatabaseError(.unavailable, error.text))
  }
}

extension SQLValue {
  nonisolated fileprivate var textBytes: Int {
    if case .text(let text) = self { return text.utf8.count }
    return 0
  }
}
