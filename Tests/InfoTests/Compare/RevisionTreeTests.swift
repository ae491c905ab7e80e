import EventLoop
import Glibc
import Support
import Testing

@testable import Info

/// Working copies of git that others have written.
@Suite struct RevisionTreeTests {
  private let folder = TemporaryDirectory()

  private func git(_ arguments: [String], _ loop: Reactor) async throws {
    let output = try await ChildProcess.run(
      ["git", "-C", folder.file("repo"), "-c", "user.name=a", "-c", "user.email=a@b"] + arguments,
      timeout: .seconds(60), outputLimitBytes: 1 << 20, on: loop)
    try #require(output.status.isSuccess, "\(output)")
  }

  private func commit(_ loop: Reactor) async throws {
    try await git(["init", "-q"], loop)
    try await git(["add", "."], loop)
    try await git(["commit", "-qm", "one"], loop)
  }

  @Test func nothingOfTheConfigurationIsRun() async throws {
    folder.write("* filter=evil.x\n", to: "repo/site/.gitattributes")
    folder.write("text\n", to: "repo/site/file")
    try await LoopDriver.withLoop { loop in
      try await commit(loop)
      let marker = folder.file("marker")
      for (name, value) in [
        ("filter.evil.x.smudge", "touch \(marker); cat"), ("filter.evil.x.process", "touch \(marker); exit 1"),
        ("filter.evil.x.required", "true"), ("core.fsmonitor", "touch \(marker); false"),
      ] {
        try await git(["config", name, value], loop)
      }
      let tree = try await RevisionTree(of: folder.file("repo/site"), on: loop)
      let written = try await tree.write("HEAD", to: folder.file("old"))
      #expect(written == folder.file("old/site"))
      #expect(try folder.text("old/site/file") == "text\n")
      #expect(!fileExists(marker))
      await #expect(throws: InfoProblem.self) { try await tree.write("nosuch", to: folder.file("new")) }
    }
  }

  /// It may say something else each time that it is read.
  @Test(arguments: ["sha1", "sha256"]) func filesAreWrittenWithoutTheConfiguration(format: String) async throws {
    folder.write("text\n", to: "repo/file")
    try await LoopDriver.withLoop { loop in
      try await git(["init", "-q", "--object-format=\(format)"], loop)
      try await commit(loop)
      try await git(["config", "core.autocrlf", "true"], loop)
      let tree = try await RevisionTree(of: folder.file("repo"), on: loop)
      _ = try await tree.write("HEAD", to: folder.file("old"))
      #expect(try folder.text("old/file") == "text\n")
    }
  }

  @Test func aConfigurationThatIsNoFileIsRefused() async throws {
    folder.write("text\n", to: "repo/file")
    try await LoopDriver.withLoop { loop in
      try await commit(loop)
      #expect(mkfifo(folder.file("repo/.git/config.worktree"), 0o600) == 0)
      await #expect(throws: (any Error).self) { _ = try await RevisionTree(of: folder.file("repo"), on: loop) }
    }
  }

  /// git opens it, and waits for somebody who writes to it.
  @Test func aConfigurationThatIncludesAFIFOIsGivenUp() async throws {
    folder.write("text\n", to: "repo/file")
    try await LoopDriver.withLoop { loop in
      try await commit(loop)
      #expect(mkfifo(folder.file("fifo"), 0o600) == 0)
      try await git(["config", "include.path", folder.file("fifo")], loop)
      let error = await #expect(throws: InfoProblem.self) {
        _ = try await RevisionTree(of: folder.file("repo"), on: loop, patience: .milliseconds(10))
      }
      #expect(error?.description.contains("git rev-parse takes longer than 0.01 seconds") == true)
    }
  }

  @Test func committedLinksLeadNowhere() async throws {
    folder.write("x", to: "outside/file")
    folder.write("Data/\nPlain/\n", to: "repo/.gitignore")
    symlink(folder.file("outside"), folder.file("repo/Link"))
    folder.write("text\n", to: "repo/file")
    try await LoopDriver.withLoop { loop in
      try await commit(loop)
      unlink(folder.file("repo/Link"))
      folder.write("secret", to: "repo/Link/Data/data")
      folder.write("plain", to: "repo/new/Plain/data")
      let tree = try await RevisionTree(of: folder.file("repo"), on: loop)
      let written = try await tree.write("HEAD", to: folder.file("old"))
      #expect(written == folder.file("old"))
      #expect(!fileExists(folder.file("outside/Data")))
      #expect(try folder.text("old/new/Plain/data") == "plain")
    }
  }

  /// Only root can give files away.
  @Test(.enabled(if: geteuid() == 0)) func repositoriesOfOthersAreRefused() async throws {
    folder.write("text\n", to: "repo/file")
    try await LoopDriver.withLoop { loop in
      try await commit(loop)
      chown(folder.file("repo/.git"), 54321, 54321)
      let error = await #expect(throws: InfoProblem.self) {
        _ = try await RevisionTree(of: folder.file("repo"), on: loop)
      }
      #expect(error?.description.hasSuffix("run it as 54321") == true, "\(String(describing: error))")
    }
  }
}
