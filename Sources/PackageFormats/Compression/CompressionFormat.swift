/// How a file is compressed, by its first bytes. Names of files are not looked at: mirrors and proxies get them wrong.
package enum CompressionFormat: Equatable, Sendable {
  case gzip, xz, zstd, bzip2, plain
  /// A known format that is not read, by its name.
  case unsupported(String)
  case html

  /// Bytes that decide the format; fewer only if the file is shorter.
  package static let sniffedBytes = 512

  private static let magics: [(bytes: [UInt8], format: Self)] = [
    ([0x1F, 0x8B], .gzip),  // RFC 1952, section 2.3.1
    ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], .xz),  // the .xz file format, section 2.1.1.1
    ([0x28, 0xB5, 0x2F, 0xFD], .zstd),  // RFC 8878, section 3.1.1
    ([0x42, 0x5A, 0x68], .bzip2),  // "BZh"
    ([0x00, 0x5A, 0x43, 0x4B, 0x31], .unsupported("zchunk")),  // zchunk/zchunk: zchunk_format.txt
    ([0x00, 0x5A, 0x48, 0x52, 0x31], .unsupported("zchunk")),
    ([0x5D, 0x00, 0x00], .unsupported("lzma")),
    ([0x4C, 0x5A, 0x49, 0x50], .unsupported("lzip")),
    ([0x04, 0x22, 0x4D, 0x18], .unsupported("lz4")),
    ([0x1F, 0x9D], .unsupported("compress (.Z)")),
    ([0x50, 0x4B, 0x03, 0x04], .unsupported("zip")),
  ]

  package init(of start: some Collection<UInt8>) {
    for (bytes, format) in Self.magics where start.starts(with: bytes) {
      self = format
      return
    }
    // A skippable frame may come first: RFC 8878, section 3.1.2.
    if start.prefix(4).count == 4, start.first.map({ $0 & 0xF0 }) == 0x50,
      start.dropFirst().starts(with: [0x2A, 0x4D, 0x18])
    {
      self = .zstd
      return
    }
    self = Self.isHTML(start) ? .html : .plain
  }

  /// Whether a text begins as a page of HTML: the answer of a login page, a proxy, or a mirror that is not one.
  private static func isHTML(_ start: some Collection<UInt8>) -> Bool {
    var text = start.prefix(sniffedBytes)[...]
    if text.starts(with: [0xEF, 0xBB, 0xBF]) { text = text.dropFirst(3) }
    text = text.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
    guard text.first == UInt8(ascii: "<") else { return false }
    let lower = text.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    let tags: [[UInt8]] = ["<!doctype html", "<html", "<head>", "<body"].map { Array($0.utf8) }
    return lower.indices.contains { index in
      lower[index] == UInt8(ascii: "<") && tags.contains { lower[index...].starts(with: $0) }
    }
  }
}
