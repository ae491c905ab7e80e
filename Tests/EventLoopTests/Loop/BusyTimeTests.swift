import EventLoop
import Support
import Testing

@Suite struct BusyTimeTests {
  @Test func durationsAreCountedByTheirBounds() {
    var histogram = DurationHistogram(bounds: [.milliseconds(1), .milliseconds(10)])
    for nanoseconds: Int64 in [-5, 0, 1_000_000, 1_000_001, 10_000_000, 10_000_001, 3_000_000_000] {
      histogram.add(nanoseconds: nanoseconds)
    }
    #expect(histogram.counts == [3, 2, 2] && histogram.count == 7)
    #expect(histogram.sumNanoseconds == 1_000_000 + 1_000_001 + 10_000_000 + 10_000_001 + 3_000_000_000)
  }

  @Test func iterationsAreMeasuredWithoutTheirWaits() {
    let (loop, kernel) = FakePoller.makeLoop()
    var rounds = 0
    func work() {
      rounds += 1
      kernel.now = kernel.now + .milliseconds(30)
      if rounds < 3 { loop.schedule(after: .seconds(7)) { work() } }
    }
    loop.schedule(after: .seconds(5)) { work() }
    while rounds < 3 { loop.runOnce() }
    loop.schedule(after: .seconds(5)) {}
    loop.runOnce()
    // Waits of 5, 7, 7 and 5 seconds are not in it.
    #expect(loop.busyTimes.sumNanoseconds == 90_000_000)
    #expect(loop.busyTimes.counts.enumerated().filter { $1 > 0 }.map(\.offset) == [5])
  }

  @Test func postedWorkIsMeasuredToo() {
    let (loop, kernel) = FakePoller.makeLoop()
    loop.post { kernel.now = kernel.now + .milliseconds(2) }
    loop.runOnce()
    loop.post { kernel.now = kernel.now + .milliseconds(3) }
    loop.runOnce()
    loop.runOnce(wait: .zero)
    #expect(loop.busyTimes.sumNanoseconds == 5_000_000)
  }

  @Test func measuringReadsTheClockNoMoreOften() {
    let kernel = FakePoller()
    var reads = 0
    let loop = Reactor(
      poller: kernel,
      clock: {
        reads += 1
        return kernel.now
      })
    loop.schedule(after: .seconds(1)) {}
    reads = 0
    // Before the wait, for the timer, and behind it.
    loop.runOnce()
    #expect(reads == 2)
    loop.post {}
    reads = 0
    // Behind a wait of no time alone.
    loop.runOnce()
    #expect(reads == 1)
  }
}
