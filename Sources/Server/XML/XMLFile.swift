/// Why a repository file is not usable: names the file and the line.
public struct XMLFileError: Error, CustomStringConvertible {
  /// Path of the file.
  public let path: String
  /// 1 for the first line; 0 where the error has no line.
  public let line: Int
  /// What is wrong, one line.
  public let message: String

  public init(path: String, line: Int, message: String) {
    self.path = path
    self.line = line
    self.message = message
  }

  public var description: String { line > 0 ? "\(path):\(line): \(message)" : "\(path): \(message)" }
}
