import Testing

@testable import PackageFormats

/// Decompresses bytes that come in pieces of one size.
func decompress(
  _ bytes: [UInt8], pieces: Int = 1 << 20, limits: DecompressionLimits = DecompressionLimits()
) throws -> [UInt8] {
  var output: [UInt8] = []
  var decompressor = Decompressor(name: "Packages.x", limits: limits)
  var start = 0
  while start < bytes.count {
    let end = min(start + pieces, bytes.count)
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: end - start, alignment: 1)
    defer { piece.deallocate() }
    piece.copyBytes(from: bytes[start..<end])
    try decompressor.write(UnsafeRawBufferPointer(piece)) { output += $0 }
    start = end
  }
  try decompressor.finish { output += $0 }
  return output
}

@Suite struct DecompressorTests {
  /// A text that does not compress to nothing, larger than the output buffer.
  static let text: [UInt8] = (0..<60_000).flatMap { Array("line \($0 &* 2_654_435_761 % 1_000_003)\n".utf8) }

  @Test(arguments: Fixture.allCases) func everyFormatIsReadInPiecesOfAnySize(_ format: Fixture) throws {
    let packed = format.compress(Self.text)
    for pieces in [1 << 30, 4096, 511] { #expect(try decompress(packed, pieces: pieces) == Self.text) }
    let short = Array("Package: a\n".utf8)
    #expect(try decompress(format.compress(short), pieces: 1) == short)
    #expect(try decompress(format.compress([])).isEmpty)
  }

  @Test(arguments: Fixture.allCases) func membersThatFollowEachOtherAreOneText(_ format: Fixture) throws {
    let packed = format.compress(Array("one\n".utf8)) + format.compress([]) + format.compress(Array("two\n".utf8))
    for pieces in [1, 5, 1 << 20] { #expect(try decompress(packed, pieces: pieces) == Array("one\ntwo\n".utf8)) }
  }

  @Test func whatMustBeCompressedIs() throws {
    func read(_ bytes: [UInt8]) throws {
      var decompressor = Decompressor(name: "Packages.gz", acceptsPlain: false)
      try bytes.withUnsafeBytes { bytes in try decompressor.write(bytes) { _ in } }
      try decompressor.finish { _ in }
    }
    try read([])
    try read(Fixture.gzip.compress(Self.text))
    #expect(
      errorText { try read(Array("Package: a\n".utf8)) } == "Packages.gz: is not compressed, though its name says so")
  }

  @Test(arguments: Fixture.allCases.dropLast()) func aTruncatedFileIsAnErrorWhereverItEnds(_ format: Fixture) {
    let packed = format.compress(Array("some text that is compressed, some text\n".utf8))
    // Of less than its magic bytes no format is known.
    for count in 6..<packed.count {
      let text = errorText { _ = try decompress(Array(packed[..<count])) }
      #expect(text.hasPrefix("Packages.x: ") && text.hasSuffix("(at byte \(count))"), "\(count): \(text)")
      #expect(text.contains("truncated"), "\(count): \(text)")
    }
  }

  @Test(arguments: Fixture.allCases.dropLast()) func aDamagedFileIsAnErrorOrReadsTheSame(_ format: Fixture) {
    let text = Array("some text that is compressed, some text\n".utf8)
    let packed = format.compress(text)
    for index in packed.indices {
      var damaged = packed
      damaged[index] ^= 0x55
      // Some bits of a header mean nothing, such as a time; a file without its magic bytes is a plain text.
      if let output = try? decompress(damaged) { #expect(output == text || output == damaged, "byte \(index)") }
    }
  }

  @Test(arguments: Fixture.allCases) func aBombEndsEarly(_ format: Fixture) {
    // 64 MiB of zeros; of plain text only the limit of bytes ends it.
    let zeros = [UInt8](repeating: 0, count: 64 << 20)
    let packed = format.compress(zeros)
    var limits = DecompressionLimits()
    if format != .plain {
      let text = errorText { _ = try decompress(packed) }
      #expect(text.contains("decompresses to more than 250 times its size, the limit (16 MiB so far)"), "\(text)")
    }
    limits.ratio = .max
    limits.outputBytes = 20 << 20
    let text = errorText { _ = try decompress(packed, pieces: 1 << 16, limits: limits) }
    #expect(text.hasPrefix("Packages.x: decompresses to more than 20 MiB, the limit (at byte "), "\(text)")
  }

  @Test func aDecoderThatNeedsTooMuchMemoryIsRefused() {
    var limits = DecompressionLimits()
    limits.memoryBytes = 1 << 20
    let packed = Fixture.xz.compress(Self.text)
    let text = errorText { _ = try decompress(packed, limits: limits) }
    #expect(text.contains("of memory, the limit is 1048576 bytes"), "\(text)")
    // A frame of zstd whose header asks for a window of 2 GiB.
    let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xA8, 0x01, 0x00, 0x00]
    let window = errorText { _ = try decompress(frame) }
    #expect(window.contains("zstd") && window.contains("memory"), "\(window)")
  }

  @Test func whatFollowsTheDataIsAnErrorUnlessItIsPadding() throws {
    let text = Array("text\n".utf8)
    let zeros = [UInt8](repeating: 0, count: 512)
    #expect(try decompress(Fixture.gzip.compress(text) + zeros) == text)
    #expect(try decompress(Fixture.xz.compress(text) + zeros) == text)
    for format in Fixture.allCases.dropLast() {
      let text = errorText { _ = try decompress(format.compress(text) + Array("<html>an error</html>".utf8)) }
      #expect(text.hasPrefix("Packages.x: "), "\(format): \(text)")
    }
  }

  @Test(arguments: [
    ("\0ZCK1", "is zchunk, which is not read; the repository also has the same data compressed with gzip, xz or zstd"),
    ("\0ZHR1", "is zchunk, which is not read; the repository also has the same data compressed with gzip, xz or zstd"),
    ("LZIP\u{1}", "is compressed with lzip, which is not read"),
    ("PK\u{3}\u{4}", "is compressed with zip, which is not read"),
    ("<!DOCTYPE HTML PUBLIC \"-//IETF\">", "is HTML, not package metadata: a page of the mirror, a proxy or a login"),
    ("\n  <html lang=en>", "is HTML, not package metadata: a page of the mirror, a proxy or a login"),
    (
      "\u{FEFF}<?xml version='1.0'?>\n<!doctype html>",
      "is HTML, not package metadata: a page of the mirror, a proxy or a login"
    ),
  ])
  func whatIsNoMetadataIsNamed(_ text: String, _ message: String) {
    for pieces in [1, 1 << 10] {
      #expect(errorText { _ = try decompress(Array(text.utf8), pieces: pieces) } == "Packages.x: \(message)")
    }
  }

  @Test func metadataAreNoHTML() throws {
    for text in [
      "<?xml version=\"1.0\"?><metadata>", "<!DOCTYPE comps PUBLIC>\n<comps>", "Package: html\n", "", "\u{1F}",
    ] {
      #expect(try decompress(Array(text.utf8)) == Array(text.utf8))
    }
  }
}
