import EventLoop
import Glibc
import Support
import Testing

/// AddressSanitizer has an allocator of its own, under which nothing can be counted.
nonisolated let countsAllocations = dlsym(nil, "__asan_init") == nil

@Test(.enabled(if: countsAllocations, "AddressSanitizer has its own allocator"))
func aRequestCostsNoMoreThanTheThresholds() async throws {
  try await LoopDriver.withLoop { loop in
    let result = try await ChildProcess.run(
      [
        "/usr/bin/env", "python3", "\(Project.root)/benchmarks/counts.py", "--sites", "small", "--check", "--binary",
        Project.server,
      ], input: [], timeout: .seconds(300), outputLimitBytes: 1 << 20, on: loop)
    let said = String(decoding: result.standardOutput + result.standardError, as: UTF8.self)
    #expect(result.status.isSuccess, "\(said)")
    #expect(said.contains("every count is within thresholds.json"))
  }
}

@Test func anEditMakesNoMorePartsThanTheThresholds() async throws {
  try await LoopDriver.withLoop { loop in
    let result = try await ChildProcess.run(
      [
        "/usr/bin/env", "python3", "\(Project.root)/benchmarks/fleet.py", "--parts", "--check", "--server-cpu", "0",
        "--load-cpu", "0", "--binary", Project.server,
      ], input: [], timeout: .seconds(300), outputLimitBytes: 1 << 20, on: loop)
    let said = String(decoding: result.standardOutput + result.standardError, as: UTF8.self)
    #expect(result.status.isSuccess, "\(said)")
    #expect(said.contains("every count is within thresholds.json"))
  }
}
