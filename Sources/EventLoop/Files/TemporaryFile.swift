import CLinux
import Glibc

/// A new file of a name that nothing else has, open for writing.
///
/// The name says whose it is: `.#atomic-write-`, and 13 digits or letters. A lock is held
/// on the file for as long as its writer lives, so that what a killed writer left can be told and removed.
nonisolated struct TemporaryFile: ~Copyable {
  /// How the names of temporary files begin.
  static let prefix = ".#atomic-write-"

  let descriptor: FileDescriptor
  let path: String

  /// - Parameter mode: cut by the umask.
  init(in folder: String, mode: mode_t) throws(SystemError) {
    while true {
      var chance: UInt64 = 0
      try check("getrandom") { clinux_getrandom(&chance, 8) }
      let digits = String(chance, radix: 36)
      let candidate = "\(folder)/\(Self.prefix)\(String(repeating: "0", count: 13 - digits.utf8.count))\(digits)"
      let raw = Glibc.open(candidate, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
      let code = errno
      if raw >= 0 {
        // A file system without locks: what is left there stays.
        _ = flock(raw, LOCK_EX | LOCK_NB)
        descriptor = FileDescriptor(owning: raw)
        path = candidate
        return
      }
      if code != EEXIST && code != EINTR { throw SystemError(call: "open", errno: code, detail: candidate) }
    }
  }

  /// Whether a file of this name can only be a temporary one of ours.
  static func isName(_ name: String) -> Bool {
    guard name.hasPrefix(prefix) else { return false }
    let rest = name.utf8.dropFirst(prefix.utf8.count)
    return rest.count == 13
      && rest.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
      }
  }
}

extension AtomicFile {
  /// Whether a name is one of the temporary files of `write`: nobody else is to look at them.
  public static func isTemporaryName(_ name: String) -> Bool { TemporaryFile.isName(name) }

  /// Removes the temporary files that writers who were killed have left below a folder. Files of a writer that lives,
  /// of another user, and all that is named otherwise stay.
  ///
  /// - Returns: paths of the removed files.
  public static func removeLeftovers(below folder: String) -> [String] {
    var removed: [String] = []
    removeLeftovers(in: folder, depth: 0, &removed)
    return removed
  }

  /// Folders in folders that are looked at.
  private static let depthLimit = 64
  /// Folders of version control, which have many files, none of them ours.
  private static let skipped: Set<String> = [".git", ".svn", ".hg", ".bzr", "_darcs", "CVS"]

  private static func removeLeftovers(in folder: String, depth: Int, _ removed: inout [String]) {
    guard depth < depthLimit, let stream = opendir(folder) else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name == "." || name == ".." || skipped.contains(name) { continue }
      let path = "\(folder)/\(name)"
      var status = stat()
      switch Int(entry.pointee.d_type) {
      case Int(DT_DIR): removeLeftovers(in: path, depth: depth + 1, &removed)
      case Int(DT_UNKNOWN) where lstat(path, &status) == 0 && clinux_s_isdir(status.st_mode) != 0:
        removeLeftovers(in: path, depth: depth + 1, &removed)
      default: if TemporaryFile.isName(name), removeLeftover(path) { removed.append(path) }
      }
    }
  }

  private static func removeLeftover(_ path: String) -> Bool {
    guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else { return false }
    var status = stat()
    guard fstat(file.rawValue, &status) == 0, clinux_s_isreg(status.st_mode) != 0, status.st_uid == geteuid(),
      flock(file.rawValue, LOCK_EX | LOCK_NB) == 0
    else { return false }
    return unlink(path) == 0
  }
}
