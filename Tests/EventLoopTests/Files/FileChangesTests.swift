import Glibc
import Support
import Testing

@testable import EventLoop

/// Parts of files are replaced, and versions of files are told apart.
struct FileChangesTests {
  private let folder = TemporaryDirectory()

  private func text(_ name: String) throws -> String {
    try folder.text(name)
  }

  private func change(_ name: String, _ changes: [(Range<Int>, String)]) throws -> FileVersion {
    let path = folder.file(name)
    let version = try AtomicFile.version(of: path, limitBytes: 1 << 24)
    let changes = changes.map { FileWrite.Change($0.0, Array($0.1.utf8)) }
    return try AtomicFile.write(FileWrite(changes, in: path, replacing: version))
  }

  @Test func partsTakeThePlaceOfOthers() throws {
    for (changes, expected) in [
      ([], "0123456789"), ([(0..<0, "ab")], "ab0123456789"), ([(10..<10, "ab")], "0123456789ab"),
      ([(0..<10, "")], ""), ([(1..<3, "x"), (3..<3, "y"), (9..<10, "")], "0xy345678"),
    ] as [([(Range<Int>, String)], String)] {
      folder.write("0123456789", to: "file", mode: 0o640)
      let version = try change("file", changes)
      #expect(try text("file") == expected)
      #expect(
        version.status == FileVersion.Status(of: folder.file("file")) && version.status?.size == expected.utf8.count)
      var status = stat()
      #expect(stat(folder.file("file"), &status) == 0 && status.st_mode & 0o777 == 0o640)
    }
    #expect(folder.names() == ["file"])
  }

  @Test func anEditWithinTheSameTickShows() throws {
    folder.write("0123456789", to: "file")
    for round in 0..<50 {
      let version = try change("file", [(0..<1, "\(round % 10)")])
      #expect(version.isToldByStatus && version.digest == nil)
      #expect(try version.isPresent(at: folder.file("file")))
      // The file is changed in place, to the same size, within the same tick of the clock.
      let file = try FileDescriptor.open(folder.file("file"), O_WRONLY)
      #expect(pwrite(file.rawValue, "x", 1, 5) == 1)
      #expect(try !version.isPresent(at: folder.file("file")))
    }
  }

  @Test func whatWasReadWhileItWasYoungIsKnownByItsContents() throws {
    folder.write("0123456789", to: "file")
    let young = try AtomicFile.readVersion(folder.file("file"), limitBytes: 100).version
    #expect(!young.isToldByStatus && young.digest != nil)
    #expect(try young.isPresent(at: folder.file("file")))
  }

  @Test func aLargeFileIsWrittenInTurnsOfTheLoop() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let size = 3 * FileWriter.turnBytes
      folder.write(String(repeating: "x", count: size), to: "file")
      let path = folder.file("file")
      let disk = HeldSynchronizer(isHolding: false)
      loop.fileWriter.synchronizer = disk
      let version = try AtomicFile.version(of: path, limitBytes: 1 << 24)
      let write = FileWrite([FileWrite.Change(size / 2..<size / 2 + 1, [0x79])], in: path, replacing: version)
      try await loop.fileWriter.write(write)
      #expect(loop.fileWriter.turns >= 3)
      #expect(try AtomicFile.readFile(path, limitBytes: 1 << 24).firstIndex(of: 0x79) == size / 2)
      // Somebody else writes while the turns go on.
      let other = try AtomicFile.version(of: path, limitBytes: 1 << 24)
      let again = Task { () -> FileWriteError? in
        do throws(FileWriteError) {
          try await loop.fileWriter.write(FileWrite([FileWrite.Change(0..<1, [0x7A])], in: path, replacing: other))
          return nil
        } catch {
          return error
        }
      }
      let turns = loop.fileWriter.turns
      while loop.fileWriter.turns == turns { await loop.nextIteration() }
      folder.write("short", to: "file")
      #expect(await again.value == .changed(path: path))
      #expect(try text("file") == "short" && folder.names() == ["file"])
      loop.fileWriter.close()
    }
  }
}
