/// What is wrong with a file of a mirror.
public struct FormatError: Error, Equatable, CustomStringConvertible {
  /// The file's name, as its address names it.
  public let file: String
  /// The line, from 1 on; nil where the format has no lines.
  public let line: Int?
  /// The rest of the sentence.
  public let message: String

  public init(file: String, line: Int? = nil, _ message: String) {
    self.file = file
    self.line = line
    self.message = message
  }

  public var description: String { line.map { "\(file):\($0): \(message)" } ?? "\(file): \(message)" }
}
