import Glibc

/// A folder of its own for the files of one child process, mode 0700, removed with what is in it.
///
/// Its process holds a lock on it (flock) for life, so that `removeLeftovers` recognizes what a killed process left.
@MainActor public final class TemporaryFolder {
  /// What names begin with, and how many letters and digits follow.
  private static let prefix = "bcfg2-server-"
  private static let suffixCount = 6
  /// Attempts to make a folder that can be locked; after the last one its error is thrown.
  private static let attempts = 5
  /// Folders within each other that are removed, at most.
  private static let depthLimit = 100
  /// Existing folders of this process.
  private static var paths: Set<String> = []

  /// Absolute path.
  public let path: String
  /// Holds the lock.
  private let lock: FileDescriptor

  /// - Throws: `SystemError` of mkdtemp, or of the lock. `TMPDIR` is honoured, /tmp otherwise.
  public init() throws(SystemError) {
    var reason: Int32 = 0
    for _ in 0..<Self.attempts {
      let name = Self.prefix + String(repeating: "X", count: Self.suffixCount)
      var template = Array("\(Self.base)/\(name)".utf8CString)
      guard let made = mkdtemp(&template) else { throw SystemError(call: "mkdtemp", errno: errno, detail: Self.base) }
      let path = String(cString: made)
      // Another process may take a folder without a lock for a leftover; then this one is not used.
      guard let lock = Self.lockFolder(path) else {
        reason = errno
        rmdir(path)
        continue
      }
      self.path = path
      self.lock = lock
      Self.paths.insert(path)
      return
    }
    throw SystemError(call: "flock", errno: reason, detail: Self.base)
  }

  /// A folder that belongs to another user, for a child that runs as that one; nil: this process's.
  public convenience init(owner: UInt32?, group: UInt32?) throws(SystemError) {
    try self.init()
    if let owner, owner != geteuid() {
      if chown(path, owner, group ?? owner) != 0 { throw SystemError(call: "chown", errno: errno, detail: path) }
    }
  }

  isolated deinit {
    Self.remove(path)
    Self.paths.remove(path)
  }

  /// Writes a file that only this user can read, and returns its path.
  public func write(_ bytes: [UInt8], _ name: String) throws(SystemError) -> String {
    let file = "\(path)/\(name)"
    try AtomicFile.writeTemporary(bytes, to: file)
    return file
  }

  /// Reads a file that a child left.
  public func read(_ name: String, limitBytes: Int) throws(SystemError) -> [UInt8] {
    try AtomicFile.readFile("\(path)/\(name)", limitBytes: limitBytes)
  }

  /// Removes all folders of this process: for one that ends.
  public static func removeAll() {
    for path in paths { remove(path) }
    paths = []
  }

  /// Removes folders that processes of this user, or of `owner`, have left when they were killed.
  public static func removeLeftovers(of owner: UInt32? = nil) {
    guard let folder = opendir(base) else { return }
    var found: [String] = []
    while let entry = readdir(folder) {
      let name = name(of: entry)
      if name.hasPrefix(prefix), name.utf8.count == prefix.utf8.count + suffixCount { found.append("\(base)/\(name)") }
    }
    closedir(folder)
    for path in found where !paths.contains(path) {
      var status = stat()
      guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
        status.st_uid == geteuid() || status.st_uid == owner, let lock = lockFolder(path)
      else { continue }
      remove(path)
      _ = consume lock
    }
  }

  private static var base: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

  /// A descriptor that holds the folder's lock; nil where another process has it, or the folder is gone.
  private static func lockFolder(_ path: String) -> FileDescriptor? {
    let raw = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard raw >= 0 else { return nil }
    let descriptor = FileDescriptor(owning: raw)
    var status = stat()
    guard flock(raw, LOCK_EX | LOCK_NB) == 0, fstat(raw, &status) == 0, status.st_nlink > 0 else { return nil }
    return descriptor
  }

  /// Children leave plain files and folders of them; what cannot be removed stays for the system to clean.
  private static func remove(_ path: String) {
    removeContents(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), depth: 0)
    rmdir(path)
  }

  /// By descriptors: a link that a child puts in a folder's place leads nowhere.
  private static func removeContents(_ raw: Int32, depth: Int) {
    guard raw >= 0 else { return }
    guard depth < depthLimit, let stream = fdopendir(raw) else {
      close(raw)
      return
    }
    while let entry = readdir(stream) {
      let name = name(of: entry)
      if name == "." || name == ".." || unlinkat(raw, name, 0) == 0 { continue }
      removeContents(openat(raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), depth: depth + 1)
      unlinkat(raw, name, AT_REMOVEDIR)
    }
    closedir(stream)
  }

  private static func name(of entry: UnsafeMutablePointer<dirent>) -> String {
    withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
  }
}
