import Glibc
import Support
import Testing

@testable import EventLoop

/// What root does in folders of others.
@MainActor struct RootFilesTests {
  private let folder = TemporaryDirectory()

  private func reason(_ path: String) -> String? {
    do throws(SystemError) {
      _ = try RootFiles.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func whatWasPutInItsPlaceIsNotGivenAway() throws {
    let path = folder.file("socket")
    let socket = try Listener.bind(to: .unix(path))
    try RootFiles.give(path, kind: S_IFSOCK, to: geteuid(), group: getegid())
    try #require(rename(path, folder.file("old")) == 0 && symlink(folder.file("old"), path) == 0)
    let error = #expect(throws: SystemError.self) {
      try RootFiles.give(path, kind: S_IFSOCK, to: geteuid(), group: getegid())
    }
    #expect(error?.description == "chown \(path): something else was put in its place")
    // Another's socket by a further name.
    try #require(unlink(path) == 0 && link(folder.file("old"), path) == 0)
    #expect(throws: SystemError.self) {
      try RootFiles.give(path, kind: S_IFSOCK, to: geteuid(), group: getegid())
    }
    let file = folder.write("", to: "file")
    #expect(throws: SystemError.self) { try RootFiles.give(file, kind: S_IFDIR, to: geteuid(), group: getegid()) }
    _ = consume socket
  }

  @Test(.enabled(if: geteuid() == 0, "root alone follows no links"))
  func rootFollowsNoLinkThatOthersMayHaveMade() throws {
    let secret = folder.write("root's\n", to: "secret")
    try #require(mkdir(folder.file("theirs"), 0o755) == 0 && mkdir(folder.file("theirs/log"), 0o755) == 0)
    try #require(symlink(secret, folder.file("ours")) == 0 && symlink(secret, folder.file("theirs/a")) == 0)
    try #require(symlink(folder.file("new"), folder.file("theirs/b")) == 0)
    try #require(link(secret, folder.file("theirs/c")) == 0 && symlink("log", folder.file("theirs/d")) == 0)
    try #require(symlink(folder.file("theirs"), folder.file("way")) == 0)
    for path in ["theirs/a", "theirs/b", "theirs/c", "theirs/d/log", "theirs/log/log"] {
      #expect(reason(folder.file(path)) == nil || path == "theirs/b")
    }
    unlink(folder.file("new"))
    unlink(folder.file("theirs/log/log"))
    for (owner, mode) in [(1234, 0o755), (0, 0o775), (0, 0o1777)] as [(uid_t, mode_t)] {
      try #require(chown(folder.file("theirs"), owner, 0) == 0 && chmod(folder.file("theirs"), mode) == 0)
      let link = " is a symbolic link, and others than root may write to its folder"
      #expect(reason(folder.file("theirs/a")) == "a\(link)" && reason(folder.file("theirs/b")) == "b\(link)")
      #expect(reason(folder.file("theirs/c")) == "it has another name, and others than root may write to its folder")
      #expect(reason(folder.file("theirs/d/log")) == "d\(link)")
      #expect(access(folder.file("new"), F_OK) == -1 && access(folder.file("theirs/log/log"), F_OK) == -1)
      // Links of root's own, on the way and at the end, and files that are what they seem.
      #expect(reason(folder.file("ours")) == nil && reason(folder.file("way/log/file")) == nil)
      #expect(reason(folder.file("theirs/e")) == nil && reason("/dev/null") == nil)
    }
    #expect(try folder.text("secret") == "root's\n")
    #expect(reason(folder.file("none/log")) == "No such file or directory")
  }
}
