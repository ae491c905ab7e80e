import Testing

@testable import PackageFormats

private let sum = String(repeating: "0a", count: 32)

private func release(_ text: String) throws -> ReleaseFile { try ReleaseFile(bytes: Array(text.utf8), name: "Release") }

@Suite struct ReleaseFileTests {
  static let text = """
    Origin: Debian
    Suite: stable
    Codename: bookworm
    Date: Sat, 09 Dec 2023 10:11:12 UTC
    Valid-Until: Sat, 16 Dec 2023 10:11:12 UTC
    Acquire-By-Hash: yes
    Architectures: all amd64 arm64
    Components: main contrib
    MD5Sum:
     00000000000000000000000000000000   123 main/old
    SHA256:
     \(sum)  1234 main/binary-amd64/Packages.xz
     \(sum)     0 main/a file
    SHA512:
     \(sum)\(sum)  1234 main/binary-amd64/Packages.xz

    """

  static func clearSigned(_ text: String) -> String {
    """
    -----BEGIN PGP SIGNED MESSAGE-----
    Hash: SHA256

    \(text)
    -----BEGIN PGP SIGNATURE-----

    iQIzBAEBCAAdFiEE
    =abcd
    -----END PGP SIGNATURE-----

    """
  }

  @Test func fieldsAndFilesAreRead() throws {
    for text in [
      Self.text, Self.clearSigned(Self.text), Self.clearSigned("- " + Self.text),
      Self.text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n"),
    ] {
      let file = try release(text)
      #expect(file.codename == Array("bookworm".utf8))
      #expect(file.suite == Array("stable".utf8))
      #expect(file.components == [Array("main".utf8), Array("contrib".utf8)])
      #expect(file.architectures.count == 3)
      #expect(file.acquireByHash)
      #expect(file.date == 1_702_116_672)
      #expect(file.validUntil == 1_702_116_672 + 7 * 86400)
      let digest = [UInt8](repeating: 0x0A, count: 32)
      #expect(
        file.entry("main/binary-amd64/Packages.xz") == .init(size: 1234, sha256: digest, sha512: digest + digest))
      #expect(file.entry("main/a file") == .init(size: 0, sha256: digest))
      #expect(file.entry("main/old") == .init(size: 123))
      #expect(file.entry("main/none") == nil)
    }
  }

  @Test(arguments: [
    ("", "Release: has no field: it is no Release file"),
    ("<html>", "Release: is HTML, not a Release file"),
    ("\u{1F}\u{8B}", "Release: is compressed, a Release file is plain text"),
    ("Not Found\n", "Release:1: \"Not Found\" is no field of a Release file"),
    ("<a href=\"x:y\">\n", "Release:1: \"<a href=\"x:y\">\" is no field of a Release file"),
    ("SHA256:\n zz 1 a\n", "Release:2: \"zz 1 a\" is no checksum, size and path"),
    ("SHA256:\n \(sum) 1\n", "Release:2: \"\(sum.prefix(60))...\" is no checksum, size and path"),
    ("SHA256:\n \(sum)00 1 a\n", "Release:2: the checksum of a has 33 bytes"),
    ("SHA256:\n \(sum) -1 a\n", "Release:2: \"\(sum.prefix(60))...\" is no checksum, size and path"),
    ("SHA256:\n \(sum) 1 a\n \(sum) 2 a\n", "Release:3: two sizes for a: 1 and 2"),
    ("Date: yesterday\n", "Release:1: \"yesterday\" is no date"),
    ("Date: Sat, 09 Dec 2023 10:11:12 +0200\n", "Release:1: \"Sat, 09 Dec 2023 10:11:12 +0200\" is no date"),
    ("Date: Sat, 09 Dec 2023 25:11:12 UTC\n", "Release:1: \"Sat, 09 Dec 2023 25:11:12 UTC\" is no date"),
    (
      ReleaseFileTests.clearSigned("Suite: a") + "Suite: b\n",
      "Release:10: text outside of the signed part, which anyone could have added"
    ),
    (
      "Suite: b\n" + ReleaseFileTests.clearSigned("Suite: a"),
      "Release:2: text outside of the signed part, which anyone could have added"
    ),
    (
      "-----BEGIN PGP SIGNED MESSAGE-----\n\nSuite: a\n", "Release:3: the file is truncated: its signature does not end"
    ),
    (
      "-----BEGIN PGP SIGNED MESSAGE-----\n\n-----BEGIN PGP SIGNED MESSAGE-----\n",
      "Release:3: the clear-signed text is damaged"
    ),
  ])
  func whatIsWrongIsNamed(_ text: String, _ message: String) {
    // Bytes, not characters: the magic bytes of gzip are no text.
    let bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    #expect(errorText { _ = try ReleaseFile(bytes: bytes, name: "Release") } == message)
  }

  @Test func timesAreThoseOfTheCalendar() throws {
    for (text, seconds) in [
      ("Thu, 01 Jan 1970 00:00:00 UTC", 0), ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
      ("Mon, 1 Mar 2100 00:00:00 +0000", 4_107_542_400), ("31 Dec 2024 12:00:00 Z", 1_735_646_400),
    ] {
      #expect(try release("Date: \(text)\n").date == seconds, "\(text)")
    }
  }
}
