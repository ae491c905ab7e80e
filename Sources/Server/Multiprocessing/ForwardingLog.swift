import Glibc
import Logging
import ServerSettings
import Synchronization
import XMLRPC

/// The log of a child process: sends records to the parent, which has the open destinations and the levels.
///
/// So lines of several processes never mix, a rotated file is reopened in one place, and a child may log without
/// permission to open the log file. A record goes in a frame with the number of the build during which it was logged, by
/// which the parent knows its request.
nonisolated final class ForwardingLog: LogSink {
  let name = "console"
  let dropped = 0
  /// Set while files are read: the parent reads the same ones and logs about them.
  let isReading = Atomic<Bool>(false)
  private let channel: RPCChannel

  init(_ channel: RPCChannel) { self.channel = channel }

  func write(_ record: LogRecord) {
    if record.level >= .info, isReading.load(ordering: .relaxed) { return }
    MainActor.assumeIsolated {
      channel.send(.log, request: record.request?.number ?? 0, ByteSegments(Self.encode(record)))
    }
  }

  /// More fields than a record of ours has, and bytes of one, are not sent.
  private static let fieldLimit = 64
  private static let valueBytes = 1024

  /// Level, process, seconds, nanoseconds, line; then, each behind its length, label, file, the message as shown, and names and
  /// values of fields: of bounded length.
  static func encode(_ record: LogRecord) -> [UInt8] {
    var bytes = [UInt8(record.level.rank)]
    for number in [
      Int64(record.process), Int64(record.time.tv_sec), Int64(record.time.tv_nsec), Int64(record.line),
    ] {
      withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
    }
    append(Array(record.label.utf8.prefix(255)), to: &bytes)
    append(Array(record.file.utf8.prefix(255)), to: &bytes)
    append(record.visibleMessage(hasFields: false), to: &bytes)
    for field in record.fields.prefix(fieldLimit) {
      append(Array(field.name.utf8.prefix(255)), to: &bytes)
      let (kind, text) = valueText(field.value)
      append([kind] + Array(text.utf8.prefix(valueBytes)), to: &bytes)
    }
    return bytes
  }

  /// nil for bytes that are no record.
  static func decode(_ bytes: [UInt8]) -> LogRecord? {
    let headBytes = 33
    guard bytes.count >= headBytes, Int(bytes[0]) < Logger.Level.allCases.count else { return nil }
    let numbers = bytes.withUnsafeBytes { raw in
      (0..<4).map { raw.loadUnaligned(fromByteOffset: 1 + 8 * $0, as: Int64.self) }
    }
    // A clock that has these can be written as a date.
    guard (0...253_402_300_799).contains(numbers[1]), (0..<1_000_000_000).contains(numbers[2]) else { return nil }
    var rest = bytes[headBytes...]
    guard let label = next(&rest), let file = next(&rest), let message = next(&rest) else { return nil }
    var fields: [LogRecord.Field] = []
    while !rest.isEmpty {
      guard fields.count < fieldLimit, let name = next(&rest), let value = next(&rest), let kind = value.first else {
        return nil
      }
      let text = String(decoding: value.dropFirst(), as: UTF8.self)
      fields.append((String(decoding: name, as: UTF8.self), fieldValue(kind, text)))
    }
    return LogRecord(
      level: Logger.Level.allCases[Int(bytes[0])], label: String(decoding: label, as: UTF8.self),
      message: String(decoding: message, as: UTF8.self), fields: fields, file: String(decoding: file, as: UTF8.self),
      line: UInt(clamping: numbers[3]), time: timespec(tv_sec: Int(numbers[1]), tv_nsec: Int(numbers[2])),
      process: pid_t(truncatingIfNeeded: numbers[0]))
  }

  private static func append(_ text: [UInt8], to bytes: inout [UInt8]) {
    withUnsafeBytes(of: UInt32(text.count)) { bytes.append(contentsOf: $0) }
    bytes += text
  }

  private static func next(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard rest.count >= 4 else { return nil }
    let count = Int(rest.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })
    rest = rest.dropFirst(4)
    guard rest.count >= count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  /// A letter for the type, and the text.
  private static func valueText(_ value: Logger.MetadataValue) -> (kind: UInt8, text: String) {
    guard case .stringConvertible(let number) = value else { return (UInt8(ascii: "s"), "\(value)") }
    switch number {
    case is any BinaryInteger: return (UInt8(ascii: "i"), "\(number)")
    case is Double: return (UInt8(ascii: "d"), "\(number)")
    case is Bool: return (UInt8(ascii: "b"), "\(number)")
    default: return (UInt8(ascii: "s"), "\(number)")
    }
  }

  private static func fieldValue(_ kind: UInt8, _ text: String) -> Logger.MetadataValue {
    switch kind {
    case UInt8(ascii: "i"): Int64(text).map { .stringConvertible($0) } ?? .string(text)
    case UInt8(ascii: "d"): Double(text).map { .stringConvertible($0) } ?? .string(text)
    case UInt8(ascii: "b"): Bool(text).map { .stringConvertible($0) } ?? .string(text)
    default: .string(text)
    }
  }
}
