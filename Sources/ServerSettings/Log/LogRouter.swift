import EventLoop
import Glibc
public import Logging
import Synchronization

/// Passes the messages of all loggers to the destinations, each with its level.
///
/// The levels are those of Bcfg2.Logger: the console starts at info or below, so does syslog; the file has the
/// configured level. `setDebug` is what `set_core_debug` does to Bcfg2's handlers.
public nonisolated final class LogRouter: Sendable {
  private struct Destination {
    let sink: any LogSink
    var level: Logger.Level
  }

  private struct State {
    var destinations: [Destination] = []
    var standard = Logger.Level.warning
  }

  private let state = Mutex(State())
  /// The rank of the lowest level that any destination logs; below it a logger does not even make its message.
  private let lowest = Atomic<Int>(Logger.Level.critical.rank + 1)

  private let gathers = Atomic<Bool>(false)
  private let holds = Atomic<Bool>(false)

  /// A router without destinations: nothing is logged.
  public init() {}

  /// Replaces the destinations.
  ///
  /// - Parameter standard: the configured level, used again when debugging is turned off.
  public func configure(_ destinations: [(sink: any LogSink, level: Logger.Level)], standard: Logger.Level) {
    flush()
    state.withLock { state in
      state.destinations = destinations.map { Destination(sink: $0.sink, level: $0.level) }
      state.standard = standard
      update(state)
    }
  }

  /// Turns debugging output on or off. On, every destination logs debug messages; off, the console logs info and the others
  /// the configured level.
  public func setDebug(_ debug: Bool) {
    state.withLock { state in
      for index in state.destinations.indices {
        let isConsole = state.destinations[index].sink.name == "console"
        state.destinations[index].level = debug ? .debug : isConsole ? .info : state.standard
      }
      update(state)
    }
  }

  /// The level of every destination, by name.
  public var levels: [String: Logger.Level] {
    state.withLock { Dictionary($0.destinations.map { ($0.sink.name, $0.level) }, uniquingKeysWith: min) }
  }

  /// Messages that destinations lost since the start.
  public var dropped: Int { sinks.reduce(0) { $0 + $1.dropped } }

  /// Opens log files again, after their rotation. Logging goes on to the old file where that fails, and says so there
  /// and everywhere else.
  public func reopen() {
    for case let file as FileLog in sinks {
      do throws(SystemError) {
        try file.reopen()
      } catch {
        let advice = Self.advice(error, path: file.path)
        write(
          LogRecord(
            level: .error, label: "bcfg2-server",
            message:
              "The log file could not be opened again: \(error). Logging goes on to the file that was open\(advice)"))
      }
    }
  }

  /// Warns of log files that this process could not open again. Call it after privileges were dropped.
  package func checkReopening() {
    for case let file as FileLog in sinks {
      guard let obstacle = file.obstacle else { continue }
      let advice = Self.advice(obstacle, path: file.path)
      write(
        LogRecord(
          level: .warning, label: "bcfg2-server",
          message: "SIGHUP will not be able to open the log file again: \(obstacle)\(advice)"))
    }
  }

  /// What an administrator can do about a log file that may not be opened.
  private static func advice(_ error: SystemError, path: String) -> String {
    guard error.errno == EACCES || error.errno == EPERM else { return "" }
    let (user, group) = Accounts.names(of: geteuid(), getegid())
    guard access(path, F_OK) == 0 else {
      return "; user \(user) may not create files there; with logrotate: create 0640 \(user) \(group)"
    }
    return "; give it to the server: chown \(user):\(group) \(path); with logrotate: create 0640 \(user) \(group)"
  }

  /// A handler for a logger, as LoggingSystem.bootstrap and `Logger(label:factory:)` want it.
  public func handler(label: String) -> any LogHandler { RoutedLogHandler(label: label, router: self) }

  /// Passes a message to every destination that logs its level.
  public func write(_ record: LogRecord) {
    let destinations = state.withLock { $0.destinations }
    let mayWait = record.level < .warning && gathers.load(ordering: .relaxed)
    for destination in destinations where destination.level <= record.level {
      if mayWait { destination.sink.gather(record) } else { destination.sink.write(record) }
    }
    if mayWait { holds.store(true, ordering: .relaxed) }
  }

  /// Buffers messages below a warning until `flush()`, which the caller then calls after each turn of its work; or ends that.
  /// Buffered messages are written before a later warning, and when a fault ends the process.
  public func gather(_ isOn: Bool) {
    gathers.store(isOn, ordering: .relaxed)
    if !isOn { flush() }
  }

  /// Writes the buffered messages.
  public func flush() {
    guard holds.exchange(false, ordering: .relaxed) else { return }
    for sink in sinks { sink.flush() }
  }

  fileprivate var threshold: Logger.Level {
    // Asked for each message that might be logged: without an array.
    switch lowest.load(ordering: .relaxed) {
    case 0: .trace
    case 1: .debug
    case 2: .info
    case 3: .notice
    case 4: .warning
    case 5: .error
    default: .critical
    }
  }

  private var sinks: [any LogSink] { state.withLock { $0.destinations.map(\.sink) } }

  private func update(_ state: borrowing State) {
    let ranks = state.destinations.map(\.level.rank)
    lowest.store(ranks.min() ?? Logger.Level.critical.rank + 1, ordering: .relaxed)
  }
}

/// The handler of one logger. Its level follows the router's unless the logger was given its own.
nonisolated struct RoutedLogHandler: LogHandler {
  let label: String
  let router: LogRouter
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?
  private var own: Logger.Level?

  init(label: String, router: LogRouter) {
    self.label = label
    self.router = router
  }

  var logLevel: Logger.Level {
    get { own ?? router.threshold }
    set { own = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var message = event.message.description
    if let error = event.error { message += ": \(error)" }
    let hasFields = !metadata.isEmpty || metadataProvider != nil || event.metadata != nil
    router.write(
      LogRecord(
        level: event.level, label: label, message: message, fields: hasFields ? fields(event) : [],
        request: RequestScope.current, file: event.file, line: event.line))
  }

  /// What is said beside the message: by the logger, by the task, by the call.
  private func fields(_ event: LogEvent) -> [LogRecord.Field] {
    var fields = metadata
    if let provided = metadataProvider?.get() { fields.merge(provided) { _, new in new } }
    if let given = event.metadata { fields.merge(given) { _, new in new } }
    return fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}
