import CLZMA

/// Decodes xz with liblzma: any number of streams, checks verified.
final class XZCodec: Codec {
  private var stream = lzma_stream()
  private let memoryBytes: Int
  private(set) var isAtEnd = false

  /// `LZMA_CONCATENATED` of lzma/container.h, a macro that Swift does not see.
  private static let concatenated: UInt32 = 0x08

  init(memoryBytes: Int) throws(CodecFailure) {
    self.memoryBytes = memoryBytes
    guard lzma_stream_decoder(&stream, UInt64(memoryBytes), Self.concatenated) == LZMA_OK else { throw .noMemory }
  }

  deinit { lzma_end(&stream) }

  func decode(
    _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int {
    try run(LZMA_RUN, &input, into: output)
  }

  func end() throws(CodecFailure) -> Bool {
    var nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    var byte: UInt8 = 0
    let produced = try withUnsafeMutableBytes(of: &byte) { output throws(CodecFailure) in
      try run(LZMA_FINISH, &nothing, into: output)
    }
    return produced == 0 && isAtEnd
  }

  private func run(
    _ action: lzma_action, _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int {
    stream.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.avail_in = input.count
    stream.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.avail_out = output.count
    let result = lzma_code(&stream, action)
    input = UnsafeRawBufferPointer(rebasing: input.suffix(stream.avail_in))
    switch result {
    // A buffer error means that no progress was possible: more input is needed, or the file is truncated.
    case LZMA_OK, LZMA_BUF_ERROR: break
    case LZMA_STREAM_END: isAtEnd = true
    case LZMA_MEMLIMIT_ERROR:
      throw CodecFailure(
        "the xz data need \(mebibytes(Int(clamping: lzma_memusage(&stream)))) of memory, the limit is "
          + mebibytes(memoryBytes))
    case LZMA_MEM_ERROR: throw .noMemory
    case LZMA_FORMAT_ERROR: throw CodecFailure("something else follows the xz data")
    case LZMA_OPTIONS_ERROR: throw CodecFailure("the xz data use a filter or option that liblzma does not know")
    default: throw CodecFailure("the xz data are damaged")
    }
    return output.count - stream.avail_out
  }
}
