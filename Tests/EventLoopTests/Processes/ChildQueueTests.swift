import Glibc
import Support
import Testing

@testable import EventLoop

/// Children get places to run in the order in which they came.
@MainActor @Suite struct ChildQueueTests {
  private typealias Urgency = ChildQueue.Urgency

  /// Takes places in order and says who has one.
  @MainActor private final class Crowd {
    let queue: ChildQueue
    private(set) var admitted: [Int] = []
    private(set) var cancelled: [Int] = []
    private(set) var refused: [Int] = []
    private var tasks: [Int: Task<Void, Never>] = [:]

    init(limit: Int, waitingLimit: Int = 100) {
      queue = ChildQueue(limit: limit, waitingLimit: waitingLimit, timeLimit: .seconds(1))
    }

    /// Returns when it has a place, waits, or was refused.
    func come(_ number: Int, _ urgency: ChildQueue.Urgency = .awaited) async {
      let before = queue.waitingCount
      tasks[number] = Task {
        do {
          if try await queue.enter(urgency) { admitted.append(number) } else { cancelled.append(number) }
        } catch {
          refused.append(number)
        }
      }
      while !admitted.contains(number), !refused.contains(number), queue.waitingCount == before { await Task.yield() }
    }

    func cancel(_ number: Int) async {
      tasks[number]?.cancel()
      while !cancelled.contains(number) { await Task.yield() }
    }

    /// Gives a place back and lets those run that get one.
    func leave(_ urgency: ChildQueue.Urgency = .awaited) async {
      let expected = admitted.count + (queue.waitingCount > 0 ? 1 : 0)
      queue.leave(urgency)
      for _ in 0..<100 where admitted.count < expected { await Task.yield() }
    }
  }

  @Test func placesAreGivenInOrder() async {
    let crowd = Crowd(limit: 2)
    for number in 1...5 { await crowd.come(number) }
    #expect(crowd.admitted == [1, 2] && crowd.queue.runningCount == 2 && crowd.queue.waitingCount == 3)
    await crowd.leave()
    #expect(crowd.admitted == [1, 2, 3])
    await crowd.leave()
    await crowd.leave()
    #expect(crowd.admitted == [1, 2, 3, 4, 5] && crowd.queue.runningCount == 2 && crowd.queue.waitingCount == 0)
    await crowd.leave()
    await crowd.leave()
    #expect(crowd.queue.runningCount == 0)
  }

  @Test func whatNobodyWaitsForHasHalfOfThePlaces() async {
    let crowd = Crowd(limit: 4)
    for number in 1...4 { await crowd.come(number, .background) }
    #expect(crowd.admitted == [1, 2] && crowd.queue.waitingCount == 2)
    await crowd.come(5)
    await crowd.come(6)
    await crowd.come(7)
    #expect(crowd.admitted == [1, 2, 5, 6] && crowd.queue.waitingCount == 3)
    // The place of one that is awaited goes to the first that may have it.
    await crowd.leave()
    #expect(crowd.admitted == [1, 2, 5, 6, 7])
    await crowd.leave(.background)
    #expect(crowd.admitted == [1, 2, 5, 6, 7, 3])
  }

  @Test func withOnePlaceBothHaveTheirTurn() async {
    let crowd = Crowd(limit: 1)
    await crowd.come(1)
    await crowd.come(2, .background)
    await crowd.come(3)
    await crowd.leave()
    #expect(crowd.admitted == [1, 2])
    await crowd.leave(.background)
    #expect(crowd.admitted == [1, 2, 3])
  }

  @Test func whoIsCancelledWaitsNoMore() async {
    let crowd = Crowd(limit: 1)
    for number in 1...3 { await crowd.come(number) }
    await crowd.cancel(2)
    #expect(crowd.queue.waitingCount == 1)
    await crowd.leave()
    #expect(crowd.admitted == [1, 3] && crowd.cancelled == [2])
  }

  @Test func tooManyThatWaitAreRefused() async {
    let crowd = Crowd(limit: 1, waitingLimit: 2)
    for number in 1...4 { await crowd.come(number) }
    #expect(crowd.admitted == [1] && crowd.refused == [4] && crowd.queue.waitingCount == 2)
  }

  @Test func morePlacesLetMoreRun() async {
    let crowd = Crowd(limit: 1)
    for number in 1...3 { await crowd.come(number) }
    crowd.queue.limit = 3
    while crowd.admitted.count < 3 { await Task.yield() }
    // Both go at once; which of them runs first is not the queue's matter.
    #expect(crowd.admitted.sorted() == [1, 2, 3])
  }

  @Test func aCrowdOfProgramsRunsAFewAtATime() async throws {
    try await LoopDriver.withLoop { loop in
      loop.childQueue.limit = 3
      // Each program counts the files of those that have not ended.
      let folder = TemporaryDirectory()
      let script = "touch $$; ls | wc -l; rm $$"
      let runs = (0..<40).map { _ in
        Task {
          let output = try? await ChildProcess.run(
            ["/bin/sh", "-c", script], workingDirectory: folder.path, outputLimitBytes: 100, on: loop)
          return output.flatMap { Int(String(decoding: $0.standardOutput.dropLast(), as: UTF8.self)) }
        }
      }
      var counts: [Int?] = []
      for run in runs { counts.append(await run.value) }
      #expect(counts.count == 40 && counts.allSatisfy { (1...3).contains($0 ?? 0) }, "\(counts)")
      #expect(loop.childQueue.runningCount == 0 && loop.childQueue.waitingCount == 0)
    }
  }

  @Test func noProgramRunsLongerThanTheQueueAllows() async throws {
    try await LoopDriver.withLoop { loop in
      loop.childQueue.timeLimit = .milliseconds(50)
      for timeout: Duration? in [nil, .seconds(300)] {
        let error = await #expect(throws: ChildProcess.RunError.self) {
          try await ChildProcess.run(["/bin/sleep", "300"], timeout: timeout, outputLimitBytes: 100, on: loop)
        }
        guard case .timedOut(_, .milliseconds(50), _) = error else { return #expect(Bool(false), "\(error as Any)") }
      }
      #expect(loop.childQueue.runningCount == 0)
    }
  }
}
