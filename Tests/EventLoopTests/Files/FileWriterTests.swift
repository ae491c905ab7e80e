import Glibc
import Support
import Testing

@testable import EventLoop

struct FileWriterTests {
  /// A loop whose disk a test holds, and a folder.
  private final class Fixture {
    let folder = TemporaryDirectory()
    let disk = HeldSynchronizer()
    let loop: Reactor
    /// Ends of writes, in their order.
    private(set) var ended: [String: Result<Void, FileWriteError>] = [:]

    init(_ loop: Reactor) {
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

  private func run(_ body: (Fixture) async throws -> Void) async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = Fixture(loop)
      try await body(fixture)
      loop.fileWriter.close()
    }
  }

  @Test func aWriteEndsWhenFileAndFolderAreOnDisk() async throws {
    try await run { (fixture: Fixture) async throws in
      fixture.write("new", to: "file")
      await fixture.wait { fixture.disk.heldCount == 1 }
      // The write does not end before the disk has it.
      #expect(fixture.text("file") == nil && fixture.disk.begunFolders == 0)
      fixture.disk.release()
      await fixture.wait { fixture.disk.heldCount == 1 }
      #expect(fixture.text("file") == "new" && fixture.disk.begunFolders == 1 && fixture.ended.isEmpty)
      fixture.disk.release()
      await fixture.wait { fixture.ended.count == 1 }
      #expect(fixture.has("file", nil))
      #expect(fixture.folder.names() == ["file"])
    }
  }

  @Test func filesOfOneIterationShareTheirFoldersSynchronization() async throws {
    try await run { (fixture: Fixture) async throws in
      for number in 0..<20 { fixture.write("\(number)", to: "file\(number)") }
      await fixture.wait { fixture.disk.heldCount == 20 }
      fixture.disk.release()
      await fixture.wait { fixture.disk.heldCount == 1 }
      // What comes to the folder now has to wait for the next synchronization: it may be too late for this one.
      fixture.write("late", to: "late")
      await fixture.wait { fixture.disk.begun == 22 }
      fixture.disk.release()
      await fixture.wait { fixture.ended.count == 20 }
      #expect(fixture.disk.heldCount == 1 && fixture.disk.begunFolders == 2)
      fixture.disk.release()
      await fixture.wait { fixture.ended.count == 21 }
      #expect(fixture.folder.names().count == 21)
    }
  }

  @Test func anEditWhileTheDiskIsWaitedForIsNotReplaced() async throws {
    try await run { (fixture: Fixture) async throws in
      let path = fixture.folder.write("read", to: "file")
      fixture.write("ours", to: "file", replacing: try AtomicFile.version(of: path, limitBytes: 10))
      fixture.write("ours", to: "new")
      await fixture.wait { fixture.disk.heldCount == 2 }
      fixture.folder.write("edit", to: "file")
      fixture.folder.write("theirs", to: "new")
      fixture.disk.release()
      await fixture.wait { fixture.ended.count == 2 }
      #expect(
        fixture.has("file", .changed(path: path)) && fixture.has("new", .changed(path: fixture.folder.file("new"))))
      #expect(fixture.text("file") == "edit" && fixture.text("new") == "theirs")
      #expect(fixture.folder.names() == ["file", "new"])
    }
  }

  @Test func overwritingLooksAgainAtWhatChangedMeanwhile() async throws {
    try await run { (fixture: Fixture) async throws in
      let path = fixture.folder.write("old", to: "file")
      let task = Task {
        try await fixture.loop.fileWriter.overwrite(path, with: Array("ours".utf8), mode: .ordinary, limitBytes: 100)
      }
      await fixture.wait { fixture.disk.heldCount == 1 }
      fixture.folder.write("edit", to: "file")
      fixture.disk.release()
      await fixture.wait { fixture.disk.heldCount == 1 }
      fixture.disk.isHolding = false
      fixture.disk.release()
      try await task.value
      #expect(fixture.text("file") == "ours")
    }
  }

  @Test func overwritingEndsWhereAFileKeepsChanging() async throws {
    try await run { (fixture: Fixture) async throws in
      let path = fixture.folder.write("0", to: "file")
      let task = Task {
        try await fixture.loop.fileWriter.overwrite(path, with: [1], mode: .ordinary, limitBytes: 100)
      }
      for attempt in 1...FileWriter.attemptLimit {
        await fixture.wait { fixture.disk.begun == attempt }
        fixture.folder.write("\(attempt)", to: "file")
        fixture.disk.release()
      }
      await #expect(throws: FileWriteError.changed(path: path)) { try await task.value }
      #expect(fixture.text("file") == "\(FileWriter.attemptLimit)")
    }
  }

  @Test(arguments: [false, true])
  func afterAFailedSynchronizationNothingIsAcknowledged(isOfFolder: Bool) async throws {
    try await run { (fixture: Fixture) async throws in
      fixture.write("new", to: "file")
      await fixture.wait { fixture.disk.heldCount == 1 }
      if isOfFolder {
        fixture.disk.release()
        await fixture.wait { fixture.disk.heldCount == 1 }
      }
      fixture.disk.failure = EIO
      fixture.disk.release()
      await fixture.wait { fixture.ended.count == 1 }
      let path = isOfFolder ? fixture.folder.path : fixture.folder.file("file")
      #expect(fixture.has("file", .system(SystemError(call: "fsync", errno: EIO, detail: path))))
      #expect(fixture.folder.names() == (isOfFolder ? ["file"] : []))
    }
  }

  @Test(arguments: [false, true])
  func aFileThatCannotBeWrittenRefusesNoOther(isFirst: Bool) async throws {
    try await run { (fixture: Fixture) async throws in
      let names = isFirst ? ["a bad", "good", "z"] : ["a", "good", "z bad"]
      let bad = try #require(names.first { $0.hasSuffix("bad") })
      fixture.folder.write("", to: "\(bad)/in the way")
      let files = names.map {
        FileWrite(Array("new".utf8), to: fixture.folder.file($0), replacing: .missing, mode: .ordinary)
      }
      let last = FileWrite(Array("all".utf8), to: fixture.folder.file("last"), replacing: .missing, mode: .ordinary)
      fixture.disk.isHolding = false
      var inPlace: [Bool] = []
      let failures = await fixture.loop.fileWriter.writeEach(files, last: last) { results in
        inPlace = results.map { if case .success = $0 { true } else { false } }
      }
      let refusal = FileWriteError.system(SystemError(call: "rename", errno: EISDIR, detail: fixture.folder.file(bad)))
      #expect(failures.dropLast() == names.map { $0 == bad ? refusal : nil }[...])
      #expect(inPlace == names.map { $0 != bad } + [false])
      for name in names where name != bad { #expect(fixture.text(name) == "new") }
      #expect(failures.last != .some(nil) && fixture.text("last") == nil)
      #expect(fixture.folder.names() == names)
    }
  }

  @Test func aFileThatWasEditedMeanwhileRefusesNoOther() async throws {
    try await run { (fixture: Fixture) async throws in
      let files = ["a", "b"].map {
        FileWrite(Array("new".utf8), to: fixture.folder.file($0), replacing: .missing, mode: .ordinary)
      }
      var failures: [FileWriteError?]?
      Task { failures = await fixture.loop.fileWriter.writeEach(files) { _ in } }
      await fixture.wait { fixture.disk.heldCount == 2 }
      fixture.folder.write("edit", to: "a")
      fixture.disk.isHolding = false
      fixture.disk.release()
      await fixture.wait { failures != nil }
      #expect(failures == [.changed(path: fixture.folder.file("a")), nil])
      #expect(fixture.text("a") == "edit" && fixture.text("b") == "new")
    }
  }

  @Test func openFilesAreBounded() async throws {
    try await run { (fixture: Fixture) async throws in
      for number in 0..<(FileWriter.openLimit * 2 + 1) { fixture.write("x", to: "file\(number)") }
      await fixture.wait { fixture.disk.heldCount == FileWriter.openLimit }
      await fixture.loop.nextIteration()
      #expect(fixture.disk.begun == FileWriter.openLimit)
      fixture.disk.isHolding = false
      fixture.disk.release()
      await fixture.wait { fixture.ended.count == FileWriter.openLimit * 2 + 1 }
      #expect(fixture.folder.names().count == FileWriter.openLimit * 2 + 1)
    }
  }

  @Test func failuresLeaveRoomForLaterWrites() async throws {
    try await run { (fixture: Fixture) async throws in
      fixture.disk.isHolding = false
      for code in [ENOSPC, 0] {
        fixture.disk.failure = code
        for number in 0..<(FileWriter.openLimit * 3) { fixture.write("x", to: "\(code) \(number)") }
        let count = FileWriter.openLimit * (code == 0 ? 6 : 3)
        await fixture.wait { fixture.ended.count == count }
      }
      #expect(fixture.folder.names().count == FileWriter.openLimit * 3)
    }
  }

  @Test func theEndOfTheLoopEndsWhatWaits() async throws {
    try await run { (fixture: Fixture) async throws in
      fixture.write("new", to: "file")
      await fixture.wait { fixture.disk.heldCount == 1 }
      fixture.loop.fileWriter.close()
      await fixture.wait { fixture.ended.count == 1 }
      #expect(fixture.folder.names().isEmpty)
    }
  }
}

/// Helper processes; here the server's executable.
struct SyncHelpersTests {
  private func helpers(_ loop: Reactor, _ path: String = Project.server) -> SyncHelpers {
    SyncHelpers(on: loop, start: SyncHelper.process.start(path))
  }

  @Test func helpersSynchronizeWhatTheyAreGiven() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      // Counted when they start: one that has nothing to do for long, on a machine that is busy, ends.
      var started = 0
      let start = SyncHelper.process.start(Project.server)
      let helpers = SyncHelpers(on: loop) { socket, loop throws(SystemError) in
        started += 1
        return try start(socket, loop)
      }
      let limit = SyncHelpers.sharingLimit * 2 + 3
      let files = try (0..<limit).map { number in try FileHandle(folder.file("\(number)")) }
      var codes: [Int32] = []
      // The first file has a synchronization of its own, the others share few.
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
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
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
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
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
