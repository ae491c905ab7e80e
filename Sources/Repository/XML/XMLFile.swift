public import EventLoop

/// Why a repository file is not usable: names the file and the line.
public struct XMLFileError: Error, CustomStringConvertible {
  /// Path of the file.
  public let path: String
  /// 1 for the first line; 0 where the error has no line.
  public let line: Int
  /// What is wrong, one line.
  public let message: String

  /// Why the file was not read at all; nil where its contents are at fault.
  public let cause: SystemError?

  public init(path: String, line: Int, message: String) {
    self.path = path
    self.line = line
    self.message = message
    cause = nil
  }

  /// The file could not be read.
  init(path: String, notRead cause: SystemError) {
    self.path = path
    line = 0
    message = "\(cause)"
    self.cause = cause
  }

  public var description: String { line > 0 ? "\(path):\(line): \(message)" : "\(path): \(message)" }
}

extension SystemError {
  /// The failure to read a file that an error tells of, with the file's path where the error has one; nil for another
  /// error.
  package nonisolated static func ofReading(_ error: any Error) -> (path: String?, error: SystemError)? {
    switch error {
    case let error as SystemError: (nil, error)
    case let error as XMLFileError: error.cause.map { (error.path, $0) }
    default: nil
    }
  }
}
