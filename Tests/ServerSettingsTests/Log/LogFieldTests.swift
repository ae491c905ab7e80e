import CLinux
import Formats
import Glibc
import Logging
import Support
import Testing

@testable import ServerSettings

/// What stands in a line of JSON, and that nothing from outside breaks it.
@Suite struct LogFieldTests {
  private func record(
    _ message: String, _ level: Logger.Level = .info, fields: [LogRecord.Field] = [], request: RequestLabel? = nil
  ) -> LogRecord {
    LogRecord(
      level: level, label: "Cfg", message: message, fields: fields, request: request, file: "Core/Bind.swift", line: 7,
      time: timespec(tv_sec: 1_391_169_600, tv_nsec: 7_008_999), process: 42)
  }

  private func object(_ record: LogRecord) throws -> JSONValue {
    let line = record.jsonLine
    #expect(line.last == 0x0A && line.dropLast().allSatisfy { $0 >= 0x20 }, "one line")
    return try JSONValue(json: String(decoding: line.dropLast(), as: UTF8.self))
  }

  @Test func aLineHasTimeLevelAndWhoAsked() throws {
    let label = RequestLabel(number: 15, address: "192.0.2.1", client: "web1", method: "GetConfig")
    let id = try #require(label.id)
    #expect(id.utf8.count == 11 && id.hasSuffix("-15") && id == RequestLabel(number: 15).id)
    let line = String(decoding: record("m", .warning, request: label).jsonLine, as: UTF8.self)
    #expect(
      line == "{\"time\":\"2014-01-31T12:00:00.007008Z\",\"level\":\"warning\",\"logger\":\"Cfg\",\"pid\":42,"
        + "\"message\":\"m\",\"request\":\"\(id)\",\"client\":\"web1\",\"address\":\"192.0.2.1\","
        + "\"method\":\"GetConfig\",\"file\":\"Core/Bind.swift\",\"line\":7}\n")
    // Between requests there is no id, and what is not known is not there.
    let between = try object(record("m", request: RequestLabel(address: "192.0.2.1")))
    #expect(between["request"] == nil && between["client"] == nil && between["address"] == .string("192.0.2.1"))
    #expect(try object(record("m"))["address"] == nil)
  }

  @Test func fieldsKeepTheirTypes() throws {
    let made = try object(
      record(
        "m",
        fields: [
          ("count", .stringConvertible(3)), ("flag", .stringConvertible(true)), ("list", ["a", "b"]),
          ("seconds", .stringConvertible(0.25)), ("text", "x"), ("bad", .stringConvertible(Double.infinity)),
        ]))
    #expect(made["count"] == .integer(3) && made["flag"] == .boolean(true) && made["seconds"] == .number(0.25))
    #expect(made["text"] == .string("x") && made["bad"] == .string("inf"))
    #expect(made["list"] == .string("[\"a\", \"b\"]"))
  }

  /// A field of a library cannot take the place of the time or the request; one that names another client may.
  @Test func fieldsReplaceNothingOfTheRecord() throws {
    let made = try object(
      record(
        "m", fields: [("client", "other"), ("level", "x"), ("request", "forged")],
        request: RequestLabel(number: 1, client: "web1")))
    #expect(made["level"] == .string("info") && made["level_"] == .string("x"))
    #expect(made["request"] == .string(RequestLabel(number: 1).id!) && made["request_"] == .string("forged"))
    #expect(made["client"] == .string("other"))
  }

  @Test(arguments: [
    "a\"b\\c", "one\r\ntwo\t", "\u{0}\u{1B}[0m\u{7F}\u{85}", "a\u{2028}b", "\u{202E}abc", "caf\u{E9} \u{4E2D}\u{1F600}",
    "\u{E0100}\u{1D159}", "{\"time\":1}\n{\"level\":\"error\"}", "</script>",
  ])
  func textFromOutsideStaysItself(text: String) throws {
    let label = RequestLabel(number: 1, client: text, method: text)
    let made = try object(record(text, fields: [("field", .string(text)), (text, "value")], request: label))
    for name in ["message", "client", "method", "field"] { #expect(made[name] == .string(text), "\(name)") }
    #expect(made[text] == .string("value"))
    // On a terminal nothing is invisible or steers.
    let line = String(decoding: record(text).jsonLine.dropLast(), as: UTF8.self)
    #expect(VisibleText.escaped(line) == line)
  }

  @Test func bytesThatAreNoTextDoNotBreakTheLine() throws {
    for bytes: [UInt8] in [[0xFF], [0xC3], [0x61, 0xED, 0xA0, 0x80], [0xF5, 0x0A, 0x22], Array(0...255)] {
      let text = String(decoding: bytes, as: UTF8.self)
      let made = try object(record(text, fields: [("field", .string(text))], request: RequestLabel(client: text)))
      #expect(made["message"] == .string(text) && made["client"] == .string(text))
    }
  }

  @Test func aLineHasABound() throws {
    for unit in ["x", "\n", "\"", "\u{7}", "\u{E9}", "\u{3164}", "\u{1F600}"] {
      let long = String(repeating: unit, count: 1 << 18)
      let label = RequestLabel(number: 1, address: long, client: long, method: long)
      let fields: [LogRecord.Field] = (0..<100).map { ("field\($0)", .string(long)) } + [(long, .string(long))]
      let line = record("start " + long, fields: fields, request: label).jsonLine
      #expect(line.count < 8192 + 4096 + 4 * 1024 + 512, "\(unit.debugDescription) \(line.count)")
      let made = try JSONValue(json: String(decoding: line.dropLast(), as: UTF8.self))
      guard case .string(let message) = made["message"] else { return #expect(Bool(false), "no message") }
      #expect(message.hasSuffix(" more bytes are left out]"))
      #expect(made["fields_left_out"] != nil)
    }
  }

  /// Lines that administrators look for stay as they are; a debug message names its request.
  @Test func textNamesTheRequestOfDebugMessagesOnly() {
    let label = RequestLabel(number: 3, address: "192.0.2.1", client: "web1", method: "GetConfig")
    func line(_ record: LogRecord) -> String { String(decoding: record.consoleLine, as: UTF8.self) }
    #expect(line(record("Generated config", request: label)) == "Generated config\n")
    #expect(line(record("Building", .debug, request: label)) == "Building request=\(label.id!)\n")
    #expect(line(record("Building", .debug, request: RequestLabel(address: "192.0.2.1"))) == "Building\n")
    #expect(line(record("m", fields: [("a", "1"), ("b", .stringConvertible(2))])) == "m a=1 b=2\n")
  }

  @Test func consoleFileAndSyslogWriteTheSameObject() throws {
    let folder = TemporaryDirectory()
    let record = record("a\nb", .error, request: RequestLabel(number: 1))
    let file = try FileLog(path: folder.file("log"), format: .json)
    file.write(record)
    file.gather(record)
    file.flush()
    let line = String(decoding: record.jsonLine, as: UTF8.self)
    #expect(try folder.text("log") == line + line)
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    ConsoleLog(descriptor: ends[1], format: .json).write(record)
    ConsoleLog(descriptor: ends[1], hasLevels: true).write(record)
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(ends[0], &bytes, bytes.count)
    #expect(String(decoding: bytes[..<max(0, count)], as: UTF8.self) == line + "<3>a\\nb\n")
    // Whole, however long it is: a part of an object cannot be read.
    let long = LogRecord(level: .error, label: "l", message: String(repeating: "x", count: 5000))
    let datagrams = long.datagrams(program: "p", format: .json)
    #expect(datagrams.count == 1)
    #expect(Array(datagrams[0]) == Array("<27>p[\(getpid())]: ".utf8) + long.jsonObject + [0])
  }

  // MARK: The request that is carried out

  @Test func linesHaveTheLabelOfWhatRuns() async {
    let log = LogRecorder(level: .debug)
    let one = RequestLabel(number: RequestScope.nextNumber(), client: "one")
    let two = RequestLabel(number: RequestScope.nextNumber(), client: "two")
    #expect(two.number == one.number + 1)
    log.logger.info("outside")
    let before = RequestScope.enter(one)
    RequestScope.calls("GetProbes")
    log.logger.info("entered")
    let inner = RequestScope.enter(two)
    log.logger.info("inner")
    RequestScope.leave(to: inner)
    RequestScope.leave(to: before)
    await RequestScope.labelled(two) {
      log.logger.info("task")
      await Task.yield()
      await Task { log.logger.info("its task") }.value
    }
    let clients = log.records.map { $0.request?.client }
    #expect(clients == [nil, "one", "two", "two", "two"])
    #expect(log.records[1].request?.method == "GetProbes")
    #expect(log.records[0].file.hasSuffix("LogFieldTests.swift") && log.records[0].line > 0)
  }
}
