import CLinux
import Glibc

/// New contents of a file beside it, under a temporary name, until they take its place. What does not take it is removed.
final nonisolated class PendingFile {
  /// The path after its last symbolic links: links are replaced by no write.
  let target: String
  private let temporary: TemporaryFile
  private let replacing: FileVersion
  private let digest: FileDigest
  private var isInPlace = false

  private init(_ file: FileWrite, target: String, temporary: consuming TemporaryFile) {
    self.target = target
    self.temporary = temporary
    replacing = file.replacing
    digest = FileDigest(file.bytes)
  }

  deinit {
    // The error that is told is the first one; a temporary file that stays is removed by `removeLeftovers`.
    if !isInPlace { unlink(temporary.path) }
  }

  /// Open for writing, at the end.
  var descriptor: Int32 { temporary.descriptor.rawValue }

  /// The folder of `target`.
  var folder: String { Self.split(target).folder }

  // MARK: Writing

  /// Writes the contents and gives the file its mode and owner; nothing is on disk for good yet.
  static func write(_ file: FileWrite) throws(SystemError) -> PendingFile {
    let target = try target(of: file.path)
    var old = stat()
    let exists = lstat(target, &old) == 0
    if exists && clinux_s_isreg(old.st_mode) == 0 {
      throw SystemError(call: "rename", errno: clinux_s_isdir(old.st_mode) != 0 ? EISDIR : EINVAL, detail: target)
    }
    let isOpen = !exists && file.mode == .ordinary
    let temporary: TemporaryFile
    do throws(SystemError) {
      temporary = try TemporaryFile(in: split(target).folder, mode: isOpen ? 0o666 : 0o600)
    } catch {
      // Nobody but this file knows the temporary name: errors name the target.
      throw SystemError(call: error.call, errno: error.errno, detail: target, explanation: error.explanation)
    }
    let pending = PendingFile(file, target: target, temporary: temporary)
    let raw = pending.descriptor
    try AtomicFile.writeAll(file.bytes, to: raw, detail: target)
    if exists {
      try take(old, for: raw, target)
    } else if !isOpen {
      // The umask may have taken more away.
      try check("fchmod", target) { fchmod(raw, 0o600) }
    }
    return pending
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

  // MARK: Replacing

  /// Puts files whose contents are on disk in their places, if each place is as it was.
  ///
  /// - Returns: what the paths hold now.
  /// - Throws: `.changed` before anything is replaced; `.system` where a rename fails: those before it are done.
  static func replace(_ files: [PendingFile]) throws(FileWriteError) -> [FileVersion] {
    for file in files {
      let isPresent = try FileWriteError.wrap { () throws(SystemError) in
        try file.replacing.isPresent(at: file.target)
      }
      guard isPresent else { throw .changed(path: file.target) }
    }
    var versions: [FileVersion] = []
    for file in files { versions.append(try file.replace()) }
    return versions
  }

  private func replace() throws(FileWriteError) -> FileVersion {
    let raw = descriptor
    if replacing == .missing {
      let result = clinux_rename_new(temporary.path, target)
      let code = errno
      if result == -1 && code == EEXIST { throw .changed(path: target) }
      // A file system without such a rename.
      if result == -1 && (code == EINVAL || code == ENOSYS) {
        try rename()
      } else if result == -1 {
        throw .system(SystemError(call: "rename", errno: code, detail: target))
      }
    } else {
      try rename()
    }
    isInPlace = true
    return try FileWriteError.wrap { () throws(SystemError) in
      var status = stat()
      try check("fstat", target) { fstat(raw, &status) }
      return FileVersion(status: FileVersion.Status(status), digest: digest)
    }
  }

  private func rename() throws(FileWriteError) {
    try FileWriteError.wrap { () throws(SystemError) in
      try check("rename", target) { Glibc.rename(temporary.path, target) }
    }
  }
}
