import Glibc
import PackageSources
import Support
import Testing

@testable import PackageFormats

extension TemporaryDirectory {
  /// Writes a file of a mirror.
  fileprivate func file(_ name: String, _ bytes: [UInt8]) -> MetadataFile {
    MetadataFile(path: write(bytes, to: name), name: name)
  }
}

@Suite struct IndexReaderTests {
  @Test(arguments: Fixture.allCases) func everyKindIsReadFromCompressedFiles(_ format: Fixture) throws {
    let folder = TemporaryDirectory()
    func file(_ name: String, _ text: String) throws -> MetadataFile {
      folder.file(name, format.compress(Array(text.utf8)))
    }
    var tar = TarFixture()
    tar.add("a-1-1/desc", "%NAME%\na\n")
    tar.end()
    let pacman = folder.file("core.db", format.compress(tar.bytes))
    var site = TarFixture()
    site.add("packagesite.yaml", "{\"name\":\"a\"}\n")
    site.end()
    let primary = "<metadata><package><name>a</name></package></metadata>"
    let inputs: [IndexInput] = [
      .debianPackages(try file("Packages", "Package: a\n")), .pacman(pacman),
      .pkgng(folder.file("packagesite.pkg", format.compress(site.bytes))),
      .yum(YumFiles(primary: try file("primary", primary), comps: try file("comps", "<comps/>"))),
    ]
    for input in inputs {
      let lines = try dump { builder in
        var reader = IndexReader()
        try reader.read(input, into: &builder)
        try reader.finish(into: &builder)
      }
      #expect(lines.map { String($0.prefix(2)) } == ["a "], "\(input)")
    }
  }

  @Test func aPathThatAnotherPartRequiresIsFound() throws {
    let folder = TemporaryDirectory()
    func package(_ name: String, _ number: Int, _ format: String) -> [UInt8] {
      Array(
        """
        <metadata><package><name>\(name)</name><checksum>\(packageID(number))</checksum>
        <format>\(format)</format></package></metadata>
        """.utf8)
    }
    let filelists = "<filelists><package pkgid='\(packageID(1))' name='a'><file>/bin/a</file></package></filelists>"
    let first = YumFiles(
      primary: folder.file("primary1", package("a", 1, "")),
      filelists: folder.file("filelists1", Fixture.zstd.compress(Array(filelists.utf8))))
    let second = YumFiles(
      primary: folder.file("primary2", package("b", 2, "<requires><entry name='/bin/a'/></requires>")))
    let lines = try dump { builder in
      var reader = IndexReader()
      try reader.read(.yum(first), into: &builder)
      builder.beginPart(component: try builder.text("extra"), arch: try builder.text("amd64"))
      try reader.read(.yum(second), into: &builder)
      try reader.finish(into: &builder)
    }
    #expect(lines == ["a  ", "b  ", "  depends /bin/a", "file /bin/a of a"])
  }

  @Test func anErrorNamesTheFile() throws {
    let folder = TemporaryDirectory()
    let packed = Fixture.gzip.compress(Array("Package: a\n".utf8))
    for (bytes, message) in [
      (Array(packed.dropLast()), "Packages.gz: the file is truncated: it ends in the middle of its compressed data"),
      (Array("<html>".utf8), "Packages.gz: is HTML, not package metadata: a page of the mirror, a proxy or a login"),
      (Fixture.gzip.compress(Array("oops\n".utf8)), "Packages.gz:1: \"oops\" is no field"),
    ] {
      let file = folder.file("Packages.gz", bytes)
      let error = errorText {
        _ = try dump { builder in
          var reader = IndexReader()
          try reader.read(.debianPackages(file), into: &builder)
        }
      }
      #expect(error.hasPrefix(message), "\(error)")
    }
    for path in ["/dev/null", "/nonexistent", folder.path] {
      let error = errorText {
        _ = try dump { builder in
          var reader = IndexReader()
          try reader.read(.debianPackages(MetadataFile(path: path, name: "Packages.gz")), into: &builder)
        }
      }
      #expect(error.hasPrefix("Packages.gz: "), "\(path): \(error)")
    }
  }
}
