import CZlib

/// Decodes gzip (RFC 1952) with zlib: any number of members, zeros after the last one.
final class GzipCodec: Codec {
  /// zlib remembers the address of its stream, so it has its own memory.
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  /// Between two members.
  private(set) var isAtEnd = false
  private var hasMember = false

  init() throws(CodecFailure) {
    stream.initialize(to: z_stream())
    // The largest window, and a gzip header must come: zlib.h, inflateInit2.
    guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw .noMemory
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  func decode(
    _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int {
    if isAtEnd {
      // As gzip does: zeros pad a file to the size of a block.
      input = UnsafeRawBufferPointer(rebasing: input.drop { $0 == 0 })
      if input.isEmpty { return 0 }
      guard inflateReset(stream) == Z_OK else { throw .noMemory }
      isAtEnd = false
    }
    let given = input.count
    stream.pointee.next_in = UnsafeMutableRawPointer(mutating: input.baseAddress)?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = UInt32(clamping: given)
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(clamping: output.count)
    let result = inflate(stream, Z_NO_FLUSH)
    input = UnsafeRawBufferPointer(rebasing: input.dropFirst(given - Int(stream.pointee.avail_in)))
    switch result {
    case Z_OK, Z_BUF_ERROR: break
    case Z_STREAM_END:
      isAtEnd = true
      hasMember = true
    case Z_MEM_ERROR: throw .noMemory
    default:
      if hasMember, stream.pointee.total_out == 0 { throw CodecFailure("something else follows the gzip data") }
      let reason = stream.pointee.msg.map { String(cString: $0) } ?? "error \(result)"
      throw CodecFailure("the gzip data are damaged: \(reason)")
    }
    return output.count - Int(stream.pointee.avail_out)
  }
}
