import EventLoop
import Logging
import Support
import Testing

@testable import ServerSettings

struct RefusalLogTests {
  @Test func linesOfAnAddressAreBoundedAndTheRestIsCounted() {
    let (loop, kernel) = FakePoller.makeLoop()
    let log = LogRecorder()
    let refusals = RefusalLog(on: loop, logger: log.logger)
    for number in 0..<1000 { refusals.write(.error, of: "192.0.2.1", to: log.logger, "no \(number)") }
    refusals.write(.error, of: "192.0.2.2", to: log.logger, "other")
    let lines = log.take()
    #expect(lines.count == RefusalLog.linesPerAddress + 1 && lines[0] == "error no 0" && lines.last == "error other")
    // Debug lines are not asked for, and count nothing.
    refusals.write(.debug, of: "192.0.2.1", to: log.logger, "debug")
    kernel.now = kernel.now + RefusalLog.window
    kernel.report([])
    loop.runOnce(wait: .zero)
    #expect(log.take() == ["warning 192.0.2.1: 980 more refusals within a minute were not logged one by one"])
    refusals.write(.error, of: "192.0.2.1", to: log.logger, "again")
    #expect(log.take() == ["error again"])
    refusals.endWindow()
    #expect(log.take() == [])
  }

  @Test func linesOfManyAddressesAreBoundedTogether() {
    let (loop, _) = FakePoller.makeLoop()
    let log = LogRecorder()
    let refusals = RefusalLog(on: loop, logger: log.logger)
    for number in 0..<5000 {
      for _ in 0..<2 { refusals.write(.error, of: "host \(number)", to: log.logger, "no") }
    }
    #expect(log.take().count == RefusalLog.lines)
    refusals.endWindow()
    let lines = log.take()
    #expect(lines.count == RefusalLog.namedLimit + 1)
    #expect(
      lines.last
        == "warning \(10000 - RefusalLog.lines - 10) more refusals of other addresses within a minute were not logged one by one"
    )
  }
}
