import Glibc
import Support
import Testing

@testable import EventLoop

/// Folders for children's files.
@MainActor @Suite struct TemporaryFolderTests {
  private var base: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

  /// A folder with a name as the server's have, that nobody holds.
  private func make() throws -> String {
    let letters = String((0..<6).map { _ in "abcdefghijklmnopqrstuvwxyz".randomElement() ?? "a" })
    let path = "\(base)/bcfg2-server-\(letters)"
    try #require(mkdir(path, 0o700) == 0)
    return path
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

  @Test func anyNameAndAnyDepthIsRemoved() throws {
    let left = try make()
    var place = open(left, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    // No text, and folders that lead deeper than there are descriptors.
    let name: [CChar] = [CChar(bitPattern: 0xFF), 0x61, 0]
    for _ in 0..<3000 {
      try #require(mkdirat(place, name, 0o700) == 0)
      close(openat(place, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
      let next = openat(place, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      try #require(next >= 0)
      close(place)
      place = next
    }
    close(place)
    mkdir("\(left)/closed", 0o700)
    mkdir("\(left)/closed/in", 0o700)
    chmod("\(left)/closed/in", 0)
    chmod("\(left)/closed", 0)
    TemporaryFolder.removeLeftovers()
    #expect(access(left, F_OK) != 0)
  }

  @Test func aFolderThatCannotBeLockedIsAnError() throws {
    // No descriptor is left for the lock.
    var limit = rlimit()
    #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
    var none = rlimit(rlim_cur: 0, rlim_max: limit.rlim_max)
    #expect(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none) == 0)
    var failure: SystemError?
    do throws(SystemError) { _ = try TemporaryFolder() } catch { failure = error }
    #expect(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
    #expect(failure?.errno == EMFILE && failure?.call == "flock")
  }

  @Test func aFolderGoesWithItsOwner() throws {
    var folder: TemporaryFolder? = try TemporaryFolder()
    let path = try #require(folder?.path)
    #expect(access(path, F_OK) == 0)
    folder = nil
    #expect(access(path, F_OK) != 0)
  }
}
