import EventLoop
import Glibc
import Support
import Testing

/// A process behind a stream of frames.
struct FrameHelperTests {
  /// What a helper said, and why it ended.
  private final class Record {
    var frames: [(kind: UInt8, request: UInt64, payload: [UInt8])] = []
    var end: String?
  }

  /// Starts a script with the socket at descriptor 3.
  private func start(
    _ script: String, limitBytes: Int = 1 << 20, _ record: Record, on loop: Reactor
  ) throws -> FrameHelper {
    try FrameHelper(
      ChildProcess.Configuration(["/bin/sh", "-c", script]), limitBytes: limitBytes, on: loop
    ) { frame in
      record.frames.append((frame.kind, frame.request, Array(frame.payload)))
    } onEnd: { reason in
      record.end = reason
    }
  }

  @Test func framesOfAnySizeGoAndCome() async throws {
    try await LoopDriver.withLoop { loop in
      let record = Record()
      // Sends back what it gets.
      let helper = try start("cat <&3 >&3", record, on: loop)
      let sizes = [0, 1, 1 << 20, 3, 300_000]
      for (index, size) in sizes.enumerated() {
        let payload = [UInt8](repeating: UInt8(index), count: size)
        helper.send(FrameHeader.frame(kind: 7, request: UInt64(index), payload))
      }
      while record.frames.count < sizes.count, record.end == nil { await loop.nextIteration() }
      #expect(record.frames.map(\.payload.count) == sizes && record.frames.map(\.request) == [0, 1, 2, 3, 4])
      #expect(
        record.frames.allSatisfy { frame in frame.kind == 7 && frame.payload.allSatisfy { UInt64($0) == frame.request }
        })
      helper.close()
      _ = await helper.child.waitForExit()
      #expect(record.end == nil)
    }
  }

  @Test(arguments: [
    // More than is allowed, other bytes in the header, half a frame, nothing.
    (
      "printf '\\001\\000\\020\\000\\001\\000\\000\\000' >&3; printf '\\000\\000\\000\\000\\000\\000\\000\\000' >&3; cat <&3",
      "a malformed frame"
    ),
    ("printf '0123456789abcdef' >&3; cat <&3", "a malformed frame"),
    ("printf '\\001\\000' >&3", "it ended"), ("exit 3", "it ended"),
  ])
  func whatMakesNoSenseEndsIt(_ script: String, _ reason: String) async throws {
    try await LoopDriver.withLoop { loop in
      let record = Record()
      let helper = try start(script, record, on: loop)
      while record.end == nil { await loop.nextIteration() }
      #expect(record.end == reason && record.frames.isEmpty)
      _ = await helper.child.waitForExit()
      loop.runOnce(wait: .zero)
      #expect(loop.registeredWatchers.isEmpty)
    }
  }

  @Test func oneThatHasEndedTakesNothing() async throws {
    try await LoopDriver.withLoop { loop in
      let record = Record()
      let helper = try start("exit 0", record, on: loop)
      _ = await helper.child.waitForExit()
      helper.send(FrameHeader.frame(kind: 1, request: 1, [1]))
      while record.end == nil { await loop.nextIteration() }
      #expect(record.end == "it ended")
    }
  }
}
