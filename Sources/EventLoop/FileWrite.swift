/// New contents of one file, and what they take the place of.
public nonisolated struct FileWrite: Sendable {
  /// The mode of a file that did not exist; one that is replaced gives its own.
  public enum Mode: Hashable, Sendable {
    /// 0600 whatever the umask says: keys, passwords, and what may hold such.
    case secret
    /// 0666 less the umask, as other programs create files.
    case ordinary
  }

  public let bytes: [UInt8]
  public let path: String
  /// What the path held when the contents were made.
  public let replacing: FileVersion
  public let mode: Mode

  /// - Parameters:
  ///   - path: a symbolic link is followed and stays.
  ///   - version: what was read there; `.missing` for a file that is to be created.
  public init(_ bytes: [UInt8], to path: String, replacing version: FileVersion, mode: Mode) {
    self.bytes = bytes
    self.path = path
    self.replacing = version
    self.mode = mode
  }
}

/// Why files were not written, or not for good.
public nonisolated enum FileWriteError: Error, Hashable, CustomStringConvertible {
  /// A path holds something else than the writer has read. Nothing was written: read again, and make it again.
  case changed(path: String)
  case system(SystemError)

  public var description: String {
    switch self {
    case .changed(let path): "\(path) was changed by somebody else meanwhile"
    case .system(let error): error.description
    }
  }

  @discardableResult
  static func wrap<Result>(_ body: () throws(SystemError) -> Result) throws(FileWriteError) -> Result {
    do throws(SystemError) { return try body() } catch { throw .system(error) }
  }
}
