import Synchronization

/// Keeps messages in memory, for tools that say themselves what the server said.
public nonisolated final class GatheredLog: LogSink {
  public let name = "memory"
  private let state = Mutex<(records: [LogRecord], dropped: Int)>(([], 0))
  /// More messages are not kept.
  private static let limit = 100_000

  public init() {}

  public var dropped: Int { state.withLock { $0.dropped } }

  public func write(_ record: LogRecord) {
    state.withLock { state in
      if state.records.count < Self.limit { state.records.append(record) } else { state.dropped += 1 }
    }
  }

  /// The messages so far.
  public var records: [LogRecord] { state.withLock { $0.records } }

  /// Takes the messages so far out.
  public func take() -> [LogRecord] {
    state.withLock { state in
      defer { state.records = [] }
      return state.records
    }
  }
}
