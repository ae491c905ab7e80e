import CBZip2
import CLZMA
import CZlib
import CZstd
import Testing

/// Compresses with each library, so that no test needs files made elsewhere.
enum Fixture: String, CaseIterable {
  case gzip, xz, zstd, bzip2, plain

  func compress(_ bytes: [UInt8]) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: bytes.count + bytes.count / 8 + 4096)
    switch self {
    case .plain: return bytes
    case .gzip:
      var stream = z_stream()
      var input = bytes
      #expect(
        deflateInit2_(&stream, 6, Z_DEFLATED, 15 + 16, 8, 0, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK)
      let count = input.withUnsafeMutableBufferPointer { input in
        output.withUnsafeMutableBufferPointer { output in
          stream.next_in = input.baseAddress
          stream.avail_in = UInt32(input.count)
          stream.next_out = output.baseAddress
          stream.avail_out = UInt32(output.count)
          #expect(deflate(&stream, Z_FINISH) == Z_STREAM_END)
          return output.count - Int(stream.avail_out)
        }
      }
      deflateEnd(&stream)
      return Array(output[..<count])
    case .xz:
      var count = 0
      let result = lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nil, bytes, bytes.count, &output, &count, output.count)
      #expect(result == LZMA_OK)
      return Array(output[..<count])
    case .zstd:
      // With a checksum, as the program zstd writes it.
      let context = ZSTD_createCCtx()
      defer { ZSTD_freeCCtx(context) }
      #expect(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)) == 0)
      let count = ZSTD_compress2(context, &output, output.count, bytes, bytes.count)
      #expect(ZSTD_isError(count) == 0)
      return Array(output[..<count])
    case .bzip2:
      var count = UInt32(output.count)
      let result = bytes.withUnsafeBytes { bytes in
        output.withUnsafeMutableBytes { output in
          BZ2_bzBuffToBuffCompress(
            output.baseAddress?.assumingMemoryBound(to: CChar.self), &count,
            UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: CChar.self),
            UInt32(bytes.count), 9, 0, 0)
        }
      }
      #expect(result == BZ_OK)
      return Array(output[..<Int(count)])
    }
  }
}

/// Makes tar archives.
struct TarFixture {
  private(set) var bytes: [UInt8] = []

  mutating func add(_ name: String, _ text: String = "", type: Character = "0", prefix: String = "") {
    add(name, Array(text.utf8), type: type, prefix: prefix)
  }

  mutating func add(_ name: String, _ contents: [UInt8], type: Character = "0", prefix: String = "") {
    var block = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at place: Int) { block.replaceSubrange(place..<place + text.utf8.count, with: text.utf8) }
    put(String(name.prefix(100)), at: 0)
    put("0000644\0", at: 100)
    let size = String(contents.count, radix: 8)
    put(String(repeating: "0", count: 11 - size.count) + size + "\0", at: 124)
    put("00000000000\0", at: 136)
    put("        ", at: 148)
    put(String(type), at: 156)
    put("ustar\0" + "00", at: 257)
    put(prefix, at: 345)
    let sum = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
    put(String(repeating: "0", count: 6 - sum.count) + sum + "\0 ", at: 148)
    bytes += block + contents
    bytes += [UInt8](repeating: 0, count: (512 - contents.count % 512) % 512)
  }

  /// A name of any length, as GNU tar writes it.
  mutating func addLong(_ name: String, _ text: String) {
    add("././@LongLink", name + "\0", type: "L")
    add(String(name.prefix(100)), text)
  }

  /// A name of any length, as pax writes it.
  mutating func addPax(_ name: String, _ text: String) {
    var record = " path=\(name)\n"
    var length = record.utf8.count
    while "\(length)\(record)".utf8.count != length { length = "\(length)\(record)".utf8.count }
    record = "\(length)\(record)"
    add("PaxHeaders/x", "20 mtime=1234567890\n" + record, type: "x")
    add("short", text)
  }

  mutating func end() { bytes += [UInt8](repeating: 0, count: 1024) }
}

/// The error that is thrown, as text; empty if there is none.
func errorText(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}
