/// Decompresses one file in pieces, within bounds: gzip, xz, zstd, bzip2, or as it is.
///
/// Its memory is one output buffer and what the library of the format needs, at most `DecompressionLimits.memoryBytes`.
/// Every error names the file, and the byte of it at which decoding stopped.
package struct Decompressor: ~Copyable {
  private enum State {
    /// The first bytes, until there are enough of them to know the format.
    case sniffing([UInt8])
    case plain
    case decoding(any Codec)
    /// An error was thrown, or the file ended. Nothing more is accepted.
    case over
  }

  private let name: String
  private let limits: DecompressionLimits
  private let acceptsPlain: Bool
  private var state = State.sniffing([])
  private let output: UnsafeMutableRawBufferPointer
  /// Bytes given to the decoder.
  private var inputBytes = 0
  private var outputBytes = 0

  static let bufferBytes = 256 << 10

  /// - Parameters:
  ///   - name: the file, for errors.
  ///   - acceptsPlain: whether a file may be without compression.
  package init(name: String, limits: DecompressionLimits = DecompressionLimits(), acceptsPlain: Bool = true) {
    self.name = name
    self.limits = limits
    self.acceptsPlain = acceptsPlain
    output = .allocate(byteCount: Self.bufferBytes, alignment: 16)
  }

  deinit { output.deallocate() }

  /// Decodes the next bytes of the file.
  ///
  /// - Parameter sink: gets the decompressed bytes in pieces, which are valid during the call only.
  /// - Throws: the error of the file, or of the sink. No further call may follow.
  package mutating func write(
    _ bytes: UnsafeRawBufferPointer, to sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    guard case .sniffing(var start) = state else { return try decode(bytes, to: sink) }
    start += bytes
    guard start.count >= CompressionFormat.sniffedBytes else {
      state = .sniffing(start)
      return
    }
    try begin(with: start, to: sink)
  }

  /// Ends the file.
  ///
  /// - Throws: if a part of it is missing.
  package mutating func finish(
    to sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    if case .sniffing(let start) = state { try begin(with: start, to: sink) }
    guard case .decoding(let codec) = state else {
      state = .over
      return
    }
    state = .over
    let isComplete: Bool
    do throws(CodecFailure) {
      isComplete = try codec.end()
    } catch {
      throw FormatError(file: name, offset: inputBytes, error.message)
    }
    guard isComplete else {
      throw FormatError(
        file: name, offset: inputBytes, "the file is truncated: it ends in the middle of its compressed data")
    }
  }

  private mutating func begin(
    with start: [UInt8], to sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    state = .over
    do throws(CodecFailure) {
      switch CompressionFormat(of: start) {
      case .gzip: state = .decoding(try GzipCodec())
      case .xz: state = .decoding(try XZCodec(memoryBytes: limits.memoryBytes))
      case .zstd: state = .decoding(try ZstdCodec(memoryBytes: limits.memoryBytes))
      case .bzip2: state = .decoding(try BZip2Codec())
      case .plain:
        // gzip too takes an empty file for an empty one.
        guard acceptsPlain || start.isEmpty else { throw CodecFailure("is not compressed, though its name says so") }
        state = .plain
      case .html: throw CodecFailure("is HTML, not package metadata: a page of the mirror, a proxy or a login")
      case .unsupported("zchunk"):
        throw CodecFailure(
          "is zchunk, which is not read; the repository also has the same data compressed with gzip, xz or zstd")
      case .unsupported(let format): throw CodecFailure("is compressed with \(format), which is not read")
      }
    } catch {
      throw FormatError(file: name, error.message)
    }
    var result: Result<Void, FormatError> = .success(())
    start.withUnsafeBytes { bytes in
      do throws(FormatError) { try decode(bytes, to: sink) } catch { result = .failure(error) }
    }
    try result.get()
  }

  private mutating func decode(
    _ bytes: UnsafeRawBufferPointer, to sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    switch state {
    case .sniffing, .over: preconditionFailure("no bytes may follow an error or the end")
    case .plain:
      inputBytes += bytes.count
      outputBytes += bytes.count
      state = .over
      try checkLimits()
      if !bytes.isEmpty { try sink(bytes) }
      state = .plain
    case .decoding(let codec):
      // An error leaves this state; only success returns to it.
      state = .over
      try decode(bytes, with: codec, to: sink)
      state = .decoding(codec)
    }
  }

  private mutating func decode(
    _ bytes: UnsafeRawBufferPointer, with codec: any Codec,
    to sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    var rest = bytes
    while true {
      let before = rest.count
      let produced: Int
      do throws(CodecFailure) {
        produced = try codec.decode(&rest, into: output)
      } catch {
        throw FormatError(file: name, offset: inputBytes + before - rest.count, error.message)
      }
      inputBytes += before - rest.count
      outputBytes += produced
      if produced > 0 {
        try checkLimits()
        try sink(UnsafeRawBufferPointer(rebasing: output[..<produced]))
      }
      // A full buffer may mean that the decoder holds more.
      if rest.isEmpty, produced < output.count { return }
      guard produced > 0 || rest.count < before else {
        throw FormatError(
          file: name, offset: inputBytes, "the compressed data are damaged: the decoder does not advance")
      }
    }
  }

  private func checkLimits() throws(FormatError) {
    if outputBytes > limits.outputBytes {
      throw FormatError(
        file: name, offset: inputBytes, "decompresses to more than \(mebibytes(limits.outputBytes)), the limit")
    }
    if outputBytes > limits.ratioFreeBytes, outputBytes / limits.ratio > inputBytes {
      throw FormatError(
        file: name, offset: inputBytes,
        "decompresses to more than \(limits.ratio) times its size, the limit (\(mebibytes(outputBytes)) so far)")
    }
  }
}
