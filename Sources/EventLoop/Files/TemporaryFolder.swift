import Glibc

/// A folder of its own for the files of one child process, mode 0700, removed with what is in it.
@MainActor public final class TemporaryFolder {
  /// Absolute path.
  public let path: String

  /// - Throws: `SystemError` of mkdtemp. `TMPDIR` is honoured, /tmp otherwise.
  public init() throws(SystemError) {
    let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/bcfg2-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw SystemError(call: "mkdtemp", errno: errno, detail: base) }
    path = String(cString: made)
  }

  /// A folder that belongs to another user, for a child that runs as that one; nil: this process's.
  public convenience init(owner: UInt32?, group: UInt32?) throws(SystemError) {
    try self.init()
    if let owner, owner != geteuid() {
      if chown(path, owner, group ?? owner) != 0 { throw SystemError(call: "chown", errno: errno, detail: path) }
    }
  }

  isolated deinit { Self.remove(path) }

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

  /// Children leave plain files and folders of them; what cannot be removed stays for the system to clean.
  private static func remove(_ path: String) {
    if let stream = opendir(path) {
      while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name == "." || name == ".." { continue }
        let child = "\(path)/\(name)"
        if entry.pointee.d_type == UInt8(DT_DIR) { remove(child) } else { unlink(child) }
      }
      closedir(stream)
    }
    rmdir(path)
  }
}
