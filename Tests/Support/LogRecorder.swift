public import Logging
public import ServerSettings
import Synchronization

/// Keeps what is logged: as the logger of what is tested, or as a destination of a `LogRouter`.
public final nonisolated class LogRecorder: LogSink {
  public let name: String
  public let dropped = 0
  private let level: Logger.Level
  private let kept = Mutex<[LogRecord]>([])

  /// - Parameters:
  ///   - level: the lowest that `logger` keeps.
  ///   - name: of the destination.
  public init(level: Logger.Level = .warning, name: String = "recorder") {
    self.level = level
    self.name = name
  }

  /// A logger whose messages are kept.
  public var logger: Logger { logger(label: "test") }

  public func logger(label: String) -> Logger { Logger(label: label, factory: handler) }

  /// As `LoggingSystem.bootstrap` wants it.
  public func handler(label: String) -> any LogHandler {
    let router = LogRouter()
    router.configure([(self, level)], standard: level)
    return router.handler(label: label)
  }

  public func write(_ record: LogRecord) { kept.withLock { $0.append(record) } }

  public var records: [LogRecord] { kept.withLock { $0 } }

  /// What was logged since the last `take`, `LEVEL message`.
  public var lines: [String] { records.map(Self.line) }

  /// Lines at notice and above, which an administrator sees.
  public var notices: [String] { records.filter { $0.level >= .notice }.map(Self.line) }

  /// Whether a line is there, exactly.
  public func has(_ line: String) -> Bool { lines.contains(line) }

  /// The lines since the last call.
  @discardableResult
  public func take() -> [String] {
    kept.withLock { kept in
      defer { kept = [] }
      return kept.map(Self.line)
    }
  }

  private static func line(_ record: LogRecord) -> String { "\(record.level) \(record.message)" }
}
