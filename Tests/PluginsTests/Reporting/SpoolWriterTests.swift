import EventLoop
import Glibc
import Logging
import ReportRecords
import Support
import Testing

@testable import Plugins

/// The spool of reports, as the server writes it.
@Suite struct SpoolWriterTests {
  private struct Spool {
    let folder = TemporaryDirectory()
    let disk: HeldSynchronizer
    let writer: SpoolWriter
    let loop: Reactor

    init(_ loop: Reactor, isHolding: Bool = false, limits: SpoolWriter.Limits = .init()) {
      self.loop = loop
      disk = HeldSynchronizer(isHolding: isHolding)
      loop.fileWriter.synchronizer = disk
      writer = SpoolWriter(folder: folder.file("spool"), limits: limits, on: loop, logger: Logger(label: "test"))
    }

    /// Segments with the interactions that are in them.
    func segments() throws -> [(name: String, hosts: [String])] {
      try folder.names(in: "spool").sorted().map { name in
        var hosts: [String] = []
        SpoolSegment.read(try RegularFile.read(folder.file("spool/\(name)"), limitBytes: 1 << 30)) { part in
          if case .interaction(let interaction) = part { hosts.append(interaction.hostname) } else { hosts.append("?") }
          return true
        }
        return (name, hosts)
      }
    }

    var hosts: [String] { get throws { try segments().flatMap(\.hosts) } }

    func write(_ host: String, bytes: Int = 0) async throws {
      var interaction = Interaction(hostname: host, microseconds: 1)
      interaction.revision = String(repeating: "x", count: bytes)
      try await writer.write(interaction.record())
    }
  }

  private static let lasting: SpoolWriter.Limits = {
    var limits = SpoolWriter.Limits()
    limits.age = .seconds(3600)
    return limits
  }()

  @Test func recordsOfATurnShareTheDisk() async throws {
    try await LoopDriver.withLoop { loop in
      let spool = Spool(loop, isHolding: true, limits: Self.lasting)
      var done = 0
      // At once: tasks that are queued may be in two turns.
      let tasks = (0..<100).map { number in
        Task.immediate {
          try await spool.write("host\(number)")
          done += 1
        }
      }
      while spool.disk.heldCount < 2 { await loop.nextIteration() }
      // The segment, and the folder that has its name.
      #expect(spool.disk.begun == 2 && spool.disk.begunFolders == 1)
      #expect(done == 0)
      let late = Task { try await spool.write("late") }
      for _ in 0..<3 { await loop.nextIteration() }
      #expect(spool.disk.begun == 2)
      spool.disk.release()
      for task in tasks { try await task.value }
      #expect(done == 100)
      while spool.disk.heldCount < 1 { await loop.nextIteration() }
      spool.disk.release()
      try await late.value
      #expect(spool.disk.begun == 3)
      #expect(try spool.hosts == (0..<100).map { "host\($0)" } + ["late"])
      spool.writer.close()
      let segments = try spool.segments()
      #expect(segments.count == 1 && SpoolSegment.Name(segments[0].name)?.count == 101)
    }
  }

  @Test func aSegmentIsCompleteAfterAWhile() async throws {
    try await LoopDriver.withLoop { loop in
      var limits = SpoolWriter.Limits()
      limits.age = .milliseconds(1)
      let spool = Spool(loop, limits: limits)
      for host in ["a", "b"] {
        try await spool.write(host)
        while try spool.segments().contains(where: { SpoolSegment.Name($0.name)?.count == nil }) {
          await loop.nextIteration()
        }
      }
      #expect(try spool.segments().map(\.hosts) == [["a"], ["b"]])
      spool.writer.close()
    }
  }

  @Test func aSegmentThatIsWrittenIsLocked() async throws {
    try await LoopDriver.withLoop { loop in
      let spool = Spool(loop, limits: Self.lasting)
      try await spool.write("a")
      let name = try #require(spool.folder.names(in: "spool").first)
      #expect(name.hasSuffix(".open"))
      let file = try FileDescriptor.open(spool.folder.file("spool/\(name)"), O_RDONLY)
      let isTakenFirst = FileLock.lockForReading(file)
      spool.writer.close()
      let isTakenThen = FileLock.lockForReading(file)
      #expect(!isTakenFirst && isTakenThen)
    }
  }

  @Test func aFailingDiskIsToldAndLosesNothingElse() async throws {
    try await LoopDriver.withLoop { loop in
      let spool = Spool(loop, limits: Self.lasting)
      try await spool.write("before")
      spool.disk.failure = EIO
      let error = await #expect(throws: SystemError.self) { try await spool.write("lost") }
      #expect(error?.errno == EIO)
      spool.disk.failure = 0
      try await spool.write("after")
      #expect(try spool.hosts == ["before", "after"])
      spool.writer.close()
      let error2 = await #expect(throws: SystemError.self) { try await spool.write("late") }
      #expect(error2?.explanation == "the server stops")
    }
  }

  @Test func aRemovedFolderIsMadeAgain() async throws {
    try await LoopDriver.withLoop { loop in
      let spool = Spool(loop, limits: Self.lasting)
      try await spool.write("a")
      for name in spool.folder.names(in: "spool") { unlink(spool.folder.file("spool/\(name)")) }
      rmdir(spool.folder.file("spool"))
      try await spool.write("b")
      #expect(try spool.hosts == ["b"])
      spool.writer.close()
    }
  }

  @Test func theOldestAreDroppedAtTheLimit() async throws {
    try await LoopDriver.withLoop { loop in
      var limits = Self.lasting
      limits.spoolBytes = 1 << 20
      let spool = Spool(loop, limits: limits)
      for number in 0..<40 { try await spool.write("host\(number)", bytes: 50_000) }
      spool.writer.close()
      let hosts = try spool.hosts
      #expect(hosts == (spool.writer.dropped..<40).map { "host\($0)" })
      #expect(spool.writer.dropped > 15 && spool.writer.dropped < 30)
      let bytes = spool.folder.names(in: "spool").reduce(0) { sum, name in
        var status = stat()
        return stat(spool.folder.file("spool/\(name)"), &status) == 0 ? sum + Int(status.st_size) : sum
      }
      #expect(bytes <= limits.spoolBytes)
    }
  }

  /// Servers were killed again and again, and no collector runs.
  @Test func segmentsOfServersThatEndedAreDroppedToo() async throws {
    try await LoopDriver.withLoop { loop in
      var limits = Self.lasting
      limits.spoolBytes = 1 << 20
      let spool = Spool(loop, limits: limits)
      for number in 1...3 {
        var interaction = Interaction(hostname: "old", microseconds: 1)
        interaction.revision = String(repeating: "x", count: 500_000)
        let bytes = SpoolSegment.start + interaction.record() + interaction.record()
        spool.folder.write(bytes, to: "spool/000000000000000\(number).open")
      }
      // Its server lives.
      let living = try FileDescriptor.open(spool.folder.file("spool/0000000000000003.open"), O_RDWR)
      let isLocked = FileLock.lockForProcess(living)
      #expect(isLocked)
      try await spool.write("new")
      #expect(spool.writer.dropped == 4)
      #expect(try spool.segments().map(\.hosts) == [["old", "old"], ["new"]])
      spool.writer.close()
    }
  }

  @Test func aSegmentReplacesNoneOfItsName() async throws {
    try await LoopDriver.withLoop { loop in
      let spool = Spool(loop, limits: Self.lasting)
      try await spool.write("mine")
      let open = try #require(spool.folder.names(in: "spool").first.flatMap(SpoolSegment.Name.init))
      let taken = SpoolSegment.name(microseconds: open.microseconds, count: 1)
      let other = SpoolSegment.start + Interaction(hostname: "other", microseconds: 1).record()
      spool.folder.write(other, to: "spool/\(taken)")
      spool.writer.close()
      #expect(try spool.hosts.sorted() == ["mine", "other"])
      #expect(spool.folder.names(in: "spool").allSatisfy { $0.hasSuffix(".1.records") })
    }
  }

  @Test func segmentsGrowWhereNobodyTakesThem() async throws {
    try await LoopDriver.withLoop { loop in
      var limits = SpoolWriter.Limits()
      limits.age = .zero
      let spool = Spool(loop, limits: limits)
      for number in 0..<60 {
        try await spool.write("host\(number)")
        for _ in 0..<3 { await loop.nextIteration() }
      }
      #expect(try spool.segments().count <= SpoolWriter.Limits.waitingSegments + 1)
      // The collector comes.
      for (name, _) in try spool.segments() where name.hasSuffix(".records") {
        unlink(spool.folder.file("spool/\(name)"))
      }
      while try spool.segments().contains(where: { $0.name.hasSuffix(".open") }) { await loop.nextIteration() }
      spool.writer.close()
    }
  }
}
