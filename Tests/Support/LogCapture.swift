public import Logging
import Synchronization

/// Keeps what is logged, at warning level and above unless told otherwise.
public final nonisolated class LogCapture: Sendable {
  private struct Handler: LogHandler {
    let capture: LogCapture
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { capture.lines.withLock { $0.append("\(event.level) \(event.message)") } }
  }

  private let lines = Mutex<[String]>([])

  private let level: Logger.Level

  /// - Parameter level: the lowest that is kept.
  public init(level: Logger.Level = .warning) { self.level = level }

  public var logger: Logger { Logger(label: "test") { _ in Handler(capture: self, logLevel: self.level) } }

  /// The lines since the last call, `LEVEL message`.
  public func take() -> [String] {
    lines.withLock { lines in
      defer { lines = [] }
      return lines
    }
  }
}
