import EventLoop
import Glibc
import Support
import Testing

struct AtomicFileTests {
  private func status(_ path: String) -> stat {
    var status = stat()
    #expect(lstat(path, &status) == 0)
    return status
  }

  private func write(_ text: String, to path: String, mode: FileWrite.Mode = .ordinary) throws {
    let version = try AtomicFile.version(of: path, limitBytes: 1000)
    try AtomicFile.write(FileWrite(Array(text.utf8), to: path, replacing: version, mode: mode))
  }

  @Test func newContentsGetNoSetIDBits() throws {
    let folder = TemporaryDirectory()
    let path = folder.write("old", to: "file")
    #expect(chmod(path, 0o6755) == 0)
    try write("new", to: path)
    #expect(status(path).st_mode & 0o7777 == 0o755)
  }

  @Test(arguments: [0o600, 0o640, 0o755, 0o444] as [mode_t])
  func aReplacedFileKeepsItsMode(mode: mode_t) throws {
    let folder = TemporaryDirectory()
    let path = folder.write("old", to: "clients.xml", mode: mode)
    let before = status(path)
    try write("new", to: path)
    let after = status(path)
    #expect(after.st_mode & 0o7777 == mode && after.st_ino != before.st_ino)
    #expect(after.st_uid == before.st_uid && after.st_gid == before.st_gid)
    #expect(try AtomicFile.readFile(path, limitBytes: 3) == Array("new".utf8))
    #expect(folder.names() == ["clients.xml"])
  }

  @Test(arguments: [0o000, 0o022, 0o077, 0o277] as [mode_t])
  func aNewSecretIsItsOwnersWhateverTheUmask(mask: mode_t) throws {
    let folder = TemporaryDirectory()
    let before = umask(mask)
    defer { umask(before) }
    try write("", to: folder.file("key"), mode: .secret)
    try write("", to: folder.file("other"))
    #expect(status(folder.file("key")).st_mode & 0o7777 == 0o600)
    #expect(status(folder.file("other")).st_mode & 0o7777 == 0o666 & ~mask)
    #expect(try AtomicFile.readFile(folder.file("key"), limitBytes: 0) == [])
  }

  @Test func aLinkIsFollowedAndStays() throws {
    let folder = TemporaryDirectory()
    folder.write("old", to: "deep/real")
    #expect(symlink("deep/second", folder.file("first")) == 0)
    #expect(symlink("real", folder.file("deep/second")) == 0)
    try write("new", to: folder.file("first"))
    #expect(try AtomicFile.readFile(folder.file("deep/real"), limitBytes: 10) == Array("new".utf8))
    #expect(status(folder.file("first")).st_mode & S_IFMT == S_IFLNK)
    #expect(folder.names(in: "deep") == ["real", "second"])
    #expect(symlink("loop", folder.file("loop")) == 0)
    let error = #expect(throws: FileWriteError.self) {
      try AtomicFile.write(FileWrite([1], to: folder.file("loop"), replacing: .missing, mode: .ordinary))
    }
    #expect(error == .system(SystemError(call: "readlink", errno: ELOOP, detail: folder.file("loop"))))
  }

  @Test func failuresLeaveTheOldFileAndNothingElse() throws {
    let folder = TemporaryDirectory()
    folder.write("x", to: "directory/file")
    let rows: [(path: String, code: Int32)] = [
      (folder.file("missing/file"), ENOENT), (folder.file("directory"), EISDIR),
      (folder.file("directory/file/below"), ENOTDIR), (folder.file(String(repeating: "n", count: 256)), ENAMETOOLONG),
    ]
    for row in rows {
      let error = #expect(throws: FileWriteError.self) {
        try AtomicFile.write(FileWrite([1], to: row.path, replacing: .missing, mode: .ordinary))
      }
      guard case .system(let error)? = error else { throw try #require(error) }
      #expect(error.errno == row.code, "\(row.path)")
    }
    #expect(folder.names() == ["directory"] && folder.names(in: "directory") == ["file"])
    let long = folder.file(String(repeating: "n", count: 255))
    try write("1", to: long)
    #expect(try AtomicFile.readFile(long, limitBytes: 1) == Array("1".utf8))
  }

  @Test func severalFilesAreWrittenTogether() throws {
    let folder = TemporaryDirectory()
    folder.write("old", to: "one/a")
    folder.write("old", to: "two/b")
    let paths = ["one/a", "two/b", "one/c"].map(folder.file)
    let files = try paths.map {
      FileWrite(
        Array($0.utf8), to: $0, replacing: try AtomicFile.version(of: $0, limitBytes: 10), mode: .ordinary)
    }
    let versions = try AtomicFile.write(files)
    #expect(try paths.map { try AtomicFile.version(of: $0, limitBytes: 1000) } == versions)
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

  /// What somebody else makes of a file after it was read.
  @Test(arguments: ["in place", "renamed over", "same size within a tick", "removed", "folder", "mode"])
  func whatIsNotAsItWasReadIsNotReplaced(change: String) throws {
    let folder = TemporaryDirectory()
    let path = folder.write("read", to: "file")
    let version = try AtomicFile.version(of: path, limitBytes: 10)
    switch change {
    case "in place": folder.write("longer than it was", to: "file")
    case "renamed over": #expect(rename(folder.write("read", to: "other"), path) == 0)
    case "same size within a tick": folder.write("edit", to: "file")
    case "removed": #expect(unlink(path) == 0)
    case "folder": #expect(unlink(path) == 0 && mkdir(path, 0o755) == 0)
    default: #expect(chmod(path, 0o600) == 0)
    }
    let names = folder.names()
    #expect(throws: FileWriteError.self) {
      try AtomicFile.write(FileWrite(Array("new".utf8), to: path, replacing: version, mode: .ordinary))
    }
    #expect(folder.names() == names)
    #expect((try? AtomicFile.readFile(path, limitBytes: 100)) != Array("new".utf8))
  }

  @Test func aFileThatCameMeanwhileIsNotReplaced() throws {
    let folder = TemporaryDirectory()
    let path = folder.write("theirs", to: "file")
    #expect(throws: FileWriteError.changed(path: path)) {
      try AtomicFile.write(FileWrite(Array("ours".utf8), to: path, replacing: .missing, mode: .ordinary))
    }
    #expect(try AtomicFile.readFile(path, limitBytes: 100) == Array("theirs".utf8))
    #expect(folder.names() == ["file"])
  }

  @Test func ofSeveralFilesNoneIsReplacedWhereOneHasChanged() throws {
    let folder = TemporaryDirectory()
    let paths = ["a", "b"].map { folder.write("old", to: $0) }
    let versions = try paths.map { try AtomicFile.version(of: $0, limitBytes: 10) }
    folder.write("edited", to: "b")
    #expect(throws: FileWriteError.changed(path: paths[1])) {
      try AtomicFile.write(
        zip(paths, versions).map { FileWrite([1], to: $0, replacing: $1, mode: .ordinary) })
    }
    #expect(try AtomicFile.readFile(paths[0], limitBytes: 10) == Array("old".utf8))
  }

  @Test func leftoversOfKilledWritersAreRemovedAndNothingElse() throws {
    let folder = TemporaryDirectory()
    let name = ".#atomic-write-0123456789abc"
    for path in ["\(name)", "deep/er/\(name)"] { folder.write("x", to: path) }
    // What an administrator, an editor, version control or a living writer has.
    folder.write("x", to: ".#clients.xml")
    folder.write("x", to: ".#atomic-write-short")
    folder.write("x", to: ".#atomic-write-0123456789ABC")
    folder.write("x", to: ".git/\(name)")
    folder.write("x", to: "deep/.#atomic-write-zzzzzzzzzzzzz")
    #expect(symlink("root@host.1:2", folder.file(".#groups.xml")) == 0)
    #expect(symlink("nowhere", folder.file(".#atomic-write-1111111111111")) == 0)
    let held = open(folder.file("deep/.#atomic-write-zzzzzzzzzzzzz"), O_RDONLY | O_CLOEXEC)
    defer { close(held) }
    #expect(flock(held, LOCK_EX) == 0)
    #expect(
      Set(AtomicFile.removeLeftovers(below: folder.path))
        == [folder.file(name), folder.file("deep/er/\(name)")])
    #expect(
      folder.names() == [
        ".#atomic-write-0123456789ABC", ".#atomic-write-1111111111111", ".#atomic-write-short", ".#clients.xml",
        ".#groups.xml", ".git", "deep",
      ])
    #expect(folder.names(in: "deep") == [".#atomic-write-zzzzzzzzzzzzz", "er"])
    #expect(folder.names(in: ".git") == [name])
  }
}
