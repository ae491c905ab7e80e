import Logging
import Synchronization

@testable import Server

/// What a core logs, `LEVEL message`.
nonisolated final class CapturedLines: LogSink {
  let name = "captured"
  let dropped = 0
  private let captured = Mutex<[String]>([])
  private let router = LogRouter()

  @MainActor init(_ core: ServerCore? = nil) {
    router.configure([(self, .debug)], standard: .debug)
    core?.logger = Logger(label: "bcfg2-server") { [router] in router.handler(label: $0) }
    core?.templates.logger = Logger(label: "Templates") { [router] in router.handler(label: $0) }
  }

  var lines: [String] { captured.withLock { $0 } }

  /// Whether a line is there, exactly.
  func has(_ line: String) -> Bool { lines.contains(line) }

  func write(_ record: LogRecord) { captured.withLock { $0.append("\(record.level) \(record.message)") } }
}
