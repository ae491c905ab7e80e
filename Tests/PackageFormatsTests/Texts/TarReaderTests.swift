import Testing

@testable import PackageFormats

/// The members of an archive: name and contents.
private func contents(_ bytes: [UInt8], pieces: Int = 1 << 20) throws -> [String] {
  var members: [String] = []
  var reader = TarReader(file: "core.db")
  try forEachPiece(of: bytes, size: pieces) { piece in
    try reader.write(piece) { event throws(FormatError) in
      switch event {
      case .file(let name, let size): members.append("\(String(decoding: name, as: UTF8.self)) \(size) ")
      case .bytes(let bytes): members[members.count - 1] += String(decoding: bytes, as: UTF8.self)
      case .end: members[members.count - 1] += "."
      }
    }
  }
  try reader.finish()
  return members
}

@Suite struct TarReaderTests {
  static let longName = String(repeating: "folder/", count: 30) + "desc"

  static var archive: TarFixture {
    var tar = TarFixture()
    tar.add("a-1/", type: "5")
    tar.add("a-1/desc", "text")
    tar.add("empty")
    tar.add("link", type: "2")
    tar.add("desc", "of a long name", prefix: "some/prefix")
    tar.addLong(Self.longName, "gnu")
    tar.addPax(Self.longName, "pax")
    tar.add("global", "30 comment=nothing that counts\n", type: "g")
    tar.add("large", String(repeating: "x", count: 1300))
    return tar
  }

  static let members = [
    "a-1/desc 4 text.", "empty 0 .", "some/prefix/desc 14 of a long name.", "\(longName) 3 gnu.", "\(longName) 3 pax.",
    "large 1300 \(String(repeating: "x", count: 1300)).",
  ]

  @Test func filesAreReadInPiecesOfAnySize() throws {
    var tar = Self.archive
    // The blocks of zeros may be missing.
    for pieces in [1, 100, 512, 513, 1 << 20] { #expect(try contents(tar.bytes, pieces: pieces) == Self.members) }
    tar.end()
    for pieces in [1, 512, 1 << 20] { #expect(try contents(tar.bytes, pieces: pieces) == Self.members) }
    #expect(try contents(tar.bytes + Array("anything".utf8)) == Self.members)
  }

  @Test func aTruncatedArchiveIsAnError() throws {
    var tar = TarFixture()
    tar.add("a", "text")
    for count in 0..<tar.bytes.count {
      let text = errorText { _ = try contents(Array(tar.bytes[..<count])) }
      #expect(text.hasPrefix("core.db: the tar archive is truncated at byte "), "\(count): \(text)")
    }
  }

  @Test func aDamagedHeaderIsAnError() throws {
    var tar = TarFixture()
    tar.add("a", "text")
    tar.add("b", "more")
    // The last byte of the checksum's field is no part of it.
    for index in 0..<512 where index != 155 {
      var bytes = tar.bytes
      bytes[index] ^= 0x15
      #expect(errorText { _ = try contents(bytes) }.contains("tar archive"), "byte \(index)")
      bytes = tar.bytes
      bytes[1024 + index] ^= 0x15
      #expect(errorText { _ = try contents(bytes) }.contains("the tar archive is damaged"), "byte \(index)")
    }
    #expect(
      errorText { _ = try contents([UInt8](repeating: 0x41, count: 512)) }
        == "core.db: is no tar archive, at byte 0 of its decompressed bytes")
  }

  @Test func headersHaveBounds() {
    for type: Character in ["L", "x"] {
      var tar = TarFixture()
      tar.add("long", [UInt8](repeating: 0x41, count: (64 << 10) + 1), type: type)
      #expect(errorText { _ = try contents(tar.bytes) }.contains("has 65537 bytes, the limit is 65536"))
    }
    for record in ["x", "5 a=b\n", "99 a=b\n", "0 a=b\n", "6 abc\n", "11 size=-1\n", "8 path=a", "3 =\n9"] {
      var tar = TarFixture()
      tar.add("header", record, type: "x")
      tar.add("a")
      let text = errorText { _ = try contents(tar.bytes) }
      #expect(text.contains("the tar archive is damaged: a pax header"), "\(record): \(text)")
    }
  }
}
