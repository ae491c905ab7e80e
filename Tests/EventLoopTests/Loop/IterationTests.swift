import EventLoop
import Support
import Testing

/// The order and the fairness of iterations, with the kernel played.
struct IterationTests {
  @Test func anIterationHasItsPhasesInOrder() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    var steps: [String] = []
    let watcher = try loop.register(5, interest: .read) { _ in
      steps.append("event")
      loop.post { steps.append("posted by event") }
      loop.atEndOfIteration { steps.append("hook of event") }
    }
    loop.schedule(after: .zero) {
      steps.append("timer")
      loop.post { steps.append("posted by timer") }
    }
    loop.post {
      steps.append("posted before")
      loop.post { steps.append("posted by posted") }
      loop.atEndOfIteration {
        steps.append("hook of posted")
        loop.atEndOfIteration { steps.append("hook of hook") }
      }
    }
    kernel.report([5: .readable])
    loop.runOnce()
    #expect(
      steps == [
        "event", "timer", "posted before", "posted by event", "posted by timer", "hook of event", "hook of posted",
      ])
    steps = []
    loop.runOnce()
    #expect(steps == ["posted by posted", "hook of hook"])
    #expect(kernel.waits == [.zero, .zero])
    watcher.cancel()
  }

  @Test func aLoopWithoutWorkWaitsForItsTimer() {
    let (loop, kernel) = FakePoller.makeLoop()
    var fired = 0
    loop.schedule(after: .seconds(2)) { fired += 1 }
    loop.runOnce(wait: .seconds(1))
    #expect(fired == 0)
    loop.runOnce()
    #expect(fired == 1)
    loop.runOnce(wait: .seconds(5))
    #expect(kernel.waits == [.seconds(1), .seconds(1), .seconds(5)])
  }

  @Test func aQuietLoopTellsItOnceUntilThereIsAnEvent() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    var quiet: [MonotonicTime] = []
    let watcher = try loop.register(5, interest: .read) { _ in }
    let background = try loop.register(6, interest: .read) { _ in }
    background.isBackground = true
    let begin = kernel.now
    loop.whenQuiet(for: .seconds(5)) { quiet.append(kernel.now) }
    loop.runOnce(wait: .seconds(4))
    kernel.report([5: .readable])
    loop.runOnce()
    for _ in 0..<3 { loop.runOnce(wait: .seconds(1)) }
    kernel.report([6: .readable])
    loop.runOnce()
    while kernel.now < begin + .seconds(9) { loop.runOnce(wait: .seconds(1)) }
    #expect(quiet == [begin + .seconds(9)])
    for _ in 0..<20 { loop.runOnce(wait: .seconds(1)) }
    #expect(quiet.count == 1)
    kernel.report([5: .readable])
    loop.runOnce()
    let again = kernel.now
    for _ in 0..<20 { loop.runOnce(wait: .seconds(1)) }
    #expect(quiet == [begin + .seconds(9), again + .seconds(5)])
    watcher.cancel()
    background.cancel()
  }

  @Test func anEventOfAnOldGenerationIsDropped() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    var seen: [String] = []
    let old = try loop.register(7, interest: .read) { _ in seen.append("old") }
    let stale = PollEvent(descriptor: 7, generation: old.generation, readiness: .readable)
    var new: Watcher?
    let other = try loop.register(6, interest: .read) { _ in
      old.cancel()
      new = try? loop.register(7, interest: .read) { _ in seen.append("new") }
    }
    // Both came with one wait; the first handler gives descriptor 7 a new owner.
    kernel.report([PollEvent(descriptor: 6, generation: other.generation, readiness: .readable), stale])
    loop.runOnce()
    #expect(seen == [])
    kernel.report([stale])
    kernel.report([7: .readable])
    loop.runOnce()
    loop.runOnce()
    #expect(seen == ["new"])
    #expect(try #require(new).generation != old.generation)
    // Events of descriptors that were never registered are dropped.
    kernel.report([PollEvent(descriptor: 4000, generation: 1, readiness: .readable)])
    loop.runOnce()
  }

  @Test func aCallbackMayCancelItsOwnWatcher() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    var calls = 0
    var watcher: Watcher?
    watcher = try loop.register(5, interest: [.read, .write]) { _ in
      calls += 1
      watcher?.cancel()
      watcher?.cancel()
    }
    let event = PollEvent(descriptor: 5, generation: 1, readiness: [.readable, .writable])
    kernel.report([event, event])
    loop.runOnce()
    #expect(calls == 1)
    #expect(kernel.registrations.isEmpty)
    #expect(watcher?.isRegistered == false)
    #expect(loop.registeredWatchers.isEmpty)
  }

  nonisolated struct Withdrawal: Sendable {
    var interest: Interest
    var reported: Readiness
    var expected: Readiness
  }

  @Test(arguments: [
    Withdrawal(interest: .read, reported: [.readable, .writable], expected: .readable),
    Withdrawal(interest: .write, reported: [.readable, .writable], expected: .writable),
    Withdrawal(interest: [.read, .write], reported: [.readable, .hangup], expected: [.readable, .hangup]),
    Withdrawal(interest: .read, reported: [.writable], expected: []),
    Withdrawal(interest: .write, reported: [.error], expected: .error),
    Withdrawal(interest: [], reported: [.readable, .hangup], expected: []),
  ])
  func interestWithdrawnInTheSameBatchIsNotReported(row: Withdrawal) throws {
    let (loop, kernel) = FakePoller.makeLoop()
    var seen: Readiness = []
    let watcher = try loop.register(5, interest: [.read, .write]) { seen.formUnion($0) }
    let first = try loop.register(4, interest: .read) { _ in
      #expect(throws: Never.self) { try watcher.setInterest(row.interest) }
    }
    kernel.report([4: .readable, 5: row.reported])
    loop.runOnce()
    #expect(seen == row.expected)
    #expect(first.isRegistered && kernel.registrations[5]?.interest == row.interest)
  }

  @Test func aRefusedInterestLeavesTheOldOne() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    let watcher = try loop.register(5, interest: .read) { _ in }
    kernel.failures = [12]
    #expect(throws: SystemError(call: "epoll_ctl", errno: 12, detail: "descriptor 5")) {
      try watcher.setInterest([.read, .write])
    }
    #expect(watcher.interest == .read && kernel.registrations[5]?.interest == .read)
    kernel.failures = [28]
    #expect(throws: SystemError.self) { _ = try loop.register(6, interest: .read) { _ in } }
    #expect(loop.registeredWatchers.count == 1)
  }

  @Test func workThatPostsItselfLeavesEventsTheirTurn() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    var turns = 0
    var turnsAtEvent: [Int] = []
    func again() {
      turns += 1
      loop.post(again)
    }
    loop.post(again)
    _ = try loop.register(5, interest: .read) { _ in turnsAtEvent.append(turns) }
    for _ in 0..<3 { kernel.report([5: .readable]) }
    for _ in 0..<3 { loop.runOnce() }
    #expect(turnsAtEvent == [0, 1, 2])
  }

  @Test func stopEndsRunFromInsideAndOutside() {
    let (loop, kernel) = FakePoller.makeLoop()
    var ran: [String] = []
    loop.post {
      loop.stop()
      loop.post { ran.append("later") }
    }
    loop.run()
    #expect(ran == [])
    #expect(kernel.waits.count == 1)
    loop.schedule(after: .seconds(1)) { loop.stop() }
    loop.run()
    #expect(ran == ["later"])
  }

  @Test func leakedWatchersAreReportedWithTheirOrigin() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    let kept = try loop.register(5, interest: .write) { _ in }
    let line = #line - 1
    try loop.register(6, interest: .read) { _ in }.cancel()
    let leaked = loop.shutDown()
    #expect(leaked.map(\.origin) == ["EventLoopTests/IterationTests.swift:\(line)"])
    #expect(!kept.isRegistered && kernel.registrations.isEmpty)
  }
}
