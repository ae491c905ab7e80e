import CLinux
import Formats
import Glibc
import Logging
import Support
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

  /// Times that no clock has, and that could not be written as a date.
  @Test(arguments: [
    timespec(tv_sec: -1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: -1), timespec(tv_sec: 1, tv_nsec: 1_000_000_000),
    timespec(tv_sec: 253_402_300_800, tv_nsec: 0), timespec(tv_sec: .min, tv_nsec: .min),
  ])
  func timesAreThoseOfAClock(_ time: timespec) {
    let record = LogRecord(level: .info, label: "Cfg", message: "m", time: time, process: 42)
    #expect(ForwardingLog.decode(ForwardingLog.encode(record)) == nil)
  }

  /// Seeds of the fuzz target: a message, then names and values of fields, with zero bytes between; or a child's record.
  @Test func seedsAreReadBackAsTheyWereWritten() throws {
    for (name, bytes) in try Corpus.files("log-record") {
      if name.hasPrefix("child") {
        #expect((ForwardingLog.decode(bytes) == nil) == (name == "child-times"), "\(name)")
        continue
      }
      let texts = bytes.split(separator: 0, omittingEmptySubsequences: false).map {
        String(decoding: $0, as: UTF8.self)
      }
      let fields: [LogRecord.Field] = stride(from: 1, to: texts.count - 1, by: 2).map {
        (texts[$0], .string(texts[$0 + 1]))
      }
      let record = LogRecord(level: .warning, label: "Cfg", message: texts[0], fields: fields)
      let value = try JSONValue(json: String(decoding: record.jsonObject, as: UTF8.self))
      guard case .string(let message)? = value["message"] else {
        Issue.record("\(name) has no message")
        continue
      }
      #expect(name == "long" || message.utf8.elementsEqual(texts[0].utf8), "\(name)")
      #expect(try #require(ForwardingLog.decode(ForwardingLog.encode(record))).fields.count == fields.count)
      #expect(!record.consoleLine.dropLast().contains { $0 < 0x20 && $0 != UInt8(ascii: "\t") })
    }
  }
}
