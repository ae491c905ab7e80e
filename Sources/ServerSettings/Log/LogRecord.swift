public import Glibc
public import Logging
import XMLRPC

/// One message on its way to the destinations.
public nonisolated struct LogRecord: Sendable {
  /// What is said beside the message: a number of the client's run, what a library adds.
  public typealias Field = (name: String, value: Logger.MetadataValue)

  public let level: Logger.Level
  /// The logger's label: `bcfg2-server`, a plugin's name.
  public let label: String
  /// The text, as it was given: destinations make it one line.
  public let message: String
  /// What is said beside it, sorted by name.
  public let fields: [Field]
  /// The request during which it was logged.
  public let request: RequestLabel?
  /// Where it was logged, as `#fileID`; empty where that is not known.
  public let file: String
  /// The line of that file.
  public let line: UInt
  /// Wall clock, when it was logged.
  public let time: timespec
  /// The process that logged it. Few destinations ask for it.
  public var process: pid_t { givenProcess ?? getpid() }
  private let givenProcess: pid_t?

  /// A message of this process, now.
  public init(
    level: Logger.Level, label: String, message: String, fields: [Field] = [], request: RequestLabel? = nil,
    file: String = "", line: UInt = 0
  ) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    self.level = level
    self.label = label
    self.message = message
    self.fields = fields
    self.request = request
    self.file = file
    self.line = line
    self.time = now
    givenProcess = nil
  }

  /// A message with everything given.
  public init(
    level: Logger.Level, label: String, message: String, fields: [Field] = [], request: RequestLabel? = nil,
    file: String = "", line: UInt = 0, time: timespec, process: pid_t
  ) {
    self.level = level
    self.label = label
    self.message = message
    self.fields = fields
    self.request = request
    self.file = file
    self.line = line
    self.time = time
    givenProcess = process
  }

  /// The same record of another request.
  package func labelled(_ request: RequestLabel?) -> LogRecord {
    LogRecord(
      level: level, label: label, message: message, fields: fields, request: request, file: file, line: line,
      time: time, process: process)
  }

  /// The text of a destination without fields: the message, and behind it what is said beside it. A debug message names its
  /// request; others keep the words that administrators look for.
  public var text: String {
    let id = level <= .debug ? request?.id : nil
    guard !fields.isEmpty || id != nil else { return message }
    var text = message
    for field in fields { text += " \(field.name)=\(field.value)" }
    if let id { text += " request=\(id)" }
    return text
  }

  /// The line of a console: the message alone, as Bcfg2's TermiosFormatter prints it to something that is no terminal.
  public var consoleLine: [UInt8] {
    var line: [UInt8] = []
    let text = text
    // systemd reads a number in angle brackets at the beginning of a line as its level.
    if text.utf8.first == UInt8(ascii: "<") { line.append(UInt8(ascii: " ")) }
    BoundedText.appendVisible(text, to: &line)
    line.append(0x0A)
    return line
  }

  /// The line of a log file, `2014-01-31 12:00:00,123 name[pid]: message` in local time.
  public var fileLine: [UInt8] {
    var line = Array(Self.timestamp(time).utf8)
    line += " \(label)[\(process)]: ".utf8
    BoundedText.appendVisible(text, to: &line)
    line.append(0x0A)
    return line
  }

  /// The datagrams of syslog, `<priority>name[pid]: message` and a zero byte, each with at most 250 bytes of the
  /// message, as Bcfg2's FragmentingSysLogHandler cuts them; here never inside a character. An object of JSON is one
  /// datagram: a part of one cannot be read.
  ///
  /// - Parameter program: stands for the label: syslog files by program.
  public func datagrams(program: String, format: LogFormat = .text) -> [[UInt8]] {
    let head = Array("<\(Self.daemonFacility | level.severity)>\(program)[\(process)]: ".utf8)
    if format == .json { return [head + jsonObject + [0]] }
    var text: [UInt8] = []
    BoundedText.appendVisible(self.text, to: &text)
    var result: [[UInt8]] = []
    var start = 0
    while start < text.count {
      var end = min(start + Self.fragmentBytes, text.count)
      while end < text.count, end > start + 1, text[end] & 0xC0 == 0x80 { end -= 1 }
      var datagram = head
      datagram += text[start..<end]
      datagram.append(0)
      result.append(datagram)
      start = end
    }
    return result
  }

  /// Message bytes in one datagram.
  static let fragmentBytes = 250
  /// LOG_DAEMON of syslog(3).
  static let daemonFacility = 3 << 3

  /// Local time as Python's `%(asctime)s`.
  static func timestamp(_ time: timespec) -> String {
    var seconds = time.tv_sec
    var parts = tm()
    localtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let count = strftime(&text, text.count, "%Y-%m-%d %H:%M:%S", &parts)
    let milliseconds = String(1000 + time.tv_nsec / 1_000_000).dropFirst()
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) + "," + milliseconds
  }

  /// Most bytes of a message in a line, escaped, with the note on what is left out.
  static let messageBytes = 8192

  /// The message as it is shown, for a process that passes it on.
  ///
  /// - Parameter hasFields: whether what is said beside it stands behind it.
  package func visibleMessage(hasFields: Bool) -> [UInt8] {
    var text: [UInt8] = []
    BoundedText.appendVisible(hasFields ? self.text : message, to: &text)
    return text
  }
}

nonisolated extension Logger.Level {
  /// syslog(3)'s severity: 2 critical to 7 debug.
  var severity: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }

  /// Position in the order of levels, 0 for trace.
  package var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
