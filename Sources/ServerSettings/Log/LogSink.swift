import CLinux
public import EventLoop
import Glibc
import Logging
import Synchronization

/// A destination of log messages. Writing never waits: a message that cannot be written at once is counted and dropped.
public nonisolated protocol LogSink: AnyObject, Sendable {
  /// `console`, `file` or `syslog`, as Bcfg2 names its handlers.
  var name: String { get }
  /// Messages that were lost, in whole or in part, since the start.
  var dropped: Int { get }
  /// Writes one message.
  func write(_ record: LogRecord)
  /// Buffers one message until `flush`, so that many are written together.
  func gather(_ record: LogRecord)
  /// Writes the buffered messages.
  func flush()
}

nonisolated extension LogSink {
  public func gather(_ record: LogRecord) { write(record) }
  public func flush() {}
}

/// The console: message lines on standard error.
public nonisolated final class ConsoleLog: LogSink {
  public let name = "console"
  private let writer: Mutex<LineWriter>
  private let format: LogFormat
  private let hasLevels: Bool

  /// - Parameters:
  ///   - descriptor: where to write, not closed; standard error where nothing else is said. A pipe or a terminal is opened once more for this process alone, so that
  ///     writing does not wait and the other holders of standard error notice nothing.
  ///   - hasLevels: begins lines with their level as `<4>`: systemd takes that in front of a line for it.
  public init(descriptor: Int32 = 2, format: LogFormat = .text, hasLevels: Bool = false) {
    self.format = format
    self.hasLevels = hasLevels
    var own: Int32 = -1
    if clinux_descriptor_kind(descriptor) == 1 {
      own = open("/proc/self/fd/\(descriptor)", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    }
    writer = Mutex(LineWriter(descriptor: own >= 0 ? own : descriptor, isOwned: own >= 0))
  }

  public var dropped: Int { writer.withLock { $0.dropped } }

  public func write(_ record: LogRecord) {
    let line = line(record)
    writer.withLock { $0.write(line) }
  }

  public func gather(_ record: LogRecord) {
    let line = line(record)
    writer.withLock { $0.gather(line) }
  }

  public func flush() { writer.withLock { $0.flush() } }

  private func line(_ record: LogRecord) -> [UInt8] {
    let line = format == .json ? record.jsonLine : record.consoleLine
    return hasLevels ? Array("<\(record.level.severity)>".utf8) + line : line
  }
}

/// A log file, appended to; a named pipe works too.
public nonisolated final class FileLog: LogSink {
  public let name = "file"
  /// Where it is.
  public let path: String
  private let writer: Mutex<LineWriter>
  private let format: LogFormat

  /// Opens the file, and creates it with mode 0666 less the umask.
  ///
  /// - Parameter owner: the owner of a file that root creates here, so that it can be opened again after privileges were
  ///   dropped. An existing file keeps its owner: root gives away only files that root has made. Root follows links only in
  ///   folders that root alone may write to.
  public init(
    path: String, owner: (user: UInt32, group: UInt32)? = nil, format: LogFormat = .text
  ) throws(SystemError) {
    self.path = path
    self.format = format
    let descriptor = try Self.open(path, owner: owner)
    writer = Mutex(LineWriter(descriptor: descriptor, isOwned: true))
  }

  /// Opens the path again: after its rotation the old file would grow on. On failure the old one stays in use.
  public func reopen() throws(SystemError) {
    let descriptor = try Self.open(path, owner: nil)
    writer.withLock { writer in
      writer.flush()
      let dropped = writer.dropped
      writer = LineWriter(descriptor: descriptor, isOwned: true)
      writer.dropped = dropped
    }
  }

  public var dropped: Int { writer.withLock { $0.dropped } }

  public func write(_ record: LogRecord) {
    let line = line(record)
    writer.withLock { $0.write(line) }
  }

  public func gather(_ record: LogRecord) {
    let line = line(record)
    writer.withLock { $0.gather(line) }
  }

  public func flush() { writer.withLock { $0.flush() } }

  private func line(_ record: LogRecord) -> [UInt8] { format == .json ? record.jsonLine : record.fileLine }

  /// Why this process could not open the file now; nil where it could.
  ///
  /// After privileges were dropped: so an administrator hears of it before the log is rotated.
  var obstacle: SystemError? {
    if access(path, W_OK) == 0 || errno == ENOENT { return nil }
    return SystemError(call: "open", errno: errno, detail: path)
  }

  private static func open(_ path: String, owner: (user: uid_t, group: gid_t)?) throws(SystemError) -> Int32 {
    let flags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
    if let owner, geteuid() == 0, owner.user != 0 || owner.group != 0 {
      // O_EXCL follows no link: the file is new, and nobody else's.
      if let file = try? RootFiles.open(path, flags | O_EXCL, mode: 0o666) {
        let raw = file.rawValue
        if fchown(raw, owner.user, owner.group) == 0 { return file.take() }
        throw SystemError(call: "fchown", errno: errno, detail: path)
      }
    }
    do throws(SystemError) {
      return try RootFiles.open(path, flags, mode: 0o666).take()
    } catch {
      guard let explanation = explanation(of: error.errno) else { throw error }
      throw SystemError(call: "open", errno: error.errno, detail: path, explanation: explanation)
    }
  }

  /// What an errno of opening a log file means; nil where its own text says it.
  static func explanation(of code: Int32) -> String? {
    switch code {
    case ENXIO: "a FIFO that nobody reads"
    // The units of systemd let the server write in few folders; Bcfg2's server writes anywhere.
    case EROFS:
      "\(String(cString: strerror(EROFS))); under systemd its folder has to be among ReadWritePaths= of the unit (docs/systemd.md)"
    default: nil
    }
  }
}

/// syslog over its Unix socket, or over UDP to this host where there is none, with facility daemon.
public nonisolated final class SyslogLog: LogSink {
  public let name = "syslog"
  private let program: String
  private let format: LogFormat
  private let path: String
  private let port: UInt16
  private let state: Mutex<State>

  private struct State: ~Copyable {
    var descriptor: Int32
    var dropped = 0

    init(descriptor: Int32) { self.descriptor = descriptor }
    deinit { if descriptor >= 0 { close(descriptor) } }
  }

  /// - Parameters:
  ///   - program: the tag of every message.
  ///   - path: the socket of syslogd.
  ///   - port: where to send if the socket does not exist; 0: nowhere.
  public init(program: String, format: LogFormat = .text, path: String = "/dev/log", port: UInt16 = 514) {
    self.program = program
    self.format = format
    self.path = path
    self.port = port
    state = Mutex(State(descriptor: Self.connect(path, port)))
  }

  public var dropped: Int { state.withLock { $0.dropped } }

  public func write(_ record: LogRecord) {
    for datagram in record.datagrams(program: program, format: format) {
      state.withLock { send(datagram, of: record, &$0) }
    }
  }

  /// Sends, after a new connection if the old one is gone: syslogd may have been restarted.
  private func send(_ datagram: [UInt8], of record: LogRecord, _ state: inout State) {
    if Self.isSent(datagram, state.descriptor) { return }
    guard state.descriptor < 0 || (errno != EAGAIN && errno != ENOBUFS) else {
      state.dropped += 1
      return
    }
    let hadSocket = state.descriptor >= 0
    if hadSocket { close(state.descriptor) }
    state.descriptor = Self.connect(path, port)
    guard state.descriptor >= 0 else {
      state.dropped += 1
      return
    }
    let notice = LogRecord(
      level: .warning, label: record.label, message: "Reconnected to syslog", time: record.time,
      process: record.process)
    for part in notice.datagrams(program: program, format: format) { _ = Self.isSent(part, state.descriptor) }
    if !Self.isSent(datagram, state.descriptor) { state.dropped += 1 }
  }

  private static func isSent(_ datagram: [UInt8], _ descriptor: Int32) -> Bool {
    guard descriptor >= 0 else { return false }
    while true {
      let count = clinux_send_log(descriptor, datagram, datagram.count)
      if count >= 0 { return true }
      if errno != EINTR { return false }
    }
  }

  private static func connect(_ path: String, _ port: UInt16) -> Int32 {
    let descriptor = clinux_connect_log(path)
    return descriptor >= 0 || port == 0 ? descriptor : clinux_connect_log_udp(port)
  }
}
