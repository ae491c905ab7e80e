/// repomd.xml: which metadata files a yum repository has, with their sizes and checksums.
///
/// Format: rpm-software-management/createrepo_c: src/xml_dump_repomd.c.
package struct RepomdFile: Sendable {
  /// One `<data>` element.
  package struct Entry: Equatable, Sendable {
    /// `primary`, `filelists`, `group`, `group_gz`, `modules`, `primary_zck`, ...
    package var type: [UInt8] = []
    /// The path below the repository's address, or below `base`.
    package var href: [UInt8] = []
    /// `xml:base` of the location: an address in place of the repository's own; empty if there is none.
    package var base: [UInt8] = []
    /// `sha256`, `sha512`, `sha` (which is SHA-1), `md5`.
    package var checksumType: [UInt8] = []
    /// The checksum of the file as it is downloaded.
    package var checksum: [UInt8] = []
    /// `checksumType` of `openChecksum`.
    package var openChecksumType: [UInt8] = []
    /// The checksum of the decompressed file; empty if there is none.
    package var openChecksum: [UInt8] = []
    /// Bytes of the file as it is downloaded.
    package var size: Int?
    /// Bytes of the decompressed file.
    package var openSize: Int?
    /// When the file was made, in seconds since 1970.
    package var timestamp: Int?
  }

  package private(set) var entries: [Entry] = []
  /// Changes with every change of the repository, mostly a time.
  package private(set) var revision: [UInt8] = []

  /// Most bytes of a file. Fedora's has 5 kB.
  package static let limitBytes = 4 << 20

  /// - Parameter name: the file, for errors.
  package init(bytes: [UInt8], name: String) throws(FormatError) {
    guard bytes.count <= Self.limitBytes else {
      throw FormatError(file: name, "has more than \(mebibytes(Self.limitBytes)), the limit")
    }
    if case .html = CompressionFormat(of: bytes.prefix(CompressionFormat.sniffedBytes)) {
      throw FormatError(file: name, "is HTML, not a repomd.xml")
    }
    let parser = try RepomdParser(file: name)
    try withBytes(of: bytes) { text throws(FormatError) in try parser.write(UnsafeRawBufferPointer(text)) }
    try parser.finish()
    entries = parser.entries
    revision = parser.revision
  }

  /// The entry of a type; nil if there is none.
  package func entry(_ type: String) -> Entry? { entries.first { $0.type == Array(type.utf8) } }
}

private final class RepomdParser: XMLPushParser {
  private(set) var entries: [RepomdFile.Entry] = []
  private(set) var revision: [UInt8] = []
  private var entry: RepomdFile.Entry?
  private var content: [UInt8] = []

  /// Most `<data>` elements; there are about ten.
  private static let entryLimit = 1000

  override func start(_ name: XMLName, _ attributes: XMLAttributes) throws(FormatError) {
    content.removeAll(keepingCapacity: true)
    switch (depth, name) {
    case (1, "repomd"): break
    case (1, _): throw error("the root element is no <repomd>")
    case (2, "data"):
      guard entries.count < Self.entryLimit else { throw error("more than \(Self.entryLimit) files, the limit") }
      entry = RepomdFile.Entry(type: attributes["type"]?.array ?? [])
    case (3, "location"):
      entry?.href = attributes["href"]?.array ?? []
      entry?.base = attributes[prefixed: "base"]?.array ?? []
    case (3, "checksum"): entry?.checksumType = attributes["type"]?.array ?? []
    case (3, "open-checksum"): entry?.openChecksumType = attributes["type"]?.array ?? []
    default: break
    }
  }

  override func text(_ text: ByteText) throws(FormatError) {
    guard content.count + text.count <= 4096 else { throw error("an element has more than 4096 bytes, the limit") }
    content += text
  }

  override func end(_ name: XMLName) throws(FormatError) {
    let value = content.withUnsafeBufferPointer { $0.trimmed.array }
    switch (depth, name) {
    case (2, "revision"): revision = value
    case (2, "data"):
      guard let entry else { break }
      guard !entry.type.isEmpty, !entry.href.isEmpty else { throw error("a <data> element has no type or no location") }
      entries.append(entry)
      self.entry = nil
    case (3, "checksum"): entry?.checksum = try digest(value)
    case (3, "open-checksum"): entry?.openChecksum = try digest(value)
    case (3, "size"): entry?.size = try number(value)
    case (3, "open-size"): entry?.openSize = try number(value)
    case (3, "timestamp"):
      // createrepo writes a fraction.
      entry?.timestamp = decimal(value.prefix { $0 != UInt8(ascii: ".") })
    default: break
    }
  }

  private func digest(_ value: [UInt8]) throws(FormatError) -> [UInt8] {
    guard let bytes = hexadecimalBytes(value), !bytes.isEmpty else {
      throw error("\"\(shown(value))\" is no checksum")
    }
    return bytes
  }

  private func number(_ value: [UInt8]) throws(FormatError) -> Int {
    guard let number = decimal(value) else { throw error("\"\(shown(value))\" is no size") }
    return number
  }
}
