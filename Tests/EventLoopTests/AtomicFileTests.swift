import Glibc
import Support
import Testing

@testable import EventLoop

struct AtomicFileTests {
  private func status(_ path: String) -> stat {
    var status = stat()
    #expect(lstat(path, &status) == 0)
    return status
  }

  @Test(arguments: [0o600, 0o640, 0o755, 0o444] as [mode_t])
  func aReplacedFileKeepsItsMode(mode: mode_t) throws {
    let folder = TemporaryDirectory()
    let path = folder.write("old", to: "clients.xml", mode: mode)
    let before = status(path)
    try AtomicFile.write(Array("new".utf8), to: path)
    let after = status(path)
    #expect(after.st_mode & 0o7777 == mode && after.st_ino != before.st_ino)
    #expect(after.st_uid == before.st_uid && after.st_gid == before.st_gid)
    #expect(try AtomicFile.readFile(path, limitBytes: 3) == Array("new".utf8))
    #expect(folder.names() == ["clients.xml"])
  }

  @Test func aNewFileHasTheModeThatIsAskedFor() throws {
    let folder = TemporaryDirectory()
    try AtomicFile.write([], to: folder.file("empty"), newFileMode: 0o600)
    #expect(status(folder.file("empty")).st_mode & 0o7777 == 0o600)
    #expect(try AtomicFile.readFile(folder.file("empty"), limitBytes: 0) == [])
  }

  @Test func aLinkIsFollowedAndStays() throws {
    let folder = TemporaryDirectory()
    folder.write("old", to: "deep/real")
    #expect(symlink("deep/second", folder.file("first")) == 0)
    #expect(symlink("real", folder.file("deep/second")) == 0)
    try AtomicFile.write(Array("new".utf8), to: folder.file("first"))
    #expect(try AtomicFile.readFile(folder.file("deep/real"), limitBytes: 10) == Array("new".utf8))
    #expect(status(folder.file("first")).st_mode & S_IFMT == S_IFLNK)
    #expect(folder.names(in: "deep") == ["real", "second"])
    #expect(symlink("loop", folder.file("loop")) == 0)
    let error = #expect(throws: SystemError.self) { try AtomicFile.write([1], to: folder.file("loop")) }
    #expect(error?.errno == ELOOP)
  }

  @Test func failuresLeaveTheOldFileAndNothingElse() throws {
    let folder = TemporaryDirectory()
    folder.write("x", to: "directory/file")
    let rows: [(path: String, code: Int32)] = [
      (folder.file("missing/file"), ENOENT), (folder.file("directory"), EISDIR),
      (folder.file("directory/file/below"), ENOTDIR), (folder.file(String(repeating: "n", count: 256)), ENAMETOOLONG),
    ]
    for row in rows {
      let error = #expect(throws: SystemError.self) { try AtomicFile.write([1], to: row.path) }
      #expect(error?.errno == row.code, "\(row.path)")
    }
    #expect(folder.names() == ["directory"] && folder.names(in: "directory") == ["file"])
    let long = folder.file(String(repeating: "n", count: 255))
    try AtomicFile.write([1], to: long)
    #expect(try AtomicFile.readFile(long, limitBytes: 1) == [1])
  }

  @Test func severalFilesAreWrittenTogether() throws {
    let folder = TemporaryDirectory()
    folder.write("old", to: "one/a")
    folder.write("old", to: "two/b")
    let paths = ["one/a", "two/b", "one/c"].map(folder.file)
    try AtomicFile.write(paths.map { ($0, Array($0.utf8)) })
    for path in paths { #expect(try AtomicFile.readFile(path, limitBytes: 1000) == Array(path.utf8)) }
  }

  @Test func readingIsBounded() throws {
    let folder = TemporaryDirectory()
    folder.write(String(repeating: "x", count: 200_000), to: "large")
    #expect(mkfifo(folder.file("fifo"), 0o600) == 0)
    let rows: [(path: String, limit: Int, code: Int32)] = [
      (folder.file("large"), 199_999, EFBIG), (folder.path, 10, EISDIR), (folder.file("fifo"), 10, EINVAL),
      (folder.file("missing"), 10, ENOENT),
    ]
    for row in rows {
      let error = #expect(throws: SystemError.self) { try AtomicFile.readFile(row.path, limitBytes: row.limit) }
      #expect(error?.errno == row.code, "\(row.path)")
    }
    #expect(try AtomicFile.readFile(folder.file("large"), limitBytes: 200_000).count == 200_000)
    // Files of /proc state no size.
    #expect(try AtomicFile.readFile("/proc/self/stat", limitBytes: 10000).count > 50)
  }
}
