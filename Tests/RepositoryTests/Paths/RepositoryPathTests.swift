import Testing

@testable import Repository

/// Paths are bytes: to Swift's characters a slash before a combining accent is no slash.
@Suite struct RepositoryPathTests {
  private nonisolated static let accent = "\u{301}"

  @Test(arguments: [
    ("/a/../\(accent)x", "/\(accent)x"), ("/a/./\(accent)x", "/a/\(accent)x"), ("/a/..\(accent)/x", "/a/..\(accent)/x"),
    ("//a//b/", "/a/b"), ("/../a", "/../a"), ("a/\r\n/..", "/a"),
  ])
  func stepsAreBytes(_ path: String, _ expected: String) {
    #expect(Array(RepositoryPath.normalised(path).utf8) == Array(expected.utf8))
  }

  @Test func aPatternsFolderEndsBeforeItsFirstSign() {
    #expect(RepositoryPath.fixedFolder(of: "/a/\(Self.accent)b/*/c").utf8.elementsEqual("/a/\(Self.accent)b".utf8))
  }

  @Test func theWayToAnotherFolderIsThatOfBytes() {
    // The same letter in one scalar and in two: two folders.
    let relative = RepositoryPath.relative("/\u{e9}/a", to: "/e\(Self.accent)")
    #expect(relative.utf8.elementsEqual("../\u{e9}/a".utf8))
  }
}
