import Testing

@testable import PackageFormats

private func pacman(_ tar: TarFixture, pieces: Int = 1 << 20) throws -> [String] {
  try dump { builder in
    var parser = PacmanDatabase(file: "core.db")
    try forEachPiece(of: tar.bytes, size: pieces) { try parser.write($0, into: &builder) }
    try parser.finish(into: &builder)
  }
}

@Suite struct PacmanDatabaseTests {
  @Test(arguments: pieceSizes) func packagesAreRead(_ pieces: Int) throws {
    var tar = TarFixture()
    tar.add("app-1:2.0-1/", type: "5")
    tar.add(
      "app-1:2.0-1/desc",
      """
      %FILENAME%
      app-1:2.0-1-x86_64.pkg.tar.zst

      %NAME%
      app

      %VERSION%
      1:2.0-1

      %ARCH%
      x86_64

      %GROUPS%
      base
      tools

      %PROVIDES%
      libapp.so=1-64
      editor

      %DEPENDS%
      %ODD%
      glibc>=2.38
      old<1
      new>1
      upto<=3

      %OPTDEPENDS%
      perl: for scripts
      a::b
      python=3: more

      """)
    tar.add("app-1:2.0-1/files", "%NAME%\nnot this\n")
    tar.add("old-1-1/depends", "%DEPENDS%\napp\n\n%DEPENDS%\nglibc=\n")
    tar.add("old-1-1/desc", "%NAME%\r\nold\r\n\r\n%GROUPS%\r\ntools\r\n")
    tar.end()
    #expect(
      try pacman(tar, pieces: pieces) == [
        "app 1:2.0-1 x86_64",
        "  depends %ODD%", "  depends glibc greaterOrEqual 2.38", "  depends old less 1", "  depends new greater 1",
        "  depends upto lessOrEqual 3",
        "  recommends perl", "  recommends a::b", "  recommends python equal 3",
        "  provides libapp.so equal 1-64", "  provides editor",
        "old  ", "  depends glibc",
        "@base base", "  mandatory app", "@tools tools", "  mandatory app", "  mandatory old",
      ])
  }

  @Test func whatIsWrongIsNamed() throws {
    var nameless = TarFixture()
    nameless.add("a-1-1/desc", "%VERSION%\n1\n")
    #expect(errorText { _ = try pacman(nameless) } == "core.db: the package of the folder a-1-1 has no %NAME%")
    var large = TarFixture()
    large.add("a-1-1/desc", [UInt8](repeating: 0x41, count: (4 << 20) + 1))
    #expect(
      errorText { _ = try pacman(large) } == "core.db: a-1-1/desc has 4194305 bytes, the limit is 4194304")
    #expect(errorText { _ = try pacman(TarFixture()) }.contains("truncated"))
  }

  @Test func anEmptyRepositoryHasNoPackages() throws {
    var tar = TarFixture()
    tar.end()
    #expect(try pacman(tar) == [])
  }
}
