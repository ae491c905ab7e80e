import CBZip2

/// Decodes bzip2 with libbz2: any number of streams.
final class BZip2Codec: Codec {
  /// libbz2 remembers the address of its stream, so it has its own memory.
  private let stream = UnsafeMutablePointer<bz_stream>.allocate(capacity: 1)
  private(set) var isAtEnd = false
  private var hasStream = false

  init() throws(CodecFailure) {
    stream.initialize(to: bz_stream())
    guard BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK else { throw .noMemory }
  }

  deinit {
    BZ2_bzDecompressEnd(stream)
    stream.deallocate()
  }

  func decode(
    _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int {
    if isAtEnd {
      if input.isEmpty { return 0 }
      BZ2_bzDecompressEnd(stream)
      stream.initialize(to: bz_stream())
      guard BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK else { throw .noMemory }
      isAtEnd = false
    }
    let given = input.count
    stream.pointee.next_in = UnsafeMutableRawPointer(mutating: input.baseAddress)?.assumingMemoryBound(to: CChar.self)
    stream.pointee.avail_in = UInt32(clamping: given)
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: CChar.self)
    stream.pointee.avail_out = UInt32(clamping: output.count)
    let result = BZ2_bzDecompress(stream)
    input = UnsafeRawBufferPointer(rebasing: input.dropFirst(given - Int(stream.pointee.avail_in)))
    switch result {
    case BZ_OK: break
    case BZ_STREAM_END:
      isAtEnd = true
      hasStream = true
    case BZ_MEM_ERROR: throw .noMemory
    case BZ_DATA_ERROR_MAGIC where hasStream: throw CodecFailure("something else follows the bzip2 data")
    default: throw CodecFailure("the bzip2 data are damaged")
    }
    return output.count - Int(stream.pointee.avail_out)
  }
}
