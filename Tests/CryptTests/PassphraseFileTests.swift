import Glibc
import Support
import Testing

@testable import Crypt

/// Files that hold a passphrase, and pipes in their place.
@Suite struct PassphraseFileTests {
  private let folder = TemporaryDirectory()

  @Test(arguments: [("word\nmore\n", "word"), ("word", "word"), ("\nmore", ""), ("", nil)])
  func theFirstLineCounts(_ text: String, _ expected: String?) throws {
    #expect(try PassphraseFile.firstLine(folder.write(text, to: "file")) == expected)
  }

  private func problem(_ path: String, patience: Duration = .seconds(60)) -> String? {
    do {
      _ = try PassphraseFile.firstLine(path, patience: patience)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func othersAreRefused() throws {
    #expect(problem(folder.file("no")) == "\(folder.file("no")): No such file or directory")
    #expect(problem(folder.path) == "\(folder.path): Is a directory")
    #expect(problem(folder.write([0xFF, 0x0A], to: "bytes"))?.hasSuffix("the first line is not UTF-8") == true)
    let long = folder.write(String(repeating: "x", count: 4096) + "\n", to: "long")
    #expect(try PassphraseFile.firstLine(long)?.utf8.count == 4096)
    #expect(
      problem(folder.write(String(repeating: "x", count: 4097), to: "longer"))?.hasSuffix("is too long") == true)
    // It never ends.
    #expect(problem("/dev/zero")?.hasSuffix("is too long") == true)
  }

  /// As a shell's `<(command)` gives one.
  @Test func aPipeIsReadUntilItsFirstLineIsThere() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    #expect(write(ends[1], "word\nmo", 7) == 7)
    #expect(try PassphraseFile.firstLine("/dev/fd/\(ends[0])") == "word")
  }

  @Test func aFIFOThatNobodyWritesToIsGivenUp() throws {
    let path = folder.file("fifo")
    try #require(mkfifo(path, 0o600) == 0)
    #expect(
      problem(path, patience: .milliseconds(1)) == "\(path): nobody has written a line to it within 0.001 seconds")
    // Nor to one that is open and has half a line.
    let other = open(path, O_RDWR | O_CLOEXEC)
    defer { close(other) }
    #expect(write(other, "wo", 2) == 2)
    #expect(problem(path, patience: .milliseconds(1))?.contains("nobody has written a line") == true)
  }
}
