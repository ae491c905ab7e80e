import CLinux
import Glibc
import Synchronization

/// Files that are replaced whole: a reader, or the next start after a crash, sees the old bytes or the new ones.
public nonisolated enum AtomicFile {
  /// Replaces or creates a file durably: temporary file in the same folder, fsync, rename, fsync of the folder.
  ///
  /// A symbolic link is followed and stays. A file that is replaced gives its mode, and its owner and group where this
  /// process may set them, to the new one. The temporary name begins with `.#`, as editors name theirs.
  /// Blocks for as long as the disk takes.
  ///
  /// - Parameter newFileMode: the mode of a file that did not exist, cut by the umask.
  /// - Throws: `SystemError` of the failed call (ENOENT, EACCES, ENOSPC, EROFS ...); the old file is then untouched,
  ///   unless it was the folder's fsync that failed: then the new bytes are there, but perhaps not for good.
  public static func write(
    _ bytes: [UInt8], to path: String, newFileMode: mode_t = 0o644
  ) throws(SystemError) {
    try checkRefusal(path)
    try replace(bytes, at: path, newFileMode: newFileMode)
    try synchronizeFolder(of: path)
  }

  /// Replaces or creates several files; each folder is synchronized once, after all its files. For the writes of many
  /// requests in one iteration. Ends at the first error; the files before it are replaced.
  public static func write(
    _ files: [(path: String, bytes: [UInt8])], newFileMode: mode_t = 0o644
  ) throws(SystemError) {
    var folders: Set<String> = []
    var paths: [String] = []
    for file in files {
      try checkRefusal(file.path)
      let target = try target(of: file.path)
      try replace(file.bytes, at: target, newFileMode: newFileMode)
      if folders.insert(split(target).folder).inserted { paths.append(target) }
    }
    for path in paths { try synchronizeFolder(of: path) }
  }

  private struct Refusal {
    var folder: String?
    var count = 0
  }

  private static let refusal = Mutex(Refusal())

  /// Refuses writes below a folder from here on, with EROFS: for a process that reads what another one owns.
  public static func refuseWrites(below folder: String) { refusal.withLock { $0.folder = folder + "/" } }

  /// How many writes were refused.
  public static var refusedWrites: Int { refusal.withLock { $0.count } }

  /// Asks whether a file may be written, before work that leaves traces elsewhere, such as a serial number that an
  /// authority has used up.
  ///
  /// - Throws: `SystemError` with EROFS where `refuseWrites` said so; it counts as a refused write.
  public static func requireWritable(_ path: String) throws(SystemError) { try checkRefusal(path) }

  private static func checkRefusal(_ path: String) throws(SystemError) {
    let isRefused = refusal.withLock { refusal in
      guard let folder = refusal.folder, path.hasPrefix(folder) else { return false }
      refusal.count += 1
      return true
    }
    if isRefused { throw SystemError(call: "write", errno: EROFS, detail: path) }
  }

  /// Reads a whole regular file: `RegularFile.read`.
  public static func readFile(_ path: String, limitBytes: Int) throws(SystemError) -> [UInt8] {
    try RegularFile.read(path, limitBytes: limitBytes)
  }

  /// Writes every byte.
  static func writeAll(_ bytes: [UInt8], to descriptor: Int32, detail: String) throws(SystemError) {
    var written = 0
    while written < bytes.count {
      let start = written
      written += try check("write", detail) {
        bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + start, bytes.count - start) }
      }
    }
  }

  private static func replace(
    _ bytes: [UInt8], at path: String, newFileMode: mode_t
  ) throws(SystemError) {
    let path = try target(of: path)
    let (folder, name) = split(path)
    var old = stat()
    let exists = lstat(path, &old) == 0
    if exists && clinux_s_isreg(old.st_mode) == 0 {
      throw SystemError(call: "rename", errno: clinux_s_isdir(old.st_mode) != 0 ? EISDIR : EINVAL, detail: path)
    }
    let file = try TemporaryFile(in: folder, like: name, mode: exists ? 0o600 : newFileMode)
    let raw = file.descriptor.rawValue
    do throws(SystemError) {
      try writeAll(bytes, to: raw, detail: file.path)
      if exists { try take(old, for: raw, file.path) }
      try check("fsync", file.path) { fsync(raw) }
      try check("rename", path) { rename(file.path, path) }
    } catch {
      // The error that is told is the first one; a temporary file that stays is ignored by the file monitor.
      unlink(file.path)
      throw error
    }
  }

  /// Owner first: chown clears the set-ID bits. A process that is not root cannot give files away, so EPERM leaves
  /// this process's own owner or group.
  private static func take(_ old: stat, for descriptor: Int32, _ path: String) throws(SystemError) {
    for (user, group) in [(old.st_uid, uid_t.max), (uid_t.max, old.st_gid)] {
      let result = fchown(descriptor, user, group)
      let code = errno
      if result == -1 && code != EPERM { throw SystemError(call: "fchown", errno: code, detail: path) }
    }
    try check("fchmod", path) { fchmod(descriptor, old.st_mode & 0o7777) }
  }

  /// The file that a path names after its last symbolic links: links are replaced by no write.
  private static func target(of path: String) throws(SystemError) -> String {
    var path = path
    // As many as the kernel follows.
    for _ in 0..<40 {
      var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
      let count = readlink(path, &buffer, buffer.count)
      let code = errno
      if count == -1 {
        // EINVAL: not a link. ENOENT: a file to be created.
        if code == EINVAL || code == ENOENT { return path }
        throw SystemError(call: "readlink", errno: code, detail: path)
      }
      let link = String(decoding: buffer[..<count], as: UTF8.self)
      path = link.utf8.first == UInt8(ascii: "/") ? link : "\(split(path).folder)/\(link)"
    }
    throw SystemError(call: "readlink", errno: ELOOP, detail: path)
  }

  private static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
    let folder = slash == path.startIndex ? "/" : String(path[..<slash])
    return (folder, String(path[path.utf8.index(after: slash)...]))
  }

  private static func synchronizeFolder(of path: String) throws(SystemError) {
    let name = split(try target(of: path)).folder
    let folder = try FileDescriptor.open(name, O_RDONLY | O_DIRECTORY)
    try check("fsync", name) { fsync(folder.rawValue) }
  }
}

/// A new file of a name that nothing else has, open for writing.
private nonisolated struct TemporaryFile: ~Copyable {
  let descriptor: FileDescriptor
  let path: String

  init(in folder: String, like name: String, mode: mode_t) throws(SystemError) {
    // 255 bytes are a name's limit; a cut name stays unique by its number.
    let stem = String(decoding: name.utf8.prefix(200), as: UTF8.self)
    while true {
      var chance: UInt64 = 0
      try check("getrandom") { clinux_getrandom(&chance, 8) }
      let candidate = "\(folder)/.#\(stem).\(String(chance, radix: 36))"
      let raw = Glibc.open(candidate, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
      let code = errno
      if raw >= 0 {
        descriptor = FileDescriptor(owning: raw)
        path = candidate
        return
      }
      if code != EEXIST && code != EINTR { throw SystemError(call: "open", errno: code, detail: candidate) }
    }
  }
}
