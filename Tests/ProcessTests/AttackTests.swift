import EventLoop
import Support
import Testing

/// The attacks of Tests/Attacks against the server that was built with the tests.
@Suite(.serialized) struct AttackTests {
  #if DEBUG
    /// How many times longer than an optimized build a parser may take.
    private static let slowness = 100
  #else
    private static let slowness = 5
  #endif

  private func attack(_ script: String, _ arguments: [String]) async throws {
    let result = try await LoopDriver.withLoop { loop in
      try await ChildProcess.run(
        ["/usr/bin/env", "python3", "\(Project.root)/Tests/Attacks/\(script)", "--server", Project.server] + arguments,
        outputLimitBytes: 4 << 20, on: loop)
    }
    let text = String(decoding: result.standardOutput + result.standardError, as: UTF8.self)
    let failures = text.split(separator: "\n").filter { !$0.hasPrefix("ok ") }.joined(separator: "\n")
    #expect(result.status == .exited(0), "\(failures)")
  }

  /// Memory is exact; processor time is not, and differs between builds: its bound finds work that
  /// grows with the square of the input.
  @Test(.enabled(if: countsAllocations, "AddressSanitizer keeps what was freed"))
  func noRequestOfAMegabyteCostsMoreThan64Megabytes() async throws {
    try await attack("amplification.py", ["--megabytes", "64", "--milliseconds", "\(200 * Self.slowness)"])
  }

  /// If the file is read and written whole, the processor time of a change grows with the clients: 100,000 take
  /// over a second.
  @Test func aChangeOfOneClientOfManyCostsItsOwnSize() async throws {
    try await attack(
      "clients.py",
      [
        "--clients", "20000", "--changes", "5", "--milliseconds", "\(6 * Self.slowness)", "--pause",
        "\(60 * Self.slowness)",
      ])
  }

  @Test func aBurstOfConfigurationsStartsAFewProgramsAtATime() async throws {
    try await attack("children.py", [])
  }
}
