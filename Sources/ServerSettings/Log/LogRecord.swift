public import Glibc
public import Logging
import XMLRPC

/// One message on its way to the destinations.
public nonisolated struct LogRecord: Sendable {
  public let level: Logger.Level
  /// The logger's label: `bcfg2-server`, a plugin's name.
  public let label: String
  /// The text, as it was given: destinations make it one line.
  public let message: String
  /// Wall clock, when it was logged.
  public let time: timespec
  /// The process that logged it. Few destinations ask for it.
  public var process: pid_t { givenProcess ?? getpid() }
  private let givenProcess: pid_t?

  /// A message of this process, now.
  public init(level: Logger.Level, label: String, message: String) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    self.level = level
    self.label = label
    self.message = message
    self.time = now
    givenProcess = nil
  }

  /// A message with everything given.
  public init(level: Logger.Level, label: String, message: String, time: timespec, process: pid_t) {
    self.level = level
    self.label = label
    self.message = message
    self.time = time
    givenProcess = process
  }

  /// The line of a console: the message alone, as Bcfg2's TermiosFormatter prints it to something that is no terminal.
  public var consoleLine: [UInt8] {
    var line: [UInt8] = []
    // systemd reads a number in angle brackets at the beginning of a line as its level.
    if message.utf8.first == UInt8(ascii: "<") { line.append(UInt8(ascii: " ")) }
    Self.append(message, to: &line)
    line.append(0x0A)
    return line
  }

  /// The line of a log file, `2014-01-31 12:00:00,123 name[pid]: message` in local time.
  public var fileLine: [UInt8] {
    var line = Array(Self.timestamp(time).utf8)
    line += " \(label)[\(process)]: ".utf8
    Self.append(message, to: &line)
    line.append(0x0A)
    return line
  }

  /// The datagrams of syslog, `<priority>name[pid]: message` and a zero byte, each with at most 250 bytes of the
  /// message, as Bcfg2's FragmentingSysLogHandler cuts them; here never inside a character.
  ///
  /// - Parameter program: stands for the label: syslog files by program.
  public func datagrams(program: String) -> [[UInt8]] {
    var text: [UInt8] = []
    Self.append(message, to: &text)
    var result: [[UInt8]] = []
    var start = 0
    while start < text.count {
      var end = min(start + Self.fragmentBytes, text.count)
      while end < text.count, end > start + 1, text[end] & 0xC0 == 0x80 { end -= 1 }
      var datagram = Array("<\(Self.daemonFacility | level.severity)>\(program)[\(process)]: ".utf8)
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
  /// Bytes that are reserved for that note.
  private static let noteBytes = 48

  /// The message as it is shown, for a process that passes it on.
  package var visibleMessage: [UInt8] {
    var text: [UInt8] = []
    Self.append(message, to: &text)
    return text
  }

  /// Appends text as one line of bounded length, and makes invisible characters visible: text from outside must neither
  /// control a terminal, nor look like a line of its own, nor fill the log by itself. Every destination uses it. Applied
  /// a second time, it changes nothing.
  private static func append(_ text: String, to line: inout [UInt8]) {
    var text = text
    let start = line.count
    let isDone = text.withUTF8 { bytes in
      guard bytes.count <= messageBytes, bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { return false }
      line.append(contentsOf: bytes)
      return true
    }
    if isDone { return }
    // Where the text would end if it had to be cut, in the line and in bytes of the text.
    var cut = (line: start, text: 0)
    var position = 0
    for scalar in text.unicodeScalars {
      VisibleText.append(scalar, to: &line)
      if line.count - start > messageBytes {
        line.removeSubrange(cut.line...)
        line += " [\(text.utf8.count - cut.text) more bytes are left out]".utf8
        return
      }
      position += UTF8.width(scalar)
      if line.count - start <= messageBytes - noteBytes { cut = (line.count, position) }
    }
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
