import CLinux
import EventLoop
import Glibc
import Logging
import Synchronization

/// What standard error is connected to, as systemd says it in JOURNAL_STREAM.
nonisolated enum JournalStream {
  /// The socket of systemd-journald. LogNamespace= puts that of another journal in its place.
  static let socket = "/run/systemd/journal/socket"

  /// Whether a descriptor is the journal's stream, and not one to which it was redirected since.
  ///
  /// - Parameter text: of JOURNAL_STREAM: device and inode, in decimal, with a colon between them.
  static func isConnected(_ descriptor: Int32, _ text: String?) -> Bool {
    guard let numbers = text?.split(separator: ":", omittingEmptySubsequences: false), numbers.count == 2,
      let device = UInt64(numbers[0]), let inode = UInt64(numbers[1])
    else { return false }
    var status = stat()
    return fstat(descriptor, &status) == 0 && UInt64(status.st_dev) == device && UInt64(status.st_ino) == inode
  }

  /// Whether the journal is who reads what goes to syslog; it passes all that it gets on to another reader, if there is one.
  ///
  /// - Parameter path: the socket that syslog(3) writes to, a link to the journal's where systemd runs.
  static func takesSyslog(_ path: String = "/dev/log") -> Bool {
    guard let found = realpath(path, nil) else { return false }
    defer { free(found) }
    return String(cString: found) == "/run/systemd/journal/dev-log"
  }

  /// The value of a variable of this process.
  static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// The console of a service whose standard error is the journal: entries with fields, in the journal's own protocol.
///
/// What its socket does not take at once goes to standard error, as a line with its level.
public nonisolated final class JournalLog: LogSink {
  public let name = "console"
  private let path: String
  private let program: String
  private let format: LogFormat
  private let stream: ConsoleLog
  private let descriptor: Int32

  /// - Parameters:
  ///   - path: the journal's socket.
  ///   - program: SYSLOG_IDENTIFIER, which the journal shows in front of a message.
  ///   - stream: standard error.
  init(path: String, program: String, format: LogFormat, stream: ConsoleLog) {
    self.path = path
    self.program = program
    self.format = format
    self.stream = stream
    descriptor = clinux_datagram_socket()
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  public var dropped: Int { stream.dropped }

  public func write(_ record: LogRecord) {
    if !isSent(record.journalEntry(program: program, format: format)) { stream.write(record) }
  }

  public func flush() { stream.flush() }

  private func isSent(_ entry: [UInt8]) -> Bool {
    guard descriptor >= 0 else { return false }
    while true {
      if clinux_send_datagram(descriptor, path, entry, entry.count) >= 0 { return true }
      if errno == EINTR { continue }
      // More than a datagram holds: as a file in memory, which nobody can change any more.
      guard errno == EMSGSIZE else { return false }
      return clinux_send_sealed(descriptor, path, entry, entry.count) == 0
    }
  }
}
