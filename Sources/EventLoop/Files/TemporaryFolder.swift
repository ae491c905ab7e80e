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
  /// Times that a folder is read again while it is emptied: each takes one of the folders within each other away.
  private static let passLimit = 1 << 20
  /// What folders are called that are moved to be removed; a number follows.
  private static let movedPrefix = "bcfg2-moved-"
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
      try RootFiles.give(path, kind: S_IFDIR, to: owner, group: group ?? owner)
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

  private static var base: String {
    guard let folder = getenv("TMPDIR").map({ String(cString: $0) }), !folder.isEmpty else { return "/tmp" }
    return folder
  }

  /// A descriptor that holds the folder's lock; nil where another process has it, or the folder is gone.
  private static func lockFolder(_ path: String) -> FileDescriptor? {
    let raw = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard raw >= 0 else { return nil }
    let descriptor = FileDescriptor(owning: raw)
    var status = stat()
    guard flock(raw, LOCK_EX | LOCK_NB) == 0, fstat(raw, &status) == 0, status.st_nlink > 0 else { return nil }
    return descriptor
  }

  /// What cannot be removed stays for the system to clean.
  private static func remove(_ path: String) {
    removeContents(path)
    rmdir(path)
  }

  /// Empties a folder, whatever names and however many folders within each other a child has left there, with few descriptors:
  /// folders within a folder are moved to the top before it is removed. By descriptors: a link that a child puts in a folder's
  /// place leads nowhere.
  private static func removeContents(_ path: String) {
    guard let top = Listing(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) else { return }
    var moved = 0
    for _ in 0..<passLimit {
      var isEmptier = false
      top.visit { name in
        if unlinkat(top.raw, name, 0) == 0 {
          isEmptier = true
          return
        }
        if let folder = Listing(openFolder(name, in: top.raw)) {
          folder.visit { inner in
            if unlinkat(folder.raw, inner, 0) == 0 { return }
            // Only its owner may move a folder that nobody may write to.
            if renameat(folder.raw, inner, top.raw, "\(movedPrefix)\(moved)") != 0, errno == EACCES {
              fchmodat(folder.raw, inner, 0o700, AT_SYMLINK_NOFOLLOW)
              renameat(folder.raw, inner, top.raw, "\(movedPrefix)\(moved)")
            }
            moved += 1
          }
        }
        if unlinkat(top.raw, name, AT_REMOVEDIR) == 0 { isEmptier = true }
      }
      if !isEmptier { return }
    }
  }

  /// Opens a folder, which its owner may have closed to himself.
  private static func openFolder(_ name: UnsafePointer<CChar>, in folder: Int32) -> Int32 {
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    let raw = openat(folder, name, flags)
    guard raw < 0, errno == EACCES, fchmodat(folder, name, 0o700, AT_SYMLINK_NOFOLLOW) == 0 else { return raw }
    return openat(folder, name, flags)
  }

  /// The names in an open folder, as bytes: they need not be text.
  private final class Listing {
    let raw: Int32
    private let stream: OpaquePointer

    /// - Parameter raw: closed with this.
    init?(_ raw: Int32) {
      guard raw >= 0 else { return nil }
      guard let stream = fdopendir(raw) else {
        close(raw)
        return nil
      }
      self.raw = raw
      self.stream = stream
      // Its owner may have forbidden itself to write to it.
      fchmod(raw, 0o700)
    }

    isolated deinit { closedir(stream) }

    /// - Parameter body: called with each name from the start on, but for `.` and `..`.
    func visit(_ body: (UnsafePointer<CChar>) -> Void) {
      rewinddir(stream)
      while let entry = readdir(stream) {
        guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return }
        let name = (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self)
        if strcmp(name, ".") != 0, strcmp(name, "..") != 0 { body(name) }
      }
    }
  }

  private static func name(of entry: UnsafeMutablePointer<dirent>) -> String {
    withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
  }
}
