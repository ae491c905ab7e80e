public import EventLoop

/// The error of an unusable repository file, with file and line.
public nonisolated struct XMLFileError: Error, CustomStringConvertible {
  /// Path of the file.
  public let path: String
  /// 1 for the first line; 0 without a line.
  public let line: Int
  /// The error in one line.
  public let message: String

  /// Why the file could not be read; nil if its contents are wrong.
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
  /// The failed read behind an error, with the file's path if known; nil for other errors.
  package nonisolated static func ofReading(_ error: any Error) -> (path: String?, error: SystemError)? {
    switch error {
    case let error as SystemError: (nil, error)
    case let error as XMLFileError: error.cause.map { (error.path, $0) }
    default: nil
    }
  }
}
