/// The decoder of one compression format. It keeps the state of its library, so it is an object with an end.
protocol Codec: AnyObject {
  /// Decodes as much of the input as fits into the output.
  ///
  /// - Parameter input: shortened by what was read.
  /// - Returns: the number of bytes written.
  func decode(
    _ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CodecFailure) -> Int

  /// Whether the input may end here: no member, stream or frame is open.
  var isAtEnd: Bool { get }

  /// Tells the decoder that no input follows.
  ///
  /// - Returns: whether everything is complete.
  func end() throws(CodecFailure) -> Bool
}

extension Codec {
  func end() throws(CodecFailure) -> Bool { isAtEnd }
}

/// What a library says about its input.
struct CodecFailure: Error {
  let message: String

  init(_ message: String) { self.message = message }

  static let noMemory = CodecFailure("no memory for a decoder")
}
