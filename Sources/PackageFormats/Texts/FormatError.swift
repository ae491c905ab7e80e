/// What is wrong with a file of a mirror.
public struct FormatError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file's name, as its address names it.
  public let file: String
  /// The line of the decompressed text, from 1 on; nil where the format has no lines.
  public let line: Int?
  /// Bytes before the place, in the file as it was downloaded; nil if the line says where, or the whole file is wrong.
  public let offset: Int?
  /// The rest of the sentence.
  public let message: String

  public init(file: String, line: Int? = nil, offset: Int? = nil, _ message: String) {
    self.file = file
    self.line = line
    self.offset = offset
    self.message = message
  }

  public var description: String {
    if let line { return "\(file):\(line): \(message)" }
    return "\(file): \(message)" + (offset.map { " (at byte \($0))" } ?? "")
  }
}

/// Bytes of a file, for messages: at most 60 of them, what is not printable ASCII as `?`.
func shown(_ bytes: some Collection<UInt8>) -> String {
  let start = bytes.prefix(60).map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: "?") }
  return String(decoding: start, as: UTF8.self) + (bytes.count > 60 ? "..." : "")
}

/// A number of bytes for messages, in MiB.
func mebibytes(_ bytes: Int) -> String {
  bytes >= 10 << 20 ? "\(bytes >> 20) MiB" : "\(bytes) bytes"
}
