import Glibc
import Support
import Testing

@testable import EventLoop

/// Folders for children's files.
@MainActor @Suite struct TemporaryFolderTests {
  private func make() throws -> String {
    let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/bcfg2-server-XXXXXX".utf8CString)
    return String(cString: try #require(mkdtemp(&template)))
  }

  @Test func whatAKilledProcessHasLeftIsRemoved() throws {
    let outside = TemporaryDirectory()
    outside.write("x", to: "kept")
    let left = try make()
    mkdir("\(left)/a", 0o700)
    try AtomicFile.writeTemporary([1], to: "\(left)/a/b")
    symlink(outside.path, "\(left)/link")
    // Another process has it: a lock is an open file's.
    let held = try make()
    let lock = open(held, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    #expect(flock(lock, LOCK_EX) == 0)
    let own = try TemporaryFolder()
    _ = try own.write([1], "file")
    TemporaryFolder.removeLeftovers()
    #expect(access(left, F_OK) != 0)
    #expect(access(held, F_OK) == 0)
    #expect(try own.read("file", limitBytes: 10) == [1])
    #expect(access(outside.file("kept"), F_OK) == 0)
    close(lock)
    TemporaryFolder.removeLeftovers()
    #expect(access(held, F_OK) != 0)
  }

  @Test func aFolderGoesWithItsOwner() throws {
    var folder: TemporaryFolder? = try TemporaryFolder()
    let path = try #require(folder?.path)
    #expect(access(path, F_OK) == 0)
    folder = nil
    #expect(access(path, F_OK) != 0)
  }
}
