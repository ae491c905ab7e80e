import EventLoop
import Glibc
import Support
import Testing

@testable import Commands

/// Processes for parts of the work, played by shells.
@Suite struct WorkersTests {
  private final class Heard {
    var lines: [WorkerLine] = []
  }

  private struct Refused: Error, CustomStringConvertible {
    let description = "refused"
  }

  /// The lines and statuses of workers that run these scripts.
  private func work(
    _ scripts: [String], refusing: WorkerLine? = nil
  ) async throws -> (lines: Set<WorkerLine>, statuses: [Int32]) {
    try await LoopDriver.withLoop { loop in
      let heard = Heard()
      let workers = try Workers(WorkPart.all(scripts.count), program: ["sh", "-c"], on: loop) { part in
        [scripts[part.place]]
      } onLine: { line in
        if line == refusing { throw Refused() }
        heard.lines.append(line)
      }
      let statuses = try await workers.waitForEnd()
      return (Set(heard.lines), statuses)
    }
  }

  @Test func linesAndStatusesAreThoseOfAll() async throws {
    let (lines, statuses) = try await work(["echo total 1; echo done", "printf 'result {}\\ndone'; exit 1", ""])
    #expect(lines == [.total(1), .done, .result("{}")])
    #expect(statuses == [0, 1, 0])
  }

  /// The first would wait for ever.
  @Test(arguments: [
    ("kill -KILL $$", "a process for a part of the clients was ended by signal 9 (Killed)"),
    ("echo nonsense", "a process for a part of the clients answered what makes no sense"),
    ("echo done", "refused"),
  ])
  func oneThatFailsEndsTheOthers(_ script: String, _ problem: String) async throws {
    let error = await #expect(throws: Workers.Problem.self) {
      try await work(["exec tail -f /dev/null", script], refusing: .done)
    }
    #expect(error?.description == problem)
  }

  @Test func problemsAreToldOnce() async throws {
    let same = "echo 'problem no such glob'; exit 1"
    let error = await #expect(throws: Workers.Problem.self) { try await work([same, same, "echo problem other"]) }
    #expect(error.map { $0.description.split(separator: "\n").sorted() } == ["no such glob", "other"])
  }

  @Test func longLinesCome() async throws {
    let (lines, _) = try await work(["printf 'result '; head -c 300000 /dev/zero | tr '\\0' x; echo; echo done"])
    #expect(lines == [.result(String(repeating: "x", count: 300_000)), .done])
  }
}
