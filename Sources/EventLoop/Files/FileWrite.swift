/// New contents of one file, and the version that they replace.
public nonisolated struct FileWrite: Sendable {
  /// What the file is to hold.
  public enum Contents: Sendable {
    case bytes([UInt8])
    /// The old contents with some parts changed, which are in ascending order and do not touch each other. The rest is
    /// copied from file to file.
    case changes([Change])
  }

  /// Bytes that replace others of the same file.
  public struct Change: Sendable {
    /// In the old file; empty where bytes are inserted.
    public let range: Range<Int>
    public let bytes: [UInt8]

    public init(_ range: Range<Int>, _ bytes: [UInt8]) {
      self.range = range
      self.bytes = bytes
    }
  }

  /// The mode of a new file; a file that replaces another one gets its mode.
  public enum Mode: Hashable, Sendable {
    /// 0600 whatever the umask says: keys, passwords, and what may hold such.
    case secret
    /// 0666 less the umask, as other programs create files.
    case ordinary
    /// That of another file, with its owner and group where this process may set them. The new file has them before it
    /// has its name: nobody can put another file there in between.
    case copied(user: UInt32, group: UInt32, permissions: UInt32)
  }

  public let contents: Contents
  public let path: String
  /// What the path held when the contents were made.
  public let replacing: FileVersion
  public let mode: Mode
  /// Whether a path that is a symbolic link is followed; otherwise it is refused with ELOOP.
  public let followsLinks: Bool

  /// - Parameters:
  ///   - path: a symbolic link is followed and stays, unless `followsLinks` says otherwise.
  ///   - version: what was read there; `.missing` for a file that is to be created.
  public init(
    _ bytes: [UInt8], to path: String, replacing version: FileVersion, mode: Mode, followsLinks: Bool = true
  ) {
    contents = .bytes(bytes)
    self.path = path
    replacing = version
    self.mode = mode
    self.followsLinks = followsLinks
  }

  /// A file that is changed in parts.
  ///
  /// - Parameter version: of a file that is there.
  public init(_ changes: [Change], in path: String, replacing version: FileVersion) {
    contents = .changes(changes)
    self.path = path
    replacing = version
    mode = .ordinary
    followsLinks = true
  }
}

/// Why files were not written, or not durably.
public nonisolated enum FileWriteError: Error, Hashable, CustomStringConvertible {
  /// A path holds something else than the writer read. Nothing was written: read it again and retry.
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
