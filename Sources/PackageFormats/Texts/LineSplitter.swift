import Glibc

/// Splits a text that arrives in pieces into its lines, and counts them. A line that lies whole in one piece is not
/// copied.
struct LineSplitter {
  private let file: String
  private let limitBytes: Int
  /// The start of a line whose end has not arrived.
  private var begun: [UInt8] = []
  /// The number of the line that was given last; 1 for the first one.
  private var number = 0

  /// - Parameter limitBytes: the most bytes of one line.
  init(file: String, limitBytes: Int = 4 << 20) {
    self.file = file
    self.limitBytes = limitBytes
  }

  /// Gives each line that is complete, without its newline, and its number. The bytes are valid during the call only.
  mutating func write(
    _ bytes: UnsafeRawBufferPointer, _ body: (ByteText, Int) throws(FormatError) -> Void
  ) throws(FormatError) {
    guard let base = bytes.baseAddress else { return }
    var start = 0
    while start < bytes.count {
      guard let newline = memchr(base + start, 0x0A, bytes.count - start) else {
        try keep(UnsafeRawBufferPointer(rebasing: bytes[start...]))
        return
      }
      let end = UnsafeRawPointer(newline) - base
      let line = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
      start = end + 1
      number += 1
      if begun.isEmpty {
        try body(line.bindMemory(to: UInt8.self), number)
      } else {
        try keep(line)
        try giveBegun(body)
      }
    }
  }

  /// Gives the last line, if no newline ended it.
  mutating func finish(_ body: (ByteText, Int) throws(FormatError) -> Void) throws(FormatError) {
    guard !begun.isEmpty else { return }
    number += 1
    try giveBegun(body)
  }

  private mutating func keep(_ part: UnsafeRawBufferPointer) throws(FormatError) {
    guard begun.count + part.count <= limitBytes else {
      throw FormatError(file: file, line: number + 1, "the line has more than \(mebibytes(limitBytes)), the limit")
    }
    begun += part
  }

  private mutating func giveBegun(
    _ body: (ByteText, Int) throws(FormatError) -> Void
  ) throws(FormatError) {
    try withBytes(of: begun) { line throws(FormatError) in try body(line, number) }
    begun.removeAll(keepingCapacity: true)
  }
}

/// Calls `body` with the bytes of an array; an error keeps its type, which the standard library's function loses.
func withBytes<Result>(
  of array: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) throws(FormatError) -> Result
) throws(FormatError) -> Result {
  let result = array.withUnsafeBufferPointer { bytes -> Swift.Result<Result, FormatError> in
    do throws(FormatError) { return .success(try body(bytes)) } catch { return .failure(error) }
  }
  return try result.get()
}
