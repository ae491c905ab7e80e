import Commands
import EventLoop
import Glibc
import Logging
import PackageFetching
import ServerSettings

/// Shows a refresh.
@MainActor
protocol RefreshDisplay: AnyObject {
  func begin(_ refresh: Refresh)
  func log(_ level: RefreshEvent.Level, _ text: String)
  /// What the log says of a source that is done.
  func verdict(_ level: RefreshEvent.Level, _ text: String)
  func done(_ result: RefreshResult)
  func end(_ results: [RefreshResult])
}

extension RefreshDisplay {
  func begin(_ refresh: Refresh) {}
  func verdict(_ level: RefreshEvent.Level, _ text: String) { log(level, text) }
  func end(_ results: [RefreshResult]) {}

  fileprivate func write(_ line: String, to descriptor: Int32 = STDOUT_FILENO) {
    var text = line + "\n"
    text.withUTF8 { bytes in
      var written = 0
      while written < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        written += count
      }
    }
  }
}

extension RefreshResult {
  /// One line without the source's name: what has become of it.
  var line: String {
    switch outcome {
    case .made(let packages, _, let bytes, let duration):
      let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
      let rounded = (seconds * 10).rounded() / 10
      return "\(packages) packages, fetched \(Self.size(transferred)), index of \(Self.size(bytes)), \(rounded) s"
    case .unchanged(let made): return "unchanged since \(UTC.text(made))"
    case .kept(let made): return "failed, keeps the packages of \(UTC.text(made)): \(problem)"
    case .partial(let packages, let missing):
      return "\(packages) packages, without \(missing) \(missing == 1 ? "part" : "parts"): \(problem)"
    case .failed: return "failed: \(problem)"
    }
  }

  private var problem: String { problems.last ?? "?" }

  static func size(_ bytes: Int) -> String {
    switch bytes {
    case ..<10_000: return "\(bytes) bytes"
    case ..<10_000_000: return "\(bytes / 1000) kB"
    default: return "\(bytes / 1_000_000) MB"
    }
  }
}

/// For the server: lines of fields between tabs.
final class ReportLines: RefreshDisplay {
  func log(_ level: RefreshEvent.Level, _ text: String) { line(["log", level.rawValue, text]) }

  func done(_ result: RefreshResult) {
    let outcome =
      switch result.outcome {
      case .made, .unchanged: "ok"
      case .kept, .partial: "kept"
      case .failed: "failed"
      }
    line(["source", result.name, outcome, result.line])
  }

  private func line(_ fields: [String]) {
    let clean = fields.map { field in
      String(String.UnicodeScalarView(field.unicodeScalars.map { $0.value < 0x20 ? " " : $0 }))
    }
    write(clean.joined(separator: "\t"))
  }
}

/// For `--quiet`: errors on standard error.
final class ErrorLines: RefreshDisplay {
  func log(_ level: RefreshEvent.Level, _ text: String) { if level == .error { write(text, to: STDERR_FILENO) } }
  func done(_ result: RefreshResult) {}
}

/// For `[logging] format = json`, where no terminal is: objects on standard error.
final class JSONLines: RefreshDisplay {
  private let isQuiet: Bool

  /// - Parameter isQuiet: errors only.
  init(isQuiet: Bool) { self.isQuiet = isQuiet }

  func log(_ level: RefreshEvent.Level, _ text: String) {
    guard !isQuiet || level == .error else { return }
    say(Logger.Level(rawValue: level.rawValue) ?? .info, text)
  }

  /// The line of the source says the same.
  func verdict(_ level: RefreshEvent.Level, _ text: String) { if isQuiet { log(level, text) } }

  func done(_ result: RefreshResult) {
    guard !isQuiet else { return }
    let fields: [LogRecord.Field] = [
      ("fetched_bytes", .stringConvertible(result.transferred)), ("source", "\(result.source)"),
    ]
    say(result.isGood ? .info : .error, "\(result.source): \(result.line)", fields)
  }

  private func say(_ level: Logger.Level, _ text: String, _ fields: [LogRecord.Field] = []) {
    let record = LogRecord(level: level, label: "bcfg2-packages", message: text, fields: fields)
    write(String(decoding: record.jsonObject, as: UTF8.self), to: STDERR_FILENO)
  }
}

/// For people: a line for each source that is done, and on a terminal one for each that is in work, which changes.
final class ScreenLines: RefreshDisplay {
  private let isTerminal: Bool
  private let hasColours: Bool
  private weak var refresh: Refresh?
  /// Lines below the last one that stays.
  private var drawn = 0
  private var last = ContinuousClock.now
  private var before: [ObjectIdentifier: (bytes: Int, time: ContinuousClock.Instant)] = [:]

  init() {
    let terminal = getenv("TERM").map { String(cString: $0) } ?? "dumb"
    isTerminal = isatty(STDOUT_FILENO) != 0 && terminal != "dumb"
    hasColours = isTerminal && Output.mayHaveColours()
  }

  func begin(_ refresh: Refresh) {
    self.refresh = refresh
    guard isTerminal else { return }
    refresh.onStep = { [unowned self] in
      guard ContinuousClock.now - last >= .milliseconds(200) else { return }
      draw()
    }
  }

  func log(_ level: RefreshEvent.Level, _ text: String) {
    guard level == .warning || level == .error else { return }
    erase()
    write(coloured(text, level == .error ? "31" : "33"), to: STDERR_FILENO)
  }

  /// The line of the source says the same.
  func verdict(_ level: RefreshEvent.Level, _ text: String) {}

  func done(_ result: RefreshResult) {
    erase()
    write("\(coloured(result.source, result.isGood ? "32" : "31")): \(result.line)")
    if isTerminal { draw() }
  }

  func end(_ results: [RefreshResult]) {
    erase()
    if results.isEmpty { write("nothing to do") }
  }

  private func coloured(_ text: String, _ colour: String) -> String {
    hasColours ? "\u{1b}[\(colour)m\(text)\u{1b}[0m" : text
  }

  private func erase() {
    guard drawn > 0 else { return }
    // Up to the first line drawn, and everything below is gone.
    write("\u{1b}[\(drawn)A\r\u{1b}[J\u{1b}[A")
    drawn = 0
  }

  private func draw() {
    guard let refresh else { return }
    erase()
    let now = ContinuousClock.now
    last = now
    var size = winsize()
    let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    let width = isKnown ? Int(size.ws_col) : 80
    let height = isKnown ? Int(size.ws_row) : 24
    for (title, progress) in refresh.running.prefix(max(1, height - 2)) {
      let id = ObjectIdentifier(progress)
      let old = before[id] ?? (progress.bytes, now)
      let elapsed = now - old.time
      let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
      let rate = seconds > 0 ? Int(Double(progress.bytes - old.bytes) / seconds) : 0
      if before[id] == nil || seconds > 2 { before[id] = (progress.bytes, now) }
      write(String("\(title): \(RefreshResult.size(progress.bytes)), \(RefreshResult.size(rate))/s".prefix(width - 1)))
      drawn += 1
    }
  }
}

/// What the readers of bcfg2.conf and sources.xml log, shown as the rest.
struct DisplayLog: LogHandler {
  @MainActor static weak var display: (any RefreshDisplay)?

  let label: String
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info

  init(label: String) { self.label = label }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let level: RefreshEvent.Level =
      switch event.level {
      case .trace, .debug: .debug
      case .info, .notice: .info
      case .warning: .warning
      case .error, .critical: .error
      }
    let text = event.message.description
    // Everything here is on the main thread.
    MainActor.assumeIsolated { Self.display?.log(level, text) }
  }
}
