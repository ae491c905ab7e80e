import EventLoop
import Glibc
import Support
import Testing

@testable import Commands

/// Files that commands write when their work is done.
@Suite struct CommandFileTests {
  private let folder = TemporaryDirectory()

  private func write(_ name: String) throws {
    let file = try CommandFile(folder.file(name))
    try file.write(Array("new\n".utf8))
  }

  @Test func filesAreMadeAndReplaced() throws {
    folder.write("older and longer\n", to: "old")
    try write("old")
    try write("fresh")
    #expect(try folder.text("old") == "new\n" && folder.text("fresh") == "new\n")
    // Work that failed leaves nothing.
    _ = try CommandFile(folder.file("never"))
    #expect(folder.names() == ["fresh", "old"])
  }

  @Test func onlyFilesOfTheNameAreWritten() throws {
    folder.write("precious\n", to: "other")
    #expect(mkfifo(folder.file("fifo"), 0o600) == 0)
    symlink(folder.file("other"), folder.file("link"))
    symlink(folder.file("nosuch"), folder.file("dangling"))
    for name in ["fifo", "link", "dangling"] { #expect(throws: (any Error).self, "\(name)") { try write(name) } }
    #expect(try folder.text("other") == "precious\n" && !fileExists(folder.file("nosuch")))
  }

  @Test func nullIsWrittenToAsItIs() throws {
    let file = try CommandFile("/dev/null")
    try file.write([1])
  }
}
