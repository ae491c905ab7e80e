package import Core
import Logging
package import ServerSettings
import Synchronization

/// What a core logs, `LEVEL message`.
package nonisolated final class CapturedLines: LogSink {
  package let name = "captured"
  package let dropped = 0
  private let captured = Mutex<[String]>([])
  private let router = LogRouter()

  @MainActor package init(_ core: ServerCore? = nil) {
    router.configure([(self, .debug)], standard: .debug)
    core?.logger = Logger(label: "bcfg2-server") { [router] in router.handler(label: $0) }
    core?.templates.logger = Logger(label: "Templates") { [router] in router.handler(label: $0) }
  }

  package var lines: [String] { captured.withLock { $0 } }

  /// Whether a line is there, exactly.
  package func has(_ line: String) -> Bool { lines.contains(line) }

  package func write(_ record: LogRecord) { captured.withLock { $0.append("\(record.level) \(record.message)") } }
}
