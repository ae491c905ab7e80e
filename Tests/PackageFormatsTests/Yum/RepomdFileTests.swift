import Testing

@testable import PackageFormats

private func repomd(_ text: String) throws -> RepomdFile { try RepomdFile(bytes: Array(text.utf8), name: "repomd.xml") }

@Suite struct RepomdFileTests {
  @Test func filesAreRead() throws {
    let file = try repomd(
      """
      <?xml version="1.0" encoding="UTF-8"?>
      <repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
        <revision>1700000000</revision>
        <data type="primary">
          <checksum type="sha256">0aff</checksum>
          <open-checksum type="sha256"> 0B0c </open-checksum>
          <location href="repodata/0aff-primary.xml.gz"/>
          <timestamp>1700000001.25</timestamp>
          <size>123</size>
          <open-size>4567</open-size>
        </data>
        <data type="group">
          <checksum type="sha">00</checksum>
          <location xml:base="http://elsewhere/a&amp;b/" href="comps.xml"/>
        </data>
      </repomd>
      """)
    #expect(file.revision == Array("1700000000".utf8))
    #expect(file.entries.count == 2)
    #expect(
      file.entry("primary")
        == .init(
          type: Array("primary".utf8), href: Array("repodata/0aff-primary.xml.gz".utf8),
          checksumType: Array("sha256".utf8), checksum: [0x0A, 0xFF], openChecksumType: Array("sha256".utf8),
          openChecksum: [0x0B, 0x0C], size: 123, openSize: 4567, timestamp: 1_700_000_001))
    #expect(file.entry("group")?.base == Array("http://elsewhere/a&b/".utf8))
    #expect(file.entry("group")?.size == nil)
    #expect(file.entry("filelists") == nil)
  }

  @Test(arguments: [
    ("", "repomd.xml: is empty, which is no XML"),
    ("<html><body>", "repomd.xml: is HTML, not a repomd.xml"),
    ("Not Found", "repomd.xml:1: is no well-formed XML: Document is empty"),
    ("<metadata/>", "repomd.xml:1: the root element is no <repomd>"),
    ("<repomd>\n<data type='a'><location href='b'/>", "repomd.xml:2: is no well-formed XML: "),
    ("<repomd>\n<data type='a'></data></repomd>", "repomd.xml:2: a <data> element has no type or no location"),
    ("<repomd><data><location href='b'/></data></repomd>", "repomd.xml:1: a <data> element has no type or no location"),
    ("<repomd><data type='a'><checksum>xyz</checksum></data></repomd>", "repomd.xml:1: \"xyz\" is no checksum"),
    ("<repomd><data type='a'><size>-1</size></data></repomd>", "repomd.xml:1: \"-1\" is no size"),
    (
      "<!DOCTYPE repomd [<!ENTITY a \"b\">]><repomd>&a;</repomd>",
      "repomd.xml:1: entities are not read in package metadata"
    ),
    ("<repomd>&nbsp;</repomd>", "repomd.xml:1: is no well-formed XML: Entity 'nbsp' not defined"),
    (
      "<!DOCTYPE repomd SYSTEM \"/etc/passwd\"><repomd>&nbsp;</repomd>",
      "repomd.xml:1: entities are not read in package metadata"
    ),
    (
      String(repeating: "<repomd>", count: 40), "repomd.xml:1: more than 32 nested elements, the limit"
    ),
    (
      "<repomd><revision>\(String(repeating: "1", count: 5000))</revision></repomd>",
      "repomd.xml:1: an element has more than 4096 bytes, the limit"
    ),
  ])
  func whatIsWrongIsNamed(_ text: String, _ message: String) {
    let error = errorText { _ = try repomd(text) }
    #expect(!message.isEmpty && error.hasPrefix(message), "\(error)")
  }

  @Test func textsAreUTF8() throws {
    let document = "<repomd/>"
    for bytes: [UInt8] in [
      document.utf16.flatMap { [UInt8($0), 0] }, document.utf16.flatMap { [0, UInt8($0)] },
      [0xFF, 0xFE] + document.utf16.flatMap { [UInt8($0), 0] }, [0xFE, 0xFF], [0x4C, 0x6F, 0xA7, 0x94, 0x93],
      [0, 0, 0, 0x3C, 0xBB, 0x61, 0x03, 0xC5, 0x64, 0x03],
    ] {
      #expect(errorText { _ = try RepomdFile(bytes: bytes, name: "repomd.xml") } == "repomd.xml: is no XML in UTF-8")
    }
    let wrong = Array("<repomd><revision>".utf8) + [0xFF] + Array("</revision></repomd>".utf8)
    let error = errorText { _ = try RepomdFile(bytes: wrong, name: "repomd.xml") }
    #expect(error.hasPrefix("repomd.xml:1: is no well-formed XML: Input is not proper UTF-8"), "\(error)")
    for start in ["\u{FEFF}", "<?xml version='1.0' encoding='ISO-8859-1'?>", "<?xml version='1.0' encoding='odd'?>"] {
      let file = try repomd("\(start)<repomd><revision>\u{e9}</revision></repomd>")
      #expect(file.revision == Array("\u{e9}".utf8), "\(start)")
    }
  }
}
