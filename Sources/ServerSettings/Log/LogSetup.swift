public import EventLoop
import Glibc
public import Logging
import Synchronization

/// The log of this process. Components log through `Logger(label:)`, which leads here after `LogSetup.bootstrap`.
public nonisolated enum Log {
  /// The destinations of this process.
  public static let router = LogRouter()

  /// Turns debugging output on or off, as `set_core_debug` does.
  public static func setDebug(_ debug: Bool) { router.setDebug(debug) }

  /// Writes the lines of one turn of the loop together, until `endGathering`.
  @MainActor package static func gather(on loop: Reactor) {
    loop.beforeWait = { router.flush() }
    router.gather(true)
  }

  /// Writes each line by itself again.
  @MainActor package static func endGathering(on loop: Reactor) {
    loop.beforeWait = nil
    router.gather(false)
  }

  /// Opens log files again; for SIGHUP.
  public static func reopen() { router.reopen() }

  /// Messages lost since the start because a destination could not take them at once.
  public static var dropped: Int { router.dropped }
}

/// Makes the log that the configuration asks for.
public nonisolated enum LogSetup {
  private static let isBootstrapped = Atomic<Bool>(false)

  /// Sets the destinations of `Log.router` and makes every `Logger` use them. Calling it again replaces the
  /// destinations.
  ///
  /// - Throws: if `[logging] path` cannot be opened; Bcfg2 does not start then either.
  public static func bootstrap(_ settings: Settings, program: String = "bcfg2-server") throws(SystemError) {
    let destinations = try destinations(settings, program: program)
    Log.router.configure(destinations, standard: level(settings))
    if !isBootstrapped.exchange(true, ordering: .relaxed) {
      LoggingSystem.bootstrap { Log.router.handler(label: $0) }
    }
    let names = destinations.map { "\(pythonName($0.level)) to \(($0.sink as? FileLog)?.path ?? $0.sink.name)" }
    Logger(label: "root").debug("Configured logging: \(names.joined(separator: "; "))")
    for warning in settings.warnings { Logger(label: program).warning("\(warning)") }
  }

  /// Replaces the destinations by those of changed settings.
  ///
  /// - Throws: if `[logging] path` cannot be opened; the old destinations then stay.
  package static func change(_ settings: Settings, program: String = "bcfg2-server") throws(SystemError) {
    let destinations = try destinations(settings, program: program)
    Log.router.configure(destinations, standard: level(settings))
  }

  /// Whether two configurations log in the same way.
  package static func isSame(_ one: Settings, _ other: Settings) -> Bool {
    one.logPath == other.logPath && one.logsToSyslog == other.logsToSyslog && one.debug == other.debug
      && one.verbose == other.verbose && one.logFormat == other.logFormat
  }

  /// Makes every `Logger` of a child process use one destination, which passes messages to its parent. The parent chooses the
  /// destinations, so the child sends what any of them may log.
  package static func bootstrap(_ settings: Settings, forwardingTo sink: any LogSink) {
    let level = min(level(settings), .info)
    Log.router.configure([(sink, level)], standard: level)
    if !isBootstrapped.exchange(true, ordering: .relaxed) {
      LoggingSystem.bootstrap { Log.router.handler(label: $0) }
    }
  }

  /// The configured level: debug, info with `verbose`, else warning.
  public static func level(_ settings: Settings) -> Logger.Level {
    settings.debug ? .debug : settings.verbose ? .info : .warning
  }

  /// The destinations with their first levels: a console unless it is a daemon, syslog, a file.
  static func destinations(
    _ settings: Settings, program: String
  ) throws(SystemError) -> [(sink: any LogSink, level: Logger.Level)] {
    let level = level(settings)
    let format = settings.logFormat
    var found: [(sink: any LogSink, level: Logger.Level)] = []
    // Who runs the server in the foreground wants to see more.
    let console = settings.pidFile == nil ? console(program: program, format) : nil
    if let console { found.append((console, min(level, .info))) }
    // The journal would have each line twice.
    if settings.logsToSyslog, !(console is JournalLog && JournalStream.takesSyslog()) {
      found.append((SyslogLog(program: program, format: format), min(level, .info)))
    }
    if let path = settings.logPath {
      found.append((try FileLog(path: path, owner: (settings.user, settings.group), format: format), level))
    }
    return found
  }

  /// Standard error; the journal, with fields, where systemd has connected it to that.
  ///
  /// BCFG2_JOURNAL_SOCKET names another socket than systemd's: whoever plays the journal has one.
  private static func console(program: String, _ format: LogFormat) -> any LogSink {
    guard JournalStream.isConnected(STDERR_FILENO, JournalStream.variable("JOURNAL_STREAM")) else {
      return ConsoleLog(format: format)
    }
    return JournalLog(
      path: JournalStream.variable("BCFG2_JOURNAL_SOCKET") ?? JournalStream.socket, program: program, format: format,
      stream: ConsoleLog(format: format, hasLevels: true))
  }

  /// A level's name in Python's logging.
  package static func pythonName(_ level: Logger.Level) -> String {
    switch level {
    case .trace, .debug: "DEBUG"
    case .info, .notice: "INFO"
    case .warning: "WARNING"
    case .error: "ERROR"
    case .critical: "CRITICAL"
    }
  }
}
