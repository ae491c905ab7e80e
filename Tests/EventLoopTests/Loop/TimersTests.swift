import Support
import Testing

@testable import EventLoop

struct TimersTests {
  @Test func timersFireInOrderOfTheirDeadlines() {
    let timers = Timers(now: MonotonicTime(nanoseconds: 0))
    var fired: [Int64] = []
    for deadline: Int64 in [50, 10, 40, 20, 30, 20] {
      _ = timers.add(at: MonotonicTime(nanoseconds: deadline)) { fired.append(deadline) }
    }
    #expect(timers.wakeTime == MonotonicTime(nanoseconds: 10))
    #expect(timers.fire(now: MonotonicTime(nanoseconds: 9)) == 0)
    #expect(timers.fire(now: MonotonicTime(nanoseconds: 30)) == 4)
    #expect(fired == [10, 20, 20, 30])
    timers.fire(now: MonotonicTime(nanoseconds: 100))
    #expect(fired == [10, 20, 20, 30, 40, 50])
    #expect(timers.wakeTime == nil)
  }

  @Test func aMovedDeadlineIsTheOneThatCounts() {
    let timers = Timers(now: MonotonicTime(nanoseconds: 0))
    var fired: [String] = []
    let later = timers.add(at: MonotonicTime(nanoseconds: 10)) { fired.append("later") }
    let sooner = timers.add(at: MonotonicTime(nanoseconds: 90)) { fired.append("sooner") }
    later.rearm(at: MonotonicTime(nanoseconds: 80))
    sooner.rearm(at: MonotonicTime(nanoseconds: 20))
    timers.fire(now: MonotonicTime(nanoseconds: 15))
    #expect(fired == [])
    timers.fire(now: MonotonicTime(nanoseconds: 25))
    #expect(fired == ["sooner"] && !sooner.isScheduled && later.isScheduled)
    #expect(timers.wakeTime == MonotonicTime(nanoseconds: 80))
    timers.fire(now: MonotonicTime(nanoseconds: 80))
    #expect(fired == ["sooner", "later"])
    sooner.rearm(at: MonotonicTime(nanoseconds: 100))
    timers.fire(now: MonotonicTime(nanoseconds: 100))
    #expect(fired == ["sooner", "later", "sooner"])
  }

  @Test func aTimerOfTheSameTurnCanBeCancelledOrMoved() {
    let timers = Timers(now: MonotonicTime(nanoseconds: 0))
    var fired: [String] = []
    var cancelled: Timer?
    var moved: Timer?
    _ = timers.add(at: MonotonicTime(nanoseconds: 1)) {
      cancelled?.cancel()
      moved?.rearm(at: MonotonicTime(nanoseconds: 7))
    }
    cancelled = timers.add(at: MonotonicTime(nanoseconds: 2)) { fired.append("cancelled") }
    moved = timers.add(at: MonotonicTime(nanoseconds: 3)) { fired.append("moved") }
    timers.fire(now: MonotonicTime(nanoseconds: 5))
    #expect(fired == [])
    timers.fire(now: MonotonicTime(nanoseconds: 7))
    #expect(fired == ["moved"])
    cancelled?.cancel()
  }

  @Test func aTimerThatRearmsIntoThePastDoesNotHoldTheLoop() {
    let (loop, kernel) = FakePoller.makeLoop()
    var fired = 0
    var timer: Timer?
    timer = loop.schedule(after: .zero) {
      fired += 1
      timer?.rearm(at: MonotonicTime(nanoseconds: 0))
    }
    loop.runOnce()
    loop.runOnce()
    #expect(fired == 2 && kernel.waits == [.zero, .zero])
    timer?.cancel()
    loop.runOnce(wait: .seconds(1))
    #expect(fired == 2)
  }

  @Test func aCrowdOfDeadlinesSharesTheLoop() {
    let (loop, kernel) = FakePoller.makeLoop()
    var fired: [Int] = []
    let crowd = 2 * Reactor.timersPerIteration + 1
    for number in 0..<crowd { loop.schedule(after: .microseconds(number)) { fired.append(number) } }
    loop.schedule(after: .seconds(5)) { fired.append(-1) }
    kernel.now = kernel.now + .seconds(1)
    loop.runOnce()
    #expect(fired == Array(0..<Reactor.timersPerIteration))
    // Those that are left do not wait for an event.
    loop.runOnce()
    loop.runOnce()
    #expect(fired == Array(0..<crowd) && kernel.waits == [.zero, .zero, .zero])
  }

  /// Adds, cancels and moves by a fixed pseudo-random sequence, and compares with a list that is searched.
  @Test func theHeapAgreesWithAList() {
    var state: UInt64 = 42
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let timers = Timers(now: MonotonicTime(nanoseconds: 0))
    var model: [Int: Int64] = [:]
    var handles: [Int: Timer] = [:]
    var fired: [Int] = []
    var now: Int64 = 0
    for step in 0..<4000 {
      let deadline = now + Int64(random(1000))
      let known = model.keys.sorted()
      switch random(10) {
      case 0...4:
        handles[step] = timers.add(at: MonotonicTime(nanoseconds: deadline)) { fired.append(step) }
        model[step] = deadline
      case 5 where !known.isEmpty, 6 where !known.isEmpty:
        let id = known[random(known.count)]
        handles[id]?.rearm(at: MonotonicTime(nanoseconds: deadline))
        model[id] = deadline
      case 7 where !known.isEmpty:
        let id = known[random(known.count)]
        handles[id]?.cancel()
        model[id] = nil
      default:
        now += Int64(random(300))
        fired = []
        timers.fire(now: MonotonicTime(nanoseconds: now))
        let due = model.filter { $0.value <= now }
        #expect(Set(fired) == Set(due.keys) && fired.count == due.count)
        #expect(fired.map { due[$0] ?? -1 } == due.values.sorted())
        for id in due.keys { model[id] = nil }
      }
      #expect(timers.count == model.count)
      if let earliest = model.values.min() { #expect(timers.wakeTime!.nanoseconds <= earliest) }
    }
  }

  @Test(
    arguments: [
      (nil, -1), (.zero, 0), (.seconds(-3), 0), (.nanoseconds(1), 1), (.milliseconds(5), 5), (.microseconds(5001), 6),
      (.seconds(1_000_000_000_000), Int32.max),
    ] as [(Duration?, Int32)])
  func epollWaitsWholeMilliseconds(limit: Duration?, expected: Int32) {
    #expect(EpollPoller.milliseconds(limit) == expected)
  }

  @Test func timeDoesNotOverflow() {
    #expect(MonotonicTime.distantFuture + .seconds(1) == .distantFuture)
    #expect(MonotonicTime(nanoseconds: 5) + .seconds(Int64.max) == .distantFuture)
    #expect(MonotonicTime(nanoseconds: 5) - .nanoseconds(7) == MonotonicTime(nanoseconds: -2))
    #expect(MonotonicTime(nanoseconds: 7) - MonotonicTime(nanoseconds: 5) == .nanoseconds(2))
  }
}
