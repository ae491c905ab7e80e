import EventLoop
import Glibc
import Support
import Testing

@testable import Administration

@Suite struct BackupTests {
  private let folder = TemporaryDirectory()

  @Test func archiveIsWholeAndItsUsersOwn() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let file = folder.write("text\n", to: "repo/Cfg/a")
      let repository = String(file.dropLast("/Cfg/a".count))
      let backup = Backup(of: repository)
      #expect(try await backup.run(on: loop) == "")
      var status = stat()
      #expect(stat("\(repository)/\(backup.name)", &status) == 0 && status.st_mode & 0o777 == 0o600)
      let list = try await ChildProcess.run(
        ["tar", "--list", "--file", "\(repository)/\(backup.name)"], outputLimitBytes: 65536, on: loop)
      #expect(String(decoding: list.standardOutput, as: UTF8.self) == "repo/\nrepo/Cfg/\nrepo/Cfg/a\n")
      #expect(access("\(repository)/.\(backup.name).part", F_OK) != 0)
    }
  }

  /// A repository by the name of a link, or with a slash behind it, is archived as any other, and without earlier archives.
  @Test(arguments: ["link", "repo/", "repo/../link/."]) func otherNamesOfARepositoryAreTheSame(_ name: String)
    async throws
  {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      folder.write("text\n", to: "repo/a")
      folder.write("old", to: "repo/20200101000000.tar.gz")
      #expect(symlink("repo", folder.file("link")) == 0)
      let backup = Backup(of: folder.file(name))
      #expect(try await backup.run(on: loop) == "")
      let list = try await ChildProcess.run(
        ["tar", "--list", "--file", folder.file("repo/\(backup.name)")], outputLimitBytes: 65536, on: loop)
      #expect(String(decoding: list.standardOutput, as: UTF8.self) == "repo/\nrepo/a\n")
    }
  }

  @Test func whatAKilledBackupHasLeftIsRemoved() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let repository = String(folder.write("text\n", to: "repo/a").dropLast("/a".count))
      var old = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
      for name in [".20200101000000.tar.gz.part", ".20200101000001.tar.gz.part", "kept.part", ".2020.tar.gz.part"] {
        folder.write("half", to: "repo/\(name)")
        #expect(utimensat(AT_FDCWD, "\(repository)/\(name)", &old, 0) == 0)
      }
      let held = try FileDescriptor.open("\(repository)/.20200101000001.tar.gz.part", O_RDONLY)
      #expect(flock(held.rawValue, LOCK_EX) == 0)
      let backup = Backup(of: repository)
      _ = try await backup.run(on: loop)
      let left = [".20200101000001.tar.gz.part", ".2020.tar.gz.part", backup.name, "a", "kept.part"]
      #expect(folder.names(in: "repo").sorted() == left.sorted())
      withExtendedLifetime(held) {}
    }
  }

  @Test func linkOfTheGuessedNameIsNotFollowed() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let other = folder.write("precious\n", to: "other")
      let repository = String(folder.write("text\n", to: "repo/a").dropLast("/a".count))
      let backup = Backup(of: repository)
      #expect(symlink(other, "\(repository)/.\(backup.name).part") == 0)
      await #expect(throws: Backup.Problem.self) { try await backup.run(on: loop) }
      #expect(try folder.text("other") == "precious\n")
      #expect(access("\(repository)/\(backup.name)", F_OK) != 0)
    }
  }
}
