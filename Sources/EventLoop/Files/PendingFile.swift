import CLinux
import Glibc

/// How far the contents of a file are written.
private nonisolated enum NewContents {
  case whole([UInt8], written: Int)
  case changed(ChangedCopy)

  /// nil where bytes were copied unread.
  var digest: FileDigest? {
    switch self {
    case .whole(let bytes, _): FileDigest(bytes)
    case .changed: nil
    }
  }
}

/// New contents of a file in a temporary file beside it, which is renamed into its place, or removed.
final nonisolated class PendingFile {
  /// The path with symbolic links followed: a write does not replace links.
  let target: String
  private let temporary: TemporaryFile
  private let replacing: FileVersion
  /// What is replaced; nil for a new file.
  private let old: stat?
  private let mode: FileWrite.Mode
  private var contents: NewContents
  /// The time of its last change, where that is one of our own: `stampOwnTime`.
  private var ownTime: Int64?
  private(set) var isWritten = false
  private var isInPlace = false

  /// Makes the temporary file, empty.
  ///
  /// - Throws: `.changed` where a file that is to be changed in parts is another one by now.
  init(_ file: FileWrite) throws(FileWriteError) {
    do throws(SystemError) {
      target = file.followsLinks ? try Self.target(of: file.path) : file.path
      var old = stat()
      let exists = lstat(target, &old) == 0
      if exists && old.st_mode & S_IFMT == S_IFLNK {
        throw SystemError(call: "rename", errno: ELOOP, detail: target, explanation: "it is a symbolic link")
      }
      if exists && clinux_s_isreg(old.st_mode) == 0 {
        throw SystemError(call: "rename", errno: clinux_s_isdir(old.st_mode) != 0 ? EISDIR : EINVAL, detail: target)
      }
      self.old = exists ? old : nil
    } catch {
      throw .system(error)
    }
    replacing = file.replacing
    mode = file.mode
    switch file.contents {
    case .bytes(let bytes): contents = .whole(bytes, written: 0)
    case .changes(let changes): contents = .changed(try ChangedCopy(of: target, being: file.replacing, changes))
    }
    let isOpen = old == nil && mode == .ordinary
    do throws(SystemError) {
      // Last: what is made here is removed by `deinit`.
      temporary = try TemporaryFile(in: Self.split(target).folder, mode: isOpen ? 0o666 : 0o600)
    } catch {
      // Nobody but this file knows the temporary name: errors name the target.
      throw .system(
        SystemError(call: error.call, errno: error.errno, detail: target, explanation: error.explanation))
    }
  }

  deinit {
    // Only the first error is reported; `removeLeftovers` removes a temporary file that stays.
    if !isInPlace { unlink(temporary.path) }
  }

  /// Open for writing, at the end.
  var descriptor: Int32 { temporary.descriptor.rawValue }

  /// The folder of `target`.
  var folder: String { Self.split(target).folder }

  // MARK: Writing

  /// Writes some of the contents, and with the last of them the file's mode and owner; nothing is on disk for good yet.
  ///
  /// - Returns: how many bytes.
  func write(limitBytes: Int) throws(FileWriteError) -> Int {
    let count: Int
    switch contents {
    case .whole(let bytes, let written):
      count = min(bytes.count - written, limitBytes)
      let raw = descriptor
      try FileWriteError.wrap { () throws(SystemError) in
        try AtomicFile.writeAll(bytes[written..<written + count], to: raw, detail: target)
      }
      contents = .whole(bytes, written: written + count)
      isWritten = written + count == bytes.count
    case .changed(let copy):
      count = try copy.write(to: descriptor, limitBytes: limitBytes, detail: target)
      isWritten = copy.isComplete
    }
    if isWritten { try FileWriteError.wrap { () throws(SystemError) in try setAttributes() } }
    return count
  }

  private func setAttributes() throws(SystemError) {
    let raw = descriptor
    if let old {
      // New contents do not get the power that set-ID bits gave to the old ones.
      try Self.setAttributes(raw, old.st_uid, old.st_gid, old.st_mode & 0o777, target)
    } else {
      switch mode {
      case .ordinary: break
      // The umask may have taken more away.
      case .secret: try check("fchmod", target) { fchmod(raw, 0o600) }
      case .copied(let user, let group, let permissions):
        try Self.setAttributes(raw, user, group, permissions & 0o777, target)
      }
    }
    if case .changed = contents { try stampOwnTime() }
  }

  /// UTIME_OMIT of sys/stat.h.
  private static let leftAsItIs = (1 << 30) - 2

  /// Sets a modification time between two ticks of the kernel's clock, which the kernel itself never stamps. So an edit by
  /// somebody else shows even within the same tick, and the file need not be read to tell that it is ours.
  private func stampOwnTime() throws(SystemError) {
    var (now, tick) = (timespec(), timespec())
    clock_gettime(CLOCK_REALTIME_COARSE, &tick)
    clock_gettime(CLOCK_REALTIME, &now)
    if FileVersion.Status.nanoseconds(now) == FileVersion.Status.nanoseconds(tick) { now.tv_nsec ^= 1 }
    var times = [timespec(tv_sec: 0, tv_nsec: Self.leftAsItIs), now]
    let raw = descriptor
    try check("futimens", target) { futimens(raw, &times) }
    ownTime = FileVersion.Status.nanoseconds(now)
  }

  /// Sets owner, group and mode of another file. Owner first: chown clears the set-ID bits. Only root can give files away,
  /// so that EPERM leaves this process's own owner or group.
  private static func setAttributes(
    _ descriptor: Int32, _ user: uid_t, _ group: gid_t, _ permissions: mode_t, _ path: String
  ) throws(SystemError) {
    for (user, group) in [(user, uid_t.max), (gid_t.max, group)] {
      let result = fchown(descriptor, user, group)
      let code = errno
      if result == -1 && code != EPERM { throw SystemError(call: "fchown", errno: code, detail: path) }
    }
    try check("fchmod", path) { fchmod(descriptor, permissions) }
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

  static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
    let folder = slash == path.startIndex ? "/" : String(path[..<slash])
    return (folder, String(path[path.utf8.index(after: slash)...]))
  }

  // MARK: Replacing

  /// Renames files whose contents are on disk into their places, if none of these has changed.
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
      let written = FileVersion.Status(status)
      // A file system that keeps no nanoseconds has given it another time.
      let isToldByStatus = ownTime != nil && written.modified == ownTime
      return FileVersion(status: written, digest: contents.digest, isToldByStatus: isToldByStatus)
    }
  }

  private func rename() throws(FileWriteError) {
    try FileWriteError.wrap { () throws(SystemError) in
      try check("rename", target) { Glibc.rename(temporary.path, target) }
    }
  }
}
