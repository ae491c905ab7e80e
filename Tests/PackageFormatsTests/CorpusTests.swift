import PackageSources
import Support
import Testing

@testable import PackageFormats

@Suite struct CorpusTests {
  /// Reads one text, in pieces of one size, into an index.
  typealias Fill = @Sendable (_ text: [UInt8], _ pieces: Int, _ builder: inout IndexBuilder) throws -> Void

  static let fills: [(target: String, fill: Fill)] = [
    (
      "debian-packages",
      { text, pieces, builder in
        var parser = DebianPackagesParser(file: "f")
        try forEachPiece(of: text, size: pieces) { try parser.write($0, into: &builder) }
        try parser.finish(into: &builder)
      }
    ),
    (
      "pacman-database",
      { text, pieces, builder in
        var parser = PacmanDatabase(file: "f")
        try forEachPiece(of: text, size: pieces) { try parser.write($0, into: &builder) }
        try parser.finish(into: &builder)
      }
    ),
    (
      "freebsd-catalogue",
      { text, pieces, builder in
        var parser = PackageSite(file: "f")
        try forEachPiece(of: text, size: pieces) { try parser.write($0, into: &builder) }
        try parser.finish(into: &builder)
      }
    ),
    (
      "yum-modules",
      { text, pieces, builder in
        var parser = ModulesParser(file: "f")
        try forEachPiece(of: text, size: pieces) { try parser.write($0) }
        try parser.finish(into: &builder)
      }
    ),
    (
      "yum-comps",
      { text, pieces, builder in
        try withUnsafeMutablePointer(to: &builder) { builder in
          let parser = try CompsParser(file: "f", builder: builder)
          try forEachPiece(of: text, size: pieces) { try parser.write($0) }
          try parser.finish()
        }
      }
    ),
    (
      "yum-primary",
      { text, pieces, builder in
        try withUnsafeMutablePointer(to: &builder) { builder in
          let parser = try PrimaryParser(file: "f", builder: builder)
          try forEachPiece(of: text, size: pieces) { try parser.write($0) }
          try parser.finish()
        }
      }
    ),
  ]

  @Test(arguments: fills.indices) func seedsAreReadTheSameInPieces(_ row: Int) throws {
    let (target, fill) = Self.fills[row]
    for (name, bytes) in try Corpus.files(target) {
      // The first byte is the size of the fuzz target's pieces.
      let text = Array(bytes.dropFirst())
      func outcome(_ pieces: Int) -> [String] {
        do {
          return try dump { try fill(text, pieces, &$0) }
        } catch {
          return ["\(error)"]
        }
      }
      let whole = outcome(1 << 20)
      for pieces in pieceSizes + [Int(bytes[0]) + 1] { #expect(outcome(pieces) == whole, "\(target)/\(name)") }
    }
  }

  @Test func seedsAreDecompressedTheSameInPieces() throws {
    for (name, bytes) in try Corpus.files("decompressor") {
      let text = Array(bytes.dropFirst())
      let whole = try? decompress(text)
      for pieces in pieceSizes { #expect((try? decompress(text, pieces: pieces)) == whole, "\(name)") }
    }
  }

  @Test func seedsOfReleaseFilesAreRead() throws {
    let files = try Corpus.files("mirror-release")
    for (name, bytes) in files {
      let release = try? ReleaseFile(bytes: bytes, name: name)
      let repomd = try? RepomdFile(bytes: bytes, name: name)
      #expect((release == nil) == (name == "repomd") && (repomd == nil) == (name != "repomd"), "\(name)")
    }
    #expect(files.count >= 3)
  }
}
