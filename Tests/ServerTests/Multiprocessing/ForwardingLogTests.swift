import CLinux
import Glibc
import Logging
import Testing

@testable import Server
@testable import ServerSettings

@Suite struct ForwardingLogTests {
  /// A child's message is cut before it is passed on, and stays as it is.
  @Test(arguments: ["x", "\n", "\u{7}", "\u{E9}", "\u{3164}", "\u{1F600}"])
  func aLongMessageIsCutBeforeItIsPassedOn(unit: String) {
    let text = "start " + String(repeating: unit, count: 1 << 20)
    let record = LogRecord(level: .info, label: "bcfg2-server", message: text)
    let forwarded = ForwardingLog.encode(record)
    #expect(forwarded.count < LogRecord.messageBytes + 300)
    #expect(ForwardingLog.decode(forwarded)?.consoleLine == record.consoleLine)
  }

  @Test func fieldsAndPlaceSurviveTheWay() throws {
    let fields: [LogRecord.Field] = [
      ("count", .stringConvertible(-3)), ("flag", .stringConvertible(true)), ("seconds", .stringConvertible(0.25)),
      ("text", "a\nb"), ("list", ["a"]),
    ]
    let record = LogRecord(
      level: .info, label: "Cfg", message: "m", fields: fields, file: "Core/Bind.swift", line: 7,
      time: timespec(tv_sec: 7, tv_nsec: 8), process: 42)
    let bytes = ForwardingLog.encode(record)
    #expect(ForwardingLog.decode(bytes)?.jsonLine == record.jsonLine)
    // Whatever is cut, or counts more than there is, is no record or a shorter one.
    for count in 0..<bytes.count { _ = ForwardingLog.decode(Array(bytes.prefix(count))) }
    for place in bytes.indices {
      var other = bytes
      other[place] = 255
      _ = ForwardingLog.decode(other)
    }
    let long = String(repeating: "\u{E9}", count: 1 << 18)
    let many = LogRecord(
      level: .info, label: long, message: "m", fields: (0..<1000).map { (long + "\($0)", .string(long)) })
    let forwarded = ForwardingLog.encode(many)
    #expect(forwarded.count < 100_000 && ForwardingLog.decode(forwarded)?.fields.count == 64)
  }
}
