import Core
import EventLoop
import Glibc
import Support
import Testing

@testable import Server

/// Children that are killed or stopped in each phase of their life, while other clients ask.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ChildLossTests {
  enum Phase: CaseIterable {
    /// It was started and has not said that it is ready.
    case starting
    /// It has nothing to do.
    case idle
    /// Its request lies in the pair, unread.
    case requestSent
    /// A plugin of its waits in the middle of a build.
    case building
    /// A part of its answer has come.
    case answering
    /// Probe data is on its way to it, a request behind that.
    case publishing
    /// An edit is in its monitor's queue, a request that needs it in the pair.
    case editing
    /// New settings are on their way to it.
    case reloading
  }

  @Test(arguments: Phase.allCases, [SIGKILL, SIGSTOP]) func noRequestFailsWhereAChildIsLost(
    _ phase: Phase, signal: Int32
  ) async throws {
    try await LoopDriver.withLoop { loop in
      var options = MultiprocessingBench.Options(holds: true, fileBytes: phase == .answering ? 6 << 20 : 0)
      if signal == SIGSTOP { options.patience = 2 }
      let bench = try await MultiprocessingBench(loop, options)
      try await bench.waitForChildren()
      // Until as many were answered as it takes to meet both children again and again; the large answer is asked for
      // apart.
      let load = bench.startLoad(width: phase == .answering ? 0 : 3)
      var special: [Task<String, Never>] = []
      let victim: pid_t
      switch phase {
      case .starting: victim = try await loseStarting(bench, signal)
      case .idle: victim = try await loseIdle(bench, signal)
      case .requestSent: victim = try await loseWithRequest(bench, signal)
      case .building: (victim, special) = try await loseBuilding(bench, signal)
      case .answering: (victim, special) = try await loseAnswering(bench, signal)
      case .publishing: (victim, special) = try await losePublishing(bench, signal)
      case .editing: (victim, special) = try await loseEditing(bench, signal)
      case .reloading: (victim, special) = try await loseReloading(bench, signal)
      }
      for task in special {
        let text = await task.value
        #expect(text == "right", "\(text.prefix(300))")
      }
      // The rest of its answer may have been in the pair when it was stopped: then it is idle, and what both children
      // are asked next finds it out.
      if phase == .answering {
        repeat {
          let both = (0..<2).map { _ in right(bench, 0) { $0.utf8.count > 6_000_000 } }
          for task in both {
            let text = await task.value
            #expect(text == "right", "\(text.prefix(300))")
          }
        } while Processes.isAlive(victim)
      }
      // A stopped child is found out by the load, or by what was asked of it; either way it ends.
      try await bench.wait { !Processes.isAlive(victim) }
      try await bench.waitForChildren()
      let answered = load.answered
      if phase != .answering { try await bench.wait { load.answered >= answered + 12 } }
      await load.finish()
      #expect(load.answered == load.asked)
      #expect(load.wrong.isEmpty, "\(load.wrong.count) wrong, first: \(load.wrong.first?.prefix(300) ?? "")")
      #expect(bench.core.restarts >= 1 && bench.core.ownBuilds == 0)
      let hangs = bench.core.pool.children.reduce(0) { $0 + $1.hangs }
      #expect(signal == SIGSTOP ? hangs >= 1 : hangs == 0)
      await bench.stop()
    }
  }

  @Test func manyDeathsUnderLoadLoseNothing() async throws {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop)
      let load = bench.startLoad(width: 12)
      // As they come: some start, some build, some are idle.
      for round in 0..<60 {
        try await bench.wait {
          round % 3 == 0 ? !bench.core.childProcesses.isEmpty : bench.core.readyChildren == bench.core.childCount
        }
        let processes = bench.core.childProcesses
        kill(processes[round % processes.count], SIGKILL)
        let answered = load.answered
        try await bench.wait { load.answered > answered }
      }
      await load.finish()
      #expect(load.answered == load.asked)
      #expect(load.wrong.isEmpty, "\(load.wrong.count) wrong, first: \(load.wrong.first ?? "")")
      try await bench.wait { bench.core.restarts >= 40 }
      await bench.stop()
    }
  }

  @Test(arguments: [SIGKILL, SIGSTOP]) func aShutdownEndsWithinItsTimeWhateverChildrenDo(signal: Int32) async throws {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop, .init(holds: true))
      try await bench.waitForChildren()
      bench.core.shutdownTimeout = .milliseconds(50)
      bench.hold.hold("c0")
      let held = Task { await bench.configuration(0) }
      try await bench.wait { bench.hold.builders(of: "c0").count == 1 }
      let load = bench.startLoad(width: 3)
      try await bench.wait { load.answered > 5 }
      let processes = bench.core.childProcesses
      #expect(processes.count == 2)
      for process in processes { kill(process, signal) }
      let began = loop.now
      var isStopped = false
      bench.core.stopChildren { isStopped = true }
      // What the children had is built here while the server ends.
      bench.hold.letPass("c0")
      #expect(bench.isOwn(await held.value, 0))
      await load.finish()
      #expect(load.answered == load.asked && load.wrong.isEmpty)
      try await bench.wait { isStopped }
      // Killed after the time that they had, and not before.
      if signal == SIGSTOP { #expect(loop.now - began >= .milliseconds(50)) }
      #expect(bench.core.childProcesses.isEmpty && !processes.contains(where: Processes.isAlive))
      bench.core.shutdown()
    }
  }

  @Test func aChildThatWaitsForAProgramIsNotTakenForDead() async throws {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop, .init(children: 1, patience: 1, holds: true))
      try await bench.waitForChildren()
      let (hangs, restarts) = (bench.core.pool.children[0].hangs, bench.core.restarts)
      bench.hold.hold("c0")
      let held = Task { await bench.configuration(0) }
      try await bench.wait { bench.hold.builders(of: "c0").count == 1 }
      // Well past the second that a child may be silent.
      let began = loop.now
      let slot = bench.core.pool.children[0]
      let pings = slot.pings
      try await bench.wait { slot.pings >= pings + 4 || bench.core.restarts > restarts }
      #expect(loop.now - began > .seconds(1))
      bench.hold.release(1)
      #expect(bench.isOwn(await held.value, 0))
      #expect(bench.core.restarts == restarts && slot.hangs == hangs)
      await bench.stop()
    }
  }

  // MARK: Phases

  private func loseStarting(_ bench: MultiprocessingBench, _ signal: Int32) async throws -> pid_t {
    let slot = bench.core.pool.children[0]
    var victim: pid_t?
    let others = slot.onChange
    slot.onChange = {
      others()
      // Told right after the start: nothing has been heard of the process.
      guard victim == nil, slot.isStarting, let process = slot.processID else { return }
      victim = process
      kill(process, signal)
    }
    kill(try #require(slot.processID), SIGKILL)
    try await bench.wait { victim != nil }
    return try #require(victim)
  }

  private func loseIdle(_ bench: MultiprocessingBench, _ signal: Int32) async throws -> pid_t {
    let slot = bench.core.pool.children[0]
    while !slot.isReady || slot.load > 0 { await bench.loop.nextIteration() }
    let process = try #require(slot.processID)
    kill(process, signal)
    return process
  }

  private func loseWithRequest(_ bench: MultiprocessingBench, _ signal: Int32) async throws -> pid_t {
    let process = try await stop(bench)
    let slot = bench.core.pool.children[0]
    let queue = bench.core.pool.queue
    try await bench.wait { slot.processID != process || slot.load > 0 && queue.queuedBytes(of: slot.name) == 0 }
    #expect(slot.processID == process)
    if signal == SIGKILL { kill(process, SIGKILL) }
    return process
  }

  private func loseBuilding(
    _ bench: MultiprocessingBench, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    let before = bench.hold.builders(of: "c0").count
    bench.hold.hold("c0")
    let task = right(bench, 0)
    try await bench.wait { bench.hold.builders(of: "c0").count > before }
    // The load asks for the same client: only a build that began after the hold is certain to wait.
    let process = try #require(bench.hold.builders(of: "c0").last)
    #expect(bench.core.childProcesses.contains(process))
    kill(process, signal)
    bench.hold.letPass("c0")
    // Whatever waits in the other child goes on.
    bench.hold.release(4)
    return (process, [task])
  }

  private func loseAnswering(
    _ bench: MultiprocessingBench, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    let expected = try await bench.expected(0)
    #expect(expected.utf8.count > 6_000_000)
    let pool = bench.core.pool
    var tasks: [Task<String, Never>] = []
    var done = 0
    while true {
      // An answer may have come whole between two looks: then the next one.
      if done == tasks.count {
        tasks.append(
          Task {
            let isRight = await bench.configuration(0) == expected
            done += 1
            return isRight ? "right" : "wrong"
          })
      }
      await bench.loop.nextIteration()
      guard let slot = pool.children.first(where: { pool.queue.missingBytes(of: $0.name) > 0 }) else { continue }
      let process = try #require(slot.processID)
      kill(process, signal)
      return (process, tasks)
    }
  }

  private func losePublishing(
    _ bench: MultiprocessingBench, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    let process = try await stop(bench)
    #expect(await bench.sendProbes(true, as: 1))
    let tasks = (0..<4).map { _ in right(bench, 1) { $0.contains("name=\"probed") } }
    if signal == SIGKILL { kill(process, SIGKILL) }
    return (process, tasks)
  }

  private func loseEditing(
    _ bench: MultiprocessingBench, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    let process = try await stop(bench)
    bench.repository.write("contents of c2, edited\n", to: "Cfg/motd/motd.H_c2")
    let tasks = (0..<4).map { _ in right(bench, 2) { $0.contains("c2, edited") } }
    if signal == SIGKILL { kill(process, SIGKILL) }
    return (process, tasks)
  }

  private func loseReloading(
    _ bench: MultiprocessingBench, _ signal: Int32
  ) async throws -> (pid_t, [Task<String, Never>]) {
    let process = try await stop(bench)
    bench.changeSettings("[mdata]\nowner = somebody\n")
    let tasks = (0..<4).map { _ in right(bench, 3) { $0.contains("owner=\"somebody") } }
    if signal == SIGKILL { kill(process, SIGKILL) }
    return (process, tasks)
  }

  /// Stops the first child and waits until it stands still.
  private func stop(_ bench: MultiprocessingBench) async throws -> pid_t {
    let process = try #require(bench.core.pool.children[0].processID)
    kill(process, SIGSTOP)
    try await bench.wait { Processes.isStopped(process) }
    return process
  }

  /// A request; `right` where its answer is the client's and as wanted, else the answer.
  private func right(
    _ bench: MultiprocessingBench, _ number: Int, _ isWanted: @escaping @MainActor (String) -> Bool = { _ in true }
  ) -> Task<String, Never> {
    Task {
      let text = await bench.configuration(number)
      return bench.isOwn(text, number) && isWanted(text) ? "right" : text
    }
  }
}
