package import EventLoop
import Glibc

/// Device and inode of a file.
nonisolated struct FileIdentity: Hashable, Sendable {
  let device: UInt
  let inode: UInt

  init(_ status: stat) {
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
  }
}

/// The state of a file when its handler read it, to detect changes.
nonisolated struct FileState: Sendable {
  /// The kernel stamps times once per tick, 10 ms at most: an edit within a tick of the last one can leave stat(2)
  /// unchanged. Files younger than this are compared by contents.
  private static let youngNanoseconds: Int64 = 50_000_000
  /// Most bytes hashed for a comparison; larger young files count as changed.
  private static let hashedBytes = 1 << 20

  let identity: FileIdentity
  private let size: Int64
  private let modified: Int64
  private let statusChanged: Int64
  private let mode: UInt32
  private let owner: UInt32
  private let group: UInt32
  /// A hash of the contents, while stat(2) may hide an edit.
  private let youngContents: Int?
  private let isYoung: Bool

  /// - Parameter path: read only if the file is young.
  init(_ status: stat, path: String) {
    identity = FileIdentity(status)
    size = Int64(status.st_size)
    modified = FileState.nanoseconds(status.st_mtim)
    statusChanged = FileState.nanoseconds(status.st_ctim)
    mode = UInt32(status.st_mode)
    owner = UInt32(status.st_uid)
    group = UInt32(status.st_gid)
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    isYoung = FileState.nanoseconds(now) - statusChanged < FileState.youngNanoseconds
    youngContents = isYoung ? FileState.contentHash(path) : nil
  }

  /// Whether contents, type, mode or owner may differ. Ignores new hard links to the file.
  func differs(from old: FileState) -> Bool {
    identity != old.identity || size != old.size || modified != old.modified || mode != old.mode
      || owner != old.owner || group != old.group
  }

  /// Whether any field of stat(2) differs, or, where that is not conclusive, the contents.
  func differsStrictly(from old: FileState, path: String) -> Bool {
    if differs(from: old) || statusChanged != old.statusChanged { return true }
    guard old.isYoung else { return false }
    guard let before = old.youngContents, let now = youngContents ?? FileState.contentHash(path) else { return true }
    return before != now
  }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// nil for a file that is unreadable or too large.
  private static func contentHash(_ path: String) -> Int? {
    guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY) else { return nil }
    return withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 16) { buffer -> Int? in
      var hasher = Hasher()
      var total = 0
      while total <= hashedBytes {
        let count = read(file.rawValue, buffer.baseAddress, buffer.count)
        if count == -1 && errno == EINTR { continue }
        if count < 0 { return nil }
        if count == 0 { return hasher.finalize() }
        hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        total += count
      }
      return nil
    }
  }
}

/// Queries of the file system that never wait for another process.
package nonisolated enum FileSystem {
  /// Calls stat(2) or lstat(2), with errno's reason on failure.
  static func inspect(_ path: String, followsLinks: Bool) -> Result<stat, SystemError> {
    var status = stat()
    let result = followsLinks ? stat(path, &status) : lstat(path, &status)
    let code = errno
    return result == 0 ? .success(status) : .failure(SystemError(call: "stat", errno: code, detail: path))
  }

  /// Calls stat(2); nil on failure.
  static func status(_ path: String) -> stat? {
    var status = stat()
    return stat(path, &status) == 0 ? status : nil
  }

  /// The target of a symbolic link; nil on failure.
  static func linkTarget(_ path: String) -> String? {
    withUnsafeTemporaryAllocation(byteCount: Int(PATH_MAX), alignment: 1) { buffer -> String? in
      let count = readlink(path, buffer.baseAddress!.assumingMemoryBound(to: CChar.self), buffer.count)
      return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }
  }

  /// The names in a folder except `.` and `..`, unordered, or errno's reason.
  package static func names(in folder: String) -> Result<[[UInt8]], SystemError> {
    guard let directory = opendir(folder) else {
      return .failure(SystemError(call: "opendir", errno: errno, detail: folder))
    }
    defer { closedir(directory) }
    var names: [[UInt8]] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else {
        let code = errno
        return code == 0 ? .success(names) : .failure(SystemError(call: "readdir", errno: code, detail: folder))
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { [UInt8]($0.prefix { $0 != 0 }) }
      if name != [UInt8(ascii: ".")] && name != [UInt8(ascii: "."), UInt8(ascii: ".")] { names.append(name) }
    }
  }

  /// Whether a name is in a folder.
  enum Presence: Equatable {
    case present
    /// The folder exists without the name.
    case absent
    /// The path now leads to another folder, or none.
    case otherFolder
    /// The system call failed.
    case unknown(errno: Int32)
  }

  /// Checks for a name in a folder known by identity, even if its path changes meanwhile.
  static func presence(of name: String, in folder: String, being identity: FileIdentity) -> Presence {
    let file: FileDescriptor
    do throws(SystemError) {
      // O_PATH needs no permission to read the folder.
      file = try FileDescriptor.open(folder, 0o10000000 | O_DIRECTORY)
    } catch {
      return error.errno == ENOENT || error.errno == ENOTDIR ? .otherFolder : .unknown(errno: error.errno)
    }
    var status = stat()
    guard fstat(file.rawValue, &status) == 0, FileIdentity(status) == identity else { return .otherFolder }
    let result = fstatat(file.rawValue, name, &status, AT_SYMLINK_NOFOLLOW)
    let code = errno
    if result == 0 { return .present }
    return code == ENOENT ? .absent : .unknown(errno: code)
  }

  /// The errno of reading a file's contents; nil if they are readable.
  static func readError(_ path: String) -> Int32? {
    do throws(SystemError) {
      let file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
      var byte: UInt8 = 0
      let count = pread(file.rawValue, &byte, 1, 0)
      let code = errno
      return count < 0 ? code : nil
    } catch {
      return error.errno
    }
  }

  static func type(_ status: stat) -> mode_t { status.st_mode & S_IFMT }

  /// Whether some process has a regular file open for writing.
  ///
  /// Takes a read lease, which the kernel refuses while there is a writer (fcntl(2), F_SETLEASE), and releases it at
  /// once. nil if leases are not permitted: another user's file without CAP_LEASE, or a file system without leases.
  static func isBeingWritten(_ path: String) -> Bool? {
    guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY) else { return nil }
    // Numbers of fcntl.h that need _GNU_SOURCE. A writer that opens the file meanwhile waits until it is closed here,
    // and the kernel signals us, by default with a signal that ends the process: select one that is ignored by default.
    let (setSignal, setLease): (Int32, Int32) = (10, 1024)
    guard fcntl(file.rawValue, setSignal, SIGURG) == 0 else { return nil }
    if fcntl(file.rawValue, setLease, F_RDLCK) == 0 { return false }
    return errno == EAGAIN ? true : nil
  }
}
