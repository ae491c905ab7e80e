import Glibc
import Support
import Testing

@testable import EventLoop

struct FileWriterTests {
  /// A loop whose disk a test holds, and a folder.
  private final class Bench {
    let folder = TemporaryDirectory()
    let disk = HeldSynchronizer()
    let loop: EventLoop
    /// Ends of writes, in their order.
    private(set) var ended: [String: Result<Void, FileWriteError>] = [:]

    init(_ loop: EventLoop) {
      self.loop = loop
      loop.fileWriter.synchronizer = disk
    }

    func write(_ text: String, to name: String, replacing version: FileVersion = .missing) {
      let file = FileWrite(Array(text.utf8), to: folder.file(name), replacing: version, mode: .ordinary)
      Task {
        do throws(FileWriteError) {
          try await loop.fileWriter.write(file)
          ended[name] = .success(())
        } catch {
          ended[name] = .failure(error)
        }
      }
    }

    func wait(for condition: () -> Bool) async {
      while !condition() { await loop.nextIteration() }
    }

    func text(_ name: String) -> String? {
      (try? AtomicFile.readFile(folder.file(name), limitBytes: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
    }

    func has(_ name: String, _ error: FileWriteError?) -> Bool {
      switch ended[name] {
      case .success: error == nil
      case .failure(let found): found == error
      case nil: false
      }
    }
  }

  private func run(_ body: (Bench) async throws -> Void) async throws {
    try await LoopDriver.withLoop { loop in
      let bench = Bench(loop)
      try await body(bench)
      loop.fileWriter.close()
    }
  }

  @Test func aWriteEndsWhenFileAndFolderAreOnDisk() async throws {
    try await run { (bench: Bench) async throws in
      bench.write("new", to: "file")
      await bench.wait { bench.disk.heldCount == 1 }
      // Not there before the disk has it.
      #expect(bench.text("file") == nil && bench.disk.begunFolders == 0)
      bench.disk.release()
      await bench.wait { bench.disk.heldCount == 1 }
      #expect(bench.text("file") == "new" && bench.disk.begunFolders == 1 && bench.ended.isEmpty)
      bench.disk.release()
      await bench.wait { bench.ended.count == 1 }
      #expect(bench.has("file", nil))
      #expect(bench.folder.names() == ["file"])
    }
  }

  @Test func filesOfOneIterationShareTheirFoldersSynchronization() async throws {
    try await run { (bench: Bench) async throws in
      for number in 0..<20 { bench.write("\(number)", to: "file\(number)") }
      await bench.wait { bench.disk.heldCount == 20 }
      bench.disk.release()
      await bench.wait { bench.disk.heldCount == 1 }
      // What comes to the folder now has to wait for the next synchronization: it may be too late for this one.
      bench.write("late", to: "late")
      await bench.wait { bench.disk.begun == 22 }
      bench.disk.release()
      await bench.wait { bench.ended.count == 20 }
      #expect(bench.disk.heldCount == 1 && bench.disk.begunFolders == 2)
      bench.disk.release()
      await bench.wait { bench.ended.count == 21 }
      #expect(bench.folder.names().count == 21)
    }
  }

  @Test func anEditWhileTheDiskIsWaitedForIsNotReplaced() async throws {
    try await run { (bench: Bench) async throws in
      let path = bench.folder.write("read", to: "file")
      bench.write("ours", to: "file", replacing: try AtomicFile.version(of: path, limitBytes: 10))
      bench.write("ours", to: "new")
      await bench.wait { bench.disk.heldCount == 2 }
      bench.folder.write("edit", to: "file")
      bench.folder.write("theirs", to: "new")
      bench.disk.release()
      await bench.wait { bench.ended.count == 2 }
      #expect(bench.has("file", .changed(path: path)) && bench.has("new", .changed(path: bench.folder.file("new"))))
      #expect(bench.text("file") == "edit" && bench.text("new") == "theirs")
      #expect(bench.folder.names() == ["file", "new"])
    }
  }

  @Test func overwritingLooksAgainAtWhatChangedMeanwhile() async throws {
    try await run { (bench: Bench) async throws in
      let path = bench.folder.write("old", to: "file")
      let task = Task {
        try await bench.loop.fileWriter.overwrite(path, with: Array("ours".utf8), mode: .ordinary, limitBytes: 100)
      }
      await bench.wait { bench.disk.heldCount == 1 }
      bench.folder.write("edit", to: "file")
      bench.disk.release()
      await bench.wait { bench.disk.heldCount == 1 }
      bench.disk.isHolding = false
      bench.disk.release()
      try await task.value
      #expect(bench.text("file") == "ours")
    }
  }

  @Test func overwritingEndsWhereAFileKeepsChanging() async throws {
    try await run { (bench: Bench) async throws in
      let path = bench.folder.write("0", to: "file")
      let task = Task {
        try await bench.loop.fileWriter.overwrite(path, with: [1], mode: .ordinary, limitBytes: 100)
      }
      for attempt in 1...FileWriter.attemptLimit {
        await bench.wait { bench.disk.begun == attempt }
        bench.folder.write("\(attempt)", to: "file")
        bench.disk.release()
      }
      await #expect(throws: FileWriteError.changed(path: path)) { try await task.value }
      #expect(bench.text("file") == "\(FileWriter.attemptLimit)")
    }
  }

  @Test(arguments: [false, true])
  func afterAFailedSynchronizationNothingIsAcknowledged(isOfFolder: Bool) async throws {
    try await run { (bench: Bench) async throws in
      bench.write("new", to: "file")
      await bench.wait { bench.disk.heldCount == 1 }
      if isOfFolder {
        bench.disk.release()
        await bench.wait { bench.disk.heldCount == 1 }
      }
      bench.disk.failure = EIO
      bench.disk.release()
      await bench.wait { bench.ended.count == 1 }
      let path = isOfFolder ? bench.folder.path : bench.folder.file("file")
      #expect(bench.has("file", .system(SystemError(call: "fsync", errno: EIO, detail: path))))
      #expect(bench.folder.names() == (isOfFolder ? ["file"] : []))
    }
  }

  @Test(arguments: [false, true])
  func aFileThatCannotBeWrittenRefusesNoOther(isFirst: Bool) async throws {
    try await run { (bench: Bench) async throws in
      let names = isFirst ? ["a bad", "good", "z"] : ["a", "good", "z bad"]
      let bad = try #require(names.first { $0.hasSuffix("bad") })
      bench.folder.write("", to: "\(bad)/in the way")
      let files = names.map {
        FileWrite(Array("new".utf8), to: bench.folder.file($0), replacing: .missing, mode: .ordinary)
      }
      let last = FileWrite(Array("all".utf8), to: bench.folder.file("last"), replacing: .missing, mode: .ordinary)
      bench.disk.isHolding = false
      var inPlace: [Bool] = []
      let failures = await bench.loop.fileWriter.writeEach(files, last: last) { results in
        inPlace = results.map { if case .success = $0 { true } else { false } }
      }
      let refusal = FileWriteError.system(SystemError(call: "rename", errno: EISDIR, detail: bench.folder.file(bad)))
      #expect(failures.dropLast() == names.map { $0 == bad ? refusal : nil }[...])
      #expect(inPlace == names.map { $0 != bad } + [false])
      for name in names where name != bad { #expect(bench.text(name) == "new") }
      #expect(failures.last != .some(nil) && bench.text("last") == nil)
      #expect(bench.folder.names() == names)
    }
  }

  @Test func aFileThatWasEditedMeanwhileRefusesNoOther() async throws {
    try await run { (bench: Bench) async throws in
      let files = ["a", "b"].map {
        FileWrite(Array("new".utf8), to: bench.folder.file($0), replacing: .missing, mode: .ordinary)
      }
      var failures: [FileWriteError?]?
      Task { failures = await bench.loop.fileWriter.writeEach(files) { _ in } }
      await bench.wait { bench.disk.heldCount == 2 }
      bench.folder.write("edit", to: "a")
      bench.disk.isHolding = false
      bench.disk.release()
      await bench.wait { failures != nil }
      #expect(failures == [.changed(path: bench.folder.file("a")), nil])
      #expect(bench.text("a") == "edit" && bench.text("b") == "new")
    }
  }

  @Test func openFilesAreBounded() async throws {
    try await run { (bench: Bench) async throws in
      for number in 0..<(FileWriter.openLimit * 2 + 1) { bench.write("x", to: "file\(number)") }
      await bench.wait { bench.disk.heldCount == FileWriter.openLimit }
      await bench.loop.nextIteration()
      #expect(bench.disk.begun == FileWriter.openLimit)
      bench.disk.isHolding = false
      bench.disk.release()
      await bench.wait { bench.ended.count == FileWriter.openLimit * 2 + 1 }
      #expect(bench.folder.names().count == FileWriter.openLimit * 2 + 1)
    }
  }

  @Test func failuresLeaveRoomForLaterWrites() async throws {
    try await run { (bench: Bench) async throws in
      bench.disk.isHolding = false
      for code in [ENOSPC, 0] {
        bench.disk.failure = code
        for number in 0..<(FileWriter.openLimit * 3) { bench.write("x", to: "\(code) \(number)") }
        let count = FileWriter.openLimit * (code == 0 ? 6 : 3)
        await bench.wait { bench.ended.count == count }
      }
      #expect(bench.folder.names().count == FileWriter.openLimit * 3)
    }
  }

  @Test func theEndOfTheLoopEndsWhatWaits() async throws {
    try await run { (bench: Bench) async throws in
      bench.write("new", to: "file")
      await bench.wait { bench.disk.heldCount == 1 }
      bench.loop.fileWriter.close()
      await bench.wait { bench.ended.count == 1 }
      #expect(bench.folder.names().isEmpty)
    }
  }
}

/// Helper processes; here the server's executable.
struct SyncHelpersTests {
  private func helpers(_ loop: EventLoop, _ path: String = Project.server) -> SyncHelpers {
    SyncHelpers(on: loop) { socket, loop throws(SystemError) in
      try SyncHelpers.startExecutable(path, socket, loop)
    }
  }

  @Test func helpersSynchronizeWhatTheyAreGiven() async throws {
    try await LoopDriver.withLoop { (loop: EventLoop) async throws in
      let folder = TemporaryDirectory()
      // Counted when they start: one that has nothing to do for long, on a machine that is busy, ends.
      var started = 0
      let helpers = SyncHelpers(on: loop) { socket, loop throws(SystemError) in
        started += 1
        return try SyncHelpers.startExecutable(Project.server, socket, loop)
      }
      let limit = SyncHelpers.sharingLimit * 2 + 3
      let files = try (0..<limit).map { number in try FileHandle(folder.file("\(number)")) }
      var codes: [Int32] = []
      // The first by itself, of the others many in one.
      for file in files { helpers.synchronize(file.raw) { codes.append($0) } }
      while codes.count < limit { await loop.nextIteration() }
      #expect(codes == Array(repeating: 0, count: limit))
      #expect(started >= 1 && helpers.helperCount <= SyncHelpers.helperLimit)
      helpers.close()
      helpers.synchronize(files[0].raw) { codes.append($0) }
      #expect(codes.last == ECANCELED && helpers.helperCount == 0)
    }
  }

  @Test func anErrorIsThatOfItsFile() async throws {
    try await LoopDriver.withLoop { (loop: EventLoop) async throws in
      let folder = TemporaryDirectory()
      let helpers = helpers(loop)
      var codes: [Int32] = []
      // A pipe cannot be synchronized.
      var ends: [Int32] = [-1, -1]
      #expect(pipe(&ends) == 0)
      let file = try FileHandle(folder.file("file"))
      helpers.synchronize(ends[0]) { codes.append($0) }
      helpers.synchronize(file.raw) { codes.append($0) }
      while codes.count < 2 { await loop.nextIteration() }
      #expect(codes == [EINVAL, 0])
      for end in ends { close(end) }
      helpers.close()
    }
  }

  @Test(arguments: ["/nonexistent/helper", "/bin/false"])
  func withoutHelpersTheLoopSynchronizes(path: String) async throws {
    try await LoopDriver.withLoop { (loop: EventLoop) async throws in
      let folder = TemporaryDirectory()
      let helpers = helpers(loop, path)
      let file = try FileHandle(folder.file("file"))
      var codes: [Int32] = []
      helpers.synchronize(file.raw) { codes.append($0) }
      while codes.isEmpty { await loop.nextIteration() }
      #expect(codes == [0])
      helpers.close()
    }
  }

  @Test func aHelperEndsWithItsSocket() throws {
    var pair: [Int32] = [-1, -1]
    #expect(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &pair) == 0)
    close(pair[0])
    #expect(SyncHelper.serveOne(pair[1]) == .closed)
    close(pair[1])
  }

  /// An open file, closed with its owner.
  private final class FileHandle {
    let raw: Int32
    init(_ path: String) throws { raw = try FileDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o600).take() }
    deinit { close(raw) }
  }
}
