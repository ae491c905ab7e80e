import EventLoop
import Glibc
import Support
import Testing

@testable import Info

/// The file with the lines of earlier shells.
@Suite struct ShellHistoryTests {
  private let folder = TemporaryDirectory()
  private var path: String { folder.file("history") }

  @Test func linesOfSeveralShellsAreKept() throws {
    let first = try ShellHistory(path)
    let second = try ShellHistory(path)
    first.add("clients")
    second.add("groups 'a b'")
    first.add("ä")
    first.add("two\nlines")
    first.add(String(repeating: "x", count: ShellHistory.lineLimitBytes + 1))
    #expect(first.lines.isEmpty)
    #expect(try ShellHistory(path).lines == ["clients", "groups 'a b'", "ä"])
  }

  @Test func onlyItsUserReadsIt() throws {
    folder.write("old\n", to: "history", mode: 0o644)
    #expect(try ShellHistory(path).lines == ["old"])
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    symlink(path, folder.file("link"))
    #expect(throws: SystemError.self) { try ShellHistory(folder.file("link")) }
  }

  @Test func onlyAFileOfItsOwnIsUsed() throws {
    let other = folder.write("other\n", to: "other", mode: 0o644)
    #expect(link(other, path) == 0 && mkfifo(folder.file("fifo"), 0o644) == 0)
    for name in ["history", "fifo"] { #expect(throws: SystemError.self) { try ShellHistory(folder.file(name)) } }
    var status = stat()
    #expect(stat(other, &status) == 0 && status.st_mode & 0o777 == 0o644)
  }

  @Test func theOldestLinesGo() throws {
    folder.write((1...1500).map { "line \($0)\n" }.joined(), to: "history")
    let history = try ShellHistory(path)
    #expect(history.lines.first == "line 501" && history.lines.count == ShellHistory.lineLimit)
    for number in 1...1500 { history.add("new \(number)") }
    let lines = try folder.text("history").split(separator: "\n")
    #expect(lines.count == 2 * ShellHistory.lineLimit && lines.first == "line 501" && lines.last == "new 1000")
    #expect(try ShellHistory(path).lines.first == "new 1")
  }
}
