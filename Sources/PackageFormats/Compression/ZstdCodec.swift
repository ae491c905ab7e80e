import CZstd

/// Decodes zstd (RFC 8878) with libzstd: any number of frames, skippable ones too, checksums verified.
final class ZstdCodec: Codec {
  private let context: OpaquePointer
  private(set) var isAtEnd = false

  init(memoryBytes: Int) throws(CodecFailure) {
    guard let context = ZSTD_createDCtx() else { throw .noMemory }
    self.context = context
    // The largest power of two within the limit; libzstd accepts 2^10 to 2^31.
    let log = min(max(Int.bitWidth - 1 - memoryBytes.leadingZeroBitCount, 10), 31)
    let result = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, CInt(log))
    guard ZSTD_isError(result) == 0 else { throw CodecFailure(Self.message(result)) }
  }

  deinit { ZSTD_freeDCtx(context) }

  func decode(
    _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let result = ZSTD_decompressStream(context, &target, &source)
    guard ZSTD_isError(result) == 0 else {
      throw CodecFailure("the zstd data cannot be read: \(Self.message(result))")
    }
    input = UnsafeRawBufferPointer(rebasing: input.dropFirst(source.pos))
    // 0: a frame is complete and all of it was written out.
    if source.pos > 0 || target.pos > 0 { isAtEnd = result == 0 }
    return target.pos
  }

  private static func message(_ result: Int) -> String { String(cString: ZSTD_getErrorName(result)) }
}
