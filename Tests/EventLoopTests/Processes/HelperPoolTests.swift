import Glibc
import Support
import Testing

@testable import EventLoop

/// A pool whose helpers are the test: their ends of the sockets.
private final class PoolFixture {
  let loop: Reactor
  private let kernel: FakePoller
  private(set) var sockets: [Int32] = []
  private(set) var killed = 0
  private(set) var answers: [String] = []
  private(set) var losses: [String] = []
  private(set) var pool: HelperPool<String, UInt8>!

  init() {
    (loop, kernel) = FakePoller.makeLoop()
    let start: HelperStart = { [unowned self] socket, _ throws(SystemError) in
      sockets.append(fcntl(socket, F_DUPFD_CLOEXEC, 3))
      return { [weak self] in self?.killed += 1 }
    }
    pool = HelperPool(on: loop, start: start, answerLimitBytes: 8) { $0.count == 1 ? $0.first : nil }
    pool.onAnswer = { [unowned self] _, job, answer in answers.append("\(job) \(answer)") }
    pool.onLoss = { [unowned self] job, reason in losses.append("\(job ?? "none"): \(reason)") }
  }

  deinit { for socket in sockets { close(socket) } }

  func reply(_ bytes: [UInt8], from index: Int = 0) {
    #expect(Glibc.send(sockets[index], bytes, bytes.count, 0) == bytes.count)
  }

  /// The packet that a helper gets next.
  func packet(_ index: Int = 0) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = recv(sockets[index], &bytes, bytes.count, Int32(MSG_DONTWAIT))
    return Array(bytes.prefix(max(0, count)))
  }

  /// Reports all sockets of the pool as readable, which level-triggered poll does for those that are.
  func turn() {
    kernel.report(
      kernel.registrations.map {
        PollEvent(descriptor: $0.key, generation: $0.value.generation, readiness: .readable)
      })
    loop.runOnce(wait: .zero)
  }
}

struct HelperPoolTests {
  @Test func anAnswerBelongsToTheQuestionWithItsNumber() throws {
    let fixture = PoolFixture()
    let helper = try fixture.pool.add()
    for round in UInt8(1)...2 {
      fixture.pool.send("job", [7, 8], to: helper)
      #expect(fixture.pool.idle == nil && fixture.pool.jobs == ["job"])
      #expect(fixture.packet() == [round, 0, 0, 0, 7, 8])
      fixture.reply([round, 0, 0, 0, 9])
      fixture.turn()
      #expect(fixture.pool.idle === helper && fixture.pool.isIdle)
    }
    #expect(fixture.answers == ["job 9", "job 9"] && fixture.losses.isEmpty)
    fixture.pool.endAll()
    #expect(fixture.pool.count == 0 && fixture.killed == 1)
    fixture.loop.runOnce(wait: .zero)
    #expect(fixture.packet() == [])
  }

  @Test(arguments: [[2, 0, 0, 0, 9], [1, 0, 0, 0], [1, 0, 0, 0, 9, 9], [1]] as [[UInt8]])
  func aHelperWhoseAnswerDoesNotFitIsLostWithItsJob(answer: [UInt8]) throws {
    let fixture = PoolFixture()
    fixture.pool.send("job", [], to: try fixture.pool.add())
    fixture.reply(answer)
    fixture.turn()
    #expect(fixture.answers.isEmpty && fixture.losses == ["job: its answer makes no sense"])
    #expect(fixture.pool.count == 0 && fixture.killed == 1)
  }

  @Test func aHelperThatEndsOrSpeaksUnaskedIsLost() throws {
    let fixture = PoolFixture()
    _ = try fixture.pool.add()
    fixture.reply([0, 0, 0, 0, 1])
    fixture.turn()
    #expect(fixture.losses == ["none: its answer makes no sense"])
    let helper = try fixture.pool.add()
    shutdown(fixture.sockets[1], Int32(SHUT_RDWR))
    fixture.pool.send("job", [1], to: helper)
    #expect(fixture.losses.last?.hasPrefix("job: ") == true && fixture.pool.count == 0 && fixture.killed == 2)
  }
}
