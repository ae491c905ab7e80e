import Core
import EventLoop
import Glibc
import Support
import Testing

@testable import Server

/// Children that are killed or stopped in each phase of their life, while other clients ask.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ChildLossTests {
  enum Phase: CaseIterable {
    /// It was started and is not ready yet.
    case starting
    /// It has nothing to do.
    case idle
    /// Its request is in the socket pair, unread.
    case requestSent
    /// One of its plugins waits in the middle of a build.
    case building
    /// Part of its answer arrived.
    case answering
    /// Probe data is being sent to it, and a request after it.
    case publishing
    /// An edit is in its monitor's queue, a request that needs it in the pair.
    case editing
    /// New settings are being sent to it.
    case reloading
  }

  @Test(arguments: Phase.allCases, [SIGKILL, SIGSTOP]) func noRequestFailsWhereAChildIsLost(
    _ phase: Phase, signal: Int32
  ) async throws {
    try await LoopDriver.withLoop { loop in
      var options = MultiprocessingFixture.Options(holds: true, fileBytes: phase == .answering ? 6 << 20 : 0)
      if signal == SIGSTOP { options.patience = 2 }
      let fixture = try await MultiprocessingFixture(loop, options)
      try await fixture.waitForChildren()
      // The load goes on until both children were asked many times. The large answer is asked for separately.
      let load = fixture.startLoad(width: phase == .answering ? 0 : 3)
      var special: [Task<String, Never>] = []
      let victim: pid_t
      switch phase {
      case .starting: victim = try await loseStarting(fixture, signal)
      case .idle: victim = try await loseIdle(fixture, signal)
      case .requestSent: victim = try await loseWithRequest(fixture, signal)
      case .building: (victim, special) = try await loseBuilding(fixture, signal)
      case .answering: (victim, special) = try await loseAnswering(fixture, signal)
      case .publishing: (victim, special) = try await losePublishing(fixture, signal)
      case .editing: (victim, special) = try await loseEditing(fixture, signal)
      case .reloading: (victim, special) = try await loseReloading(fixture, signal)
      }
      for task in special {
        let text = await task.value
        #expect(text == "right", "\(text.prefix(300))")
      }
      // The rest of its answer may have been in the socket pair when it was stopped: then it is idle, and the next
      // requests to both children detect it.
      if phase == .answering {
        repeat {
          let both = (0..<2).map { _ in right(fixture, 0) { $0.utf8.count > 6_000_000 } }
          for task in both {
            let text = await task.value
            #expect(text == "right", "\(text.prefix(300))")
          }
        } while Processes.isAlive(victim)
      }
      // The load or its own request detects a stopped child; either way it ends.
      try await fixture.wait { !Processes.isAlive(victim) }
      try await fixture.waitForChildren()
      let answered = load.answered
      if phase != .answering { try await fixture.wait { load.answered >= answered + 12 } }
      await load.finish()
      #expect(load.answered == load.asked)
      #expect(load.wrong.isEmpty, "\(load.wrong.count) wrong, first: \(load.wrong.first?.prefix(300) ?? "")")
      #expect(fixture.core.restarts >= 1 && fixture.core.ownBuilds == 0)
      let hangs = fixture.core.pool.children.reduce(0) { $0 + $1.hangs }
      #expect(signal == SIGSTOP ? hangs >= 1 : hangs == 0)
      await fixture.stop()
    }
  }

  @Test func manyDeathsUnderLoadLoseNothing() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop)
      let load = fixture.startLoad(width: 12)
      // At any time: some children start, some build, some are idle.
      for round in 0..<60 {
        try await fixture.wait {
          round % 3 == 0 ? !fixture.core.childProcesses.isEmpty : fixture.core.readyChildren == fixture.core.childCount
        }
        let processes = fixture.core.childProcesses
        kill(processes[round % processes.count], SIGKILL)
        let answered = load.answered
        try await fixture.wait { load.answered > answered }
      }
      await load.finish()
      #expect(load.answered == load.asked)
      #expect(load.wrong.isEmpty, "\(load.wrong.count) wrong, first: \(load.wrong.first ?? "")")
      try await fixture.wait { fixture.core.restarts >= 40 }
      await fixture.stop()
    }
  }

  @Test(arguments: [SIGKILL, SIGSTOP]) func aShutdownEndsWithinItsTimeWhateverChildrenDo(signal: Int32) async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop, .init(holds: true))
      try await fixture.waitForChildren()
      fixture.core.shutdownTimeout = .milliseconds(50)
      fixture.hold.hold("c0")
      let held = Task { await fixture.configuration(0) }
      try await fixture.wait { fixture.hold.builders(of: "c0").count == 1 }
      let load = fixture.startLoad(width: 3)
      try await fixture.wait { load.answered > 5 }
      let processes = fixture.core.childProcesses
      #expect(processes.count == 2)
      for process in processes { kill(process, signal) }
      let began = loop.now
      var isStopped = false
      fixture.core.stopChildren { isStopped = true }
      // The parent builds the children's answers while the server ends.
      fixture.hold.letPass("c0")
      #expect(fixture.isOwn(await held.value, 0))
      await load.finish()
      #expect(load.answered == load.asked && load.wrong.isEmpty)
      try await fixture.wait { isStopped }
      // They are killed after their time, not before.
      if signal == SIGSTOP { #expect(loop.now - began >= .milliseconds(50)) }
      #expect(fixture.core.childProcesses.isEmpty && !processes.contains(where: Processes.isAlive))
      fixture.core.shutdown()
    }
  }

  @Test func aChildThatWaitsForAProgramIsNotTakenForDead() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop, .init(children: 1, patience: 1, holds: true))
      try await fixture.waitForChildren()
      let (hangs, restarts) = (fixture.core.pool.children[0].hangs, fixture.core.restarts)
      fixture.hold.hold("c0")
      let held = Task { await fixture.configuration(0) }
      try await fixture.wait { fixture.hold.builders(of: "c0").count == 1 }
      // Well past the second that a child may be silent.
      let began = loop.now
      let slot = fixture.core.pool.children[0]
      let pings = slot.pings
      try await fixture.wait { slot.pings >= pings + 4 || fixture.core.restarts > restarts }
      #expect(loop.now - began > .seconds(1))
      fixture.hold.release(1)
      #expect(fixture.isOwn(await held.value, 0))
      #expect(fixture.core.restarts == restarts && slot.hangs == hangs)
      await fixture.stop()
    }
  }

  // MARK: Phases

  private func loseStarting(_ fixture: MultiprocessingFixture, _ signal: Int32) async throws -> pid_t {
    let slot = fixture.core.pool.children[0]
    var victim: pid_t?
    let others = slot.onChange
    slot.onChange = {
      others()
      // Reported right after the start: the process has sent nothing yet.
      guard victim == nil, slot.isStarting, let process = slot.processID else { return }
      victim = process
      kill(process, signal)
    }
    kill(try #require(slot.processID), SIGKILL)
    try await fixture.wait { victim != nil }
    return try #require(victim)
  }

  private func loseIdle(_ fixture: MultiprocessingFixture, _ signal: Int32) async throws -> pid_t {
    let slot = fixture.core.pool.children[0]
    while !slot.isReady || slot.load > 0 { await fixture.loop.nextIteration() }
    let process = try #require(slot.processID)
    kill(process, signal)
    return process
  }

  private func loseWithRequest(_ fixture: MultiprocessingFixture, _ signal: Int32) async throws -> pid_t {
    let process = try await stop(fixture)
    let slot = fixture.core.pool.children[0]
    let queue = fixture.core.pool.queue
    try await fixture.wait { slot.processID != process || slot.load > 0 && queue.queuedBytes(of: slot.name) == 0 }
    #expect(slot.processID == process)
    if signal == SIGKILL { kill(process, SIGKILL) }
    return process
  }

  private func loseBuilding(
    _ fixture: MultiprocessingFixture, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    let before = fixture.hold.builders(of: "c0").count
    fixture.hold.hold("c0")
    let task = right(fixture, 0)
    try await fixture.wait { fixture.hold.builders(of: "c0").count > before }
    // The load asks for the same client: only a build that began after the hold is certain to wait.
    let process = try #require(fixture.hold.builders(of: "c0").last)
    #expect(fixture.core.childProcesses.contains(process))
    kill(process, signal)
    fixture.hold.letPass("c0")
    // Builds held in the other child continue.
    fixture.hold.release(4)
    return (process, [task])
  }

  private func loseAnswering(
    _ fixture: MultiprocessingFixture, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    let expected = try await fixture.expected(0)
    #expect(expected.utf8.count > 6_000_000)
    let pool = fixture.core.pool
    var tasks: [Task<String, Never>] = []
    var done = 0
    while true {
      // A whole answer may arrive between two checks: then the next one counts.
      if done == tasks.count {
        tasks.append(
          Task {
            let isRight = await fixture.configuration(0) == expected
            done += 1
            return isRight ? "right" : "wrong"
          })
      }
      await fixture.loop.nextIteration()
      guard let slot = pool.children.first(where: { pool.queue.missingBytes(of: $0.name) > 0 }) else { continue }
      let process = try #require(slot.processID)
      kill(process, signal)
      return (process, tasks)
    }
  }

  /// Stops a child, has something done that it is not told of any more, and asks as a client whose answer shows it.
  private func lose(
    _ fixture: MultiprocessingFixture, _ signal: Int32, asking client: Int, showing text: String,
    after work: () async throws -> Void
  ) async throws -> (pid_t, [Task<String, Never>]) {
    let process = try await stop(fixture)
    try await work()
    let tasks = (0..<4).map { _ in right(fixture, client) { $0.contains(text) } }
    if signal == SIGKILL { kill(process, SIGKILL) }
    return (process, tasks)
  }

  private func losePublishing(
    _ fixture: MultiprocessingFixture, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    try await lose(fixture, signal, asking: 1, showing: "name=\"probed") {
      #expect(await fixture.sendProbes(true, as: 1))
    }
  }

  private func loseEditing(
    _ fixture: MultiprocessingFixture, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    try await lose(fixture, signal, asking: 2, showing: "c2, edited") {
      fixture.repository.write("contents of c2, edited\n", to: "Cfg/motd/motd.H_c2")
    }
  }

  private func loseReloading(
    _ fixture: MultiprocessingFixture, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    try await lose(fixture, signal, asking: 3, showing: "owner=\"somebody") {
      fixture.changeSettings("[mdata]\nowner = somebody\n")
    }
  }

  /// Stops the first child and waits until the kernel reports it stopped.
  private func stop(_ fixture: MultiprocessingFixture) async throws -> pid_t {
    let process = try #require(fixture.core.pool.children[0].processID)
    kill(process, SIGSTOP)
    try await fixture.wait { Processes.isStopped(process) }
    return process
  }

  /// Sends a request; returns `right` if the answer is the client's and as expected, else the answer.
  private func right(
    _ fixture: MultiprocessingFixture, _ number: Int, _ isWanted: @escaping @MainActor (String) -> Bool = { _ in true }
  ) -> Task<String, Never> {
    Task {
      let text = await fixture.configuration(number)
      return fixture.isOwn(text, number) && isWanted(text) ? "right" : text
    }
  }
}
