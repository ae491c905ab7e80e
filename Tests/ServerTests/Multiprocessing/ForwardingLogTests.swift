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
}
