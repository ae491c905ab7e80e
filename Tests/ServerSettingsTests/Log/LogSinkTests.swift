import CLinux
import EventLoop
import Glibc
import Logging
import Support
import Testing

@testable import ServerSettings

nonisolated private func record(_ message: String, _ level: Logger.Level = .info) -> LogRecord {
  LogRecord(
    level: level, label: "bcfg2-server", message: message, time: timespec(tv_sec: 1_391_169_600, tv_nsec: 7_000_000),
    process: 42)
}

extension LogRecord {
  nonisolated fileprivate var labelled: String { "\(label) \(text)" }
}

@Test nonisolated func logLinesAreBcfg2s() {
  let line = String(decoding: record("one\ntwo\u{1B}[0m").fileLine, as: UTF8.self)
  let date = LogRecord.timestamp(timespec(tv_sec: 1_391_169_600, tv_nsec: 7_000_000))
  #expect(date.utf8.count == 23 && date.hasPrefix("2014-") && date.hasSuffix(":00,007"))
  #expect(line == "\(date) bcfg2-server[42]: one\\ntwo\\x1b[0m\n")
  #expect(String(decoding: record("one\ntwo").consoleLine, as: UTF8.self) == "one\\ntwo\n")
}

/// What comes from outside is one line of every destination, shows all that is in it, and steers nothing.
@Test nonisolated func textFromOutsideIsOneVisibleLine() {
  let table = [
    ("plain", "plain"), ("tab\tbed", "tab\tbed"), ("caf\u{E9} \u{4E2D}", "caf\u{E9} \u{4E2D}"),
    ("a\r\n2026-01-01 forged", "a\\x0d\\n2026-01-01 forged"), ("\u{0}\u{7F}", "\\x00\\x7f"),
    ("\u{85}\u{9B}31m", "\\u{85}\\u{9b}31m"), ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
    ("\u{202E}abc\u{2066}", "\\u{202e}abc\\u{2066}"), ("a\u{200B}\u{FEFF}", "a\\u{200b}\\u{feff}"),
    // Hangul fillers, a variation selector, blanks, the Braille pattern without dots, private use, a null notehead.
    ("\u{3164}\u{115F}\u{1160}\u{FFA0}", "\\u{3164}\\u{115f}\\u{1160}\\u{ffa0}"),
    ("\u{FE0F}\u{E0100}\u{34F}", "\\u{fe0f}\\u{e0100}\\u{34f}"),
    ("\u{A0}\u{2003}\u{3000}", "\\u{a0}\\u{2003}\\u{3000}"),
    ("\u{2800}\u{E000}\u{1D159}", "\\u{2800}\\u{e000}\\u{1d159}"),
    ("\u{1100}\u{1161}\u{28FF}", "\u{1100}\u{1161}\u{28FF}"),
  ]
  for (text, shown) in table {
    #expect(String(decoding: record(text).consoleLine, as: UTF8.self) == shown + "\n")
    #expect(String(decoding: record(text).fileLine, as: UTF8.self).hasSuffix("[42]: " + shown + "\n"))
    let datagrams = record(text).datagrams(program: "bcfg2-server").map { String(decoding: $0, as: UTF8.self) }
    #expect(datagrams == ["<30>bcfg2-server[42]: \(shown)\0"])
  }
  // systemd takes a number in angle brackets in front of a line for its level.
  #expect(String(decoding: record("<0>forged").consoleLine, as: UTF8.self) == " <0>forged\n")
}

/// No message makes a line, or datagrams, without a bound, whatever its characters become.
@Test nonisolated func aLongMessageIsCutInEveryDestination() throws {
  let limit = LogRecord.messageBytes
  let fitting = String(repeating: "x", count: limit)
  #expect(record(fitting).consoleLine == Array("\(fitting)\n".utf8))
  for (unit, shown) in [("x", 1), ("\n", 2), ("\u{7}", 4), ("\u{E9}", 2), ("\u{3164}", 8), ("\u{1F600}", 4)] {
    let text = "start " + String(repeating: unit, count: 1 << 20)
    let line = record(text).consoleLine
    #expect(line.count <= limit + 1 && line.count > limit - 100, "\(unit.debugDescription) \(line.count)")
    let end = try #require(String(validating: line, as: UTF8.self)).split(separator: "[").last
    let leftOut = try #require(end.flatMap { Int($0.prefix { $0 != " " }) })
    #expect(end?.hasSuffix(" more bytes are left out]\n") ?? false)
    // The bytes that are shown and those that are left out add up to the whole.
    let note = "[\(end ?? "")".utf8.count + 1
    let units = (line.count - note - "start ".utf8.count) / shown
    #expect("start ".utf8.count + units * unit.utf8.count + leftOut == text.utf8.count, "\(unit.debugDescription)")
    #expect(record(text).fileLine.suffix(line.count) == line[...])
    let datagrams = record(text).datagrams(program: "p")
    #expect(datagrams.count <= limit / LogRecord.fragmentBytes + 2)
  }
}

@Test nonisolated func syslogDatagramsAreCutBetweenCharacters() {
  let texts = record(String(repeating: "x", count: 249) + "é" + "end", .error).datagrams(program: "bcfg2-server")
    .map { String(decoding: $0, as: UTF8.self) }
  #expect(
    texts == [
      "<27>bcfg2-server[42]: " + String(repeating: "x", count: 249) + "\0", "<27>bcfg2-server[42]: éend\0",
    ])
  #expect(record("").datagrams(program: "p").isEmpty)
  let first = [Logger.Level.debug, .info, .warning, .error, .critical].map {
    String(decoding: record("m", $0).datagrams(program: "p")[0].prefix(4), as: UTF8.self)
  }
  #expect(first == ["<31>", "<30>", "<28>", "<27>", "<26>"])
}

@Test nonisolated func levelsFollowTheDebugFamily() {
  let router = LogRouter()
  let console = LogRecorder(name: "console")
  let file = LogRecorder(name: "file")
  let syslog = LogRecorder(name: "syslog")
  router.configure([(console, .info), (syslog, .info), (file, .warning)], standard: .warning)
  let logger = Logger(label: "Metadata") { router.handler(label: $0) }
  logger.debug("d1")
  logger.info("i1")
  logger.warning("w1", metadata: ["b": "2", "a": "1"])
  router.setDebug(true)
  logger.debug("d2")
  router.setDebug(false)
  #expect(router.levels == ["console": .info, "syslog": .warning, "file": .warning])
  logger.info("i3")
  #expect(console.records.map(\.labelled) == ["Metadata i1", "Metadata w1 a=1 b=2", "Metadata d2", "Metadata i3"])
  #expect(syslog.records.map(\.labelled) == ["Metadata i1", "Metadata w1 a=1 b=2", "Metadata d2"])
  #expect(file.records.map(\.labelled) == ["Metadata w1 a=1 b=2", "Metadata d2"])
  var own = logger
  own.logLevel = .error
  own.warning("w4")
  #expect(file.records.map(\.labelled).count == 2)
}

@Test nonisolated func destinationsFollowTheSettings() throws {
  let folder = TemporaryDirectory()
  var settings = Settings()
  settings.logPath = folder.file("log")
  func made() throws -> [String] {
    try LogSetup.destinations(settings, program: "p").map { "\($0.sink.name) \($0.level)" }
  }
  #expect(try made() == ["console info", "syslog info", "file warning"])
  settings.verbose = true
  #expect(try made() == ["console info", "syslog info", "file info"])
  settings.debug = true
  settings.pidFile = "/run/p"
  #expect(try made() == ["syslog debug", "file debug"])
  settings.logsToSyslog = false
  settings.logPath = folder.file("none/log")
  #expect(throws: SystemError.self) { try made() }
}

@Test nonisolated func aRotatedLogIsReopened() throws {
  let folder = TemporaryDirectory()
  let log = try FileLog(path: folder.file("log"))
  let router = LogRouter()
  router.configure([(log, .info)], standard: .info)
  router.write(record("one"))
  #expect(rename(folder.file("log"), folder.file("old")) == 0)
  router.write(record("two"))
  router.reopen()
  router.write(record("three"))
  #expect(try folder.text("old").contains("[42]: one\n") && folder.text("old").contains("[42]: two\n"))
  #expect(try folder.text("log").hasSuffix("bcfg2-server[42]: three\n"))
  #expect(router.dropped == 0)
}

@Test nonisolated func gatheredLinesLeaveTogetherAndInOrder() throws {
  let folder = TemporaryDirectory()
  let log = try FileLog(path: folder.file("log"))
  let router = LogRouter()
  router.configure([(log, .debug)], standard: .debug)
  func messages() throws -> [Substring] {
    try folder.text("log").split(separator: "\n").map { $0.drop { $0 != ":" }.split(separator: ": ").last ?? "" }
  }
  router.gather(true)
  router.write(record("one"))
  router.write(record("two", .debug))
  #expect(try messages() == [])
  router.flush()
  #expect(try messages() == ["one", "two"])
  // A warning does not wait, and is written after what came before it.
  router.write(record("three"))
  router.write(record("four", .warning))
  #expect(try messages() == ["one", "two", "three", "four"])
  // More lines than are gathered.
  let long = String(repeating: "x", count: 5000)
  for _ in 0..<4 { router.write(record(long)) }
  #expect(try messages().count == 7)
  for _ in 0..<2 { router.write(record(String(repeating: "y", count: 40_000))) }
  #expect(try messages().count == 9)
  router.write(record("last"))
  router.gather(false)
  #expect(try messages().last == "last" && messages().count == 11)
  router.write(record("at once"))
  #expect(try messages().last == "at once")
  #expect(router.dropped == 0)
}

/// A fault in the middle of a turn does not take the turn's lines along.
@Test nonisolated func gatheredLinesSurviveACrash() throws {
  let folder = TemporaryDirectory()
  let log = try FileLog(path: folder.file("log"))
  for (number, signal) in [SIGSEGV, SIGABRT, SIGILL, SIGBUS].enumerated() {
    log.gather(record("crash \(number)"))
    let child = clinux_fork()
    // The child only makes calls that may follow a fork. Swift's backtracer, where it is on, returns once and lets a
    // fault happen again.
    if child == 0 {
      // Threads of Dispatch, on which tests run, have it blocked.
      if signal == SIGABRT { abort() }
      raise(signal)
      raise(signal)
      _exit(0)
    }
    try #require(child > 0)
    var status: Int32 = 0
    #expect(waitpid(child, &status, 0) == child)
    #expect(clinux_wtermsig(status) == signal, "it still ends by its signal")
    #expect(try folder.text("log").hasSuffix("[42]: crash \(number)\n"))
    log.flush()
  }
}

@Test nonisolated func aFullPipeDropsAndCounts() throws {
  var ends: [Int32] = [0, 0]
  try #require(pipe(&ends) == 0)
  defer { for end in ends { close(end) } }
  let log = ConsoleLog(descriptor: ends[1])
  var written = 0
  while log.dropped == 0, written < 100_000 {
    log.write(record(String(repeating: "x", count: 99)))
    written += 1
  }
  #expect(log.dropped == 1)
  var bytes = [UInt8](repeating: 0, count: 1 << 20)
  let count = read(ends[0], &bytes, bytes.count)
  #expect(count > (written - 1) * 100 - 100)
  // The one on the pipe itself keeps its mode: others share it.
  #expect(fcntl(ends[1], F_GETFL) & O_NONBLOCK == 0)
  log.write(record("after"))
  let rest = read(ends[0], &bytes, bytes.count)
  #expect(String(decoding: bytes[..<max(0, rest)], as: UTF8.self).hasSuffix("after\n") && log.dropped == 1)
}

@Test nonisolated func aPipeThatNobodyReadsDoesNotRaiseASignal() throws {
  var ends: [Int32] = [0, 0]
  try #require(pipe(&ends) == 0)
  let log = ConsoleLog(descriptor: ends[1])
  close(ends[0])
  log.write(record("unheard"))
  #expect(log.dropped == 1)
  close(ends[1])
}

@Test nonisolated func syslogIsFoundAgainAfterItsRestart() throws {
  let folder = TemporaryDirectory()
  let path = folder.file("socket")
  func received(_ descriptor: Int32) -> String { String(decoding: receiveDatagram(descriptor) ?? [], as: UTF8.self) }
  let log = SyslogLog(program: "p", path: path, port: 0)
  log.write(record("lost"))
  #expect(log.dropped == 1)
  var server = try makeDatagramSocket(at: path)
  log.write(record("one"))
  #expect(received(server) == "<28>p[42]: Reconnected to syslog\0" && received(server) == "<30>p[42]: one\0")
  close(server)
  server = try makeDatagramSocket(at: path)
  log.write(record("two"))
  #expect(received(server) == "<28>p[42]: Reconnected to syslog\0" && received(server) == "<30>p[42]: two\0")
  log.write(record("three"))
  #expect(received(server) == "<30>p[42]: three\0" && received(server) == "" && log.dropped == 1)
  close(server)
}

/// A unit of systemd has the folder of a log of Bcfg2's server read-only.
@Test nonisolated func aLogInAReadOnlyFolderSaysWhatTheUnitLacks() {
  let error = SystemError(
    call: "open", errno: EROFS, detail: "/var/log/bcfg2.log", explanation: FileLog.explanation(of: EROFS))
  #expect(
    "\(error)".hasPrefix("open /var/log/bcfg2.log: Read-only file system; under systemd ")
      && "\(error)".contains("ReadWritePaths="))
  #expect(FileLog.explanation(of: EACCES) == nil)
}
