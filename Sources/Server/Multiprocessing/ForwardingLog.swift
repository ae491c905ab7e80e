import Glibc
import Logging
import ServerSettings
import Synchronization
import XMLRPC

/// The log of a child process: sends records to the parent, which has the open destinations and the levels.
///
/// So lines of several processes never mix, a rotated file is reopened in one place, and a child may log without
/// permission to open the log file.
nonisolated final class ForwardingLog: LogSink {
  let name = "console"
  let dropped = 0
  /// Set while files are read: the parent reads the same ones and logs about them.
  let isReading = Atomic<Bool>(false)
  private let channel: RPCChannel

  init(_ channel: RPCChannel) { self.channel = channel }

  func write(_ record: LogRecord) {
    if record.level >= .info, isReading.load(ordering: .relaxed) { return }
    MainActor.assumeIsolated { channel.send(.log, ByteSegments(Self.encode(record))) }
  }

  /// Level, length of the label, process, seconds, nanoseconds, label, the message as shown: of bounded length.
  static func encode(_ record: LogRecord) -> [UInt8] {
    let label = Array(record.label.utf8.prefix(255))
    var bytes = [UInt8(record.level.rank), UInt8(label.count)]
    for number in [Int64(record.process), Int64(record.time.tv_sec), Int64(record.time.tv_nsec)] {
      withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
    }
    return bytes + label + record.visibleMessage
  }

  /// nil for bytes that are no record.
  static func decode(_ bytes: [UInt8]) -> LogRecord? {
    let headBytes = 26
    guard bytes.count >= headBytes, Int(bytes[0]) < Logger.Level.allCases.count else { return nil }
    let numbers = bytes.withUnsafeBytes { raw in
      (0..<3).map { raw.loadUnaligned(fromByteOffset: 2 + 8 * $0, as: Int64.self) }
    }
    let labelEnd = headBytes + Int(bytes[1])
    guard bytes.count >= labelEnd else { return nil }
    return LogRecord(
      level: Logger.Level.allCases[Int(bytes[0])],
      label: String(decoding: bytes[headBytes..<labelEnd], as: UTF8.self),
      message: String(decoding: bytes[labelEnd...], as: UTF8.self),
      time: timespec(tv_sec: Int(numbers[1]), tv_nsec: Int(numbers[2])), process: pid_t(truncatingIfNeeded: numbers[0]))
  }
}
