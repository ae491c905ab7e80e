import EventLoop
import Support
import Testing

@testable import Server

/// What the service manager is told while the process runs.
struct ServiceManagerTests {
  private func wait(on loop: Reactor, until condition: () -> Bool) async -> Bool {
    let deadline = MonotonicTime.now() + .seconds(60)
    while !condition() {
      if MonotonicTime.now() > deadline { return false }
      await loop.nextIteration()
    }
    return true
  }

  /// The loop turns, but what serves beside it may hang.
  @Test func theWatchdogIsFedByWhatServes() async throws {
    try await LoopDriver.withLoop { loop in
      let folder = TemporaryDirectory()
      let receiver = NotifyReceiver(in: folder)
      let manager = ServiceManager(
        NotifySocket(receiver.path), watchdog: .milliseconds(10), on: loop, logger: LogRecorder().logger)
      defer { manager.stopTimers() }
      var questions: [() -> Void] = []
      manager.proveLife = { questions.append($0) }
      manager.ready("Serving")
      // That it begins is a sign of life.
      #expect(receiver.count(of: "READY=1") == 1 && receiver.count(of: "WATCHDOG=1") == 1)
      #expect(await wait(on: loop) { questions.count == 3 })
      #expect(receiver.count(of: "WATCHDOG=1") == 1)
      questions[0]()
      #expect(receiver.count(of: "WATCHDOG=1") == 2)
      // Where nothing serves beside it, the loop's turn is enough.
      manager.proveLife = { $0() }
      #expect(await wait(on: loop) { receiver.count(of: "WATCHDOG=1") == 4 })
    }
  }
}
