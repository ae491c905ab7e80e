import CLinux
import Glibc
import Synchronization

/// Files that are replaced whole: a reader, or the next start after a crash, sees the old bytes or the new ones. A file
/// that has changed since its writer read it is not replaced.
public nonisolated enum AtomicFile {
  // MARK: Writing

  /// Replaces or creates files durably: temporary file in the same folder, fsync, a check that the file has not changed,
  /// rename, fsync of the folder.
  ///
  /// A symbolic link is followed and stays, unless the file's `followsLinks` refuses it. The new file gets the mode of the old one, and its owner and group where this
  /// process may set them. Blocks for as long as the disk takes: for starts, ends, and programs that do nothing else. The
  /// server writes by `Reactor.fileWriter` while it answers clients.
  ///
  /// - Returns: what the paths hold now.
  /// - Throws: `.changed` where a path holds something else than what was read; `.system` of the failed call (ENOENT,
  ///   EACCES, ENOSPC, EROFS ...). The old files are then untouched, unless it was a rename (those before it are
  ///   replaced) or a folder's fsync that failed: then the new bytes are there, but perhaps not for good.
  @discardableResult
  public static func write(_ files: [FileWrite]) throws(FileWriteError) -> [FileVersion] {
    try requireWritable(files)
    var pending: [PendingFile] = []
    for file in files {
      let new = try PendingFile(file)
      _ = try new.write(limitBytes: .max)
      pending.append(new)
    }
    try FileWriteError.wrap { () throws(SystemError) in
      for file in pending { try synchronize(file.descriptor, file.target) }
    }
    let versions = try PendingFile.replace(pending)
    try FileWriteError.wrap { () throws(SystemError) in
      for name in Set(pending.map(\.folder)).sorted() {
        let folder = try FileDescriptor.open(name, O_RDONLY | O_DIRECTORY)
        try synchronize(folder.rawValue, name)
      }
    }
    return versions
  }

  /// As `write(_:)`, of one file.
  @discardableResult
  public static func write(_ file: FileWrite) throws(FileWriteError) -> FileVersion { try write([file])[0] }

  private static func synchronize(_ descriptor: Int32, _ path: String) throws(SystemError) {
    try check("fsync", path) { fsync(descriptor) }
  }

  /// Writes every byte.
  static func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, detail: String) throws(SystemError) {
    var written = 0
    while written < bytes.count {
      let start = written
      written += try check("write", detail) {
        bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + start, bytes.count - start) }
      }
    }
  }

  /// Writes a file that is needed no longer than this process, mode 0600, without waiting for the disk.
  public static func writeTemporary(_ bytes: [UInt8], to path: String) throws(SystemError) {
    let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
    try check("fchmod", path) { fchmod(file.rawValue, 0o600) }
    try writeAll(bytes[...], to: file.rawValue, detail: path)
  }

  /// Makes a folder durably, mode 0777 less the umask. Blocks for as long as the disk takes.
  ///
  /// - Throws: `SystemError`; EEXIST where something has the name, EROFS where writes are refused.
  public static func makeFolder(_ path: String) throws(SystemError) {
    try requireWritable(path)
    try check("mkdir", path) { mkdir(path, 0o777) }
    let parent = PendingFile.split(path).folder
    let folder = try FileDescriptor.open(parent, O_RDONLY | O_DIRECTORY)
    try synchronize(folder.rawValue, parent)
  }

  /// Renames a file to a name that does not exist yet. Nothing is synchronized.
  ///
  /// - Throws: `SystemError` of rename; EEXIST where something has the name, EROFS where writes are refused.
  public static func move(_ path: String, to name: String) throws(SystemError) {
    try requireWritable(path)
    do throws(SystemError) {
      try check("rename", name) { clinux_rename_new(path, name) }
    } catch {
      // A file system without such a rename.
      guard error.errno == EINVAL || error.errno == ENOSYS else { throw error }
      if access(name, F_OK) == 0 { throw SystemError(call: "rename", errno: EEXIST, detail: name) }
      try check("rename", name) { rename(path, name) }
    }
  }

  // MARK: Refusing

  private struct Refusal {
    var folders: [String] = []
    var count = 0
  }

  private static let refusal = Mutex(Refusal())

  /// Refuses writes below a folder from here on, with EROFS: for a process that reads what another one owns.
  public static func refuseWrites(below folder: String) {
    refusal.withLock { $0.folders.append(folder + "/") }
  }

  /// How many writes were refused.
  public static var refusedWrites: Int { refusal.withLock { $0.count } }

  /// Asks whether a file may be written, before work that leaves traces elsewhere, such as a serial number that an
  /// authority has used up.
  ///
  /// - Throws: `SystemError` with EROFS where `refuseWrites` said so; it counts as a refused write.
  public static func requireWritable(_ path: String) throws(SystemError) {
    let isRefused = refusal.withLock { refusal in
      guard refusal.folders.contains(where: { path.hasPrefix($0) }) else { return false }
      refusal.count += 1
      return true
    }
    if isRefused { throw SystemError(call: "write", errno: EROFS, detail: path) }
  }

  static func requireWritable(_ files: [FileWrite]) throws(FileWriteError) {
    try FileWriteError.wrap { () throws(SystemError) in
      for file in files { try requireWritable(file.path) }
    }
  }

  // MARK: Reading

  /// Reads a whole regular file: `RegularFile.read`.
  public static func readFile(_ path: String, limitBytes: Int) throws(SystemError) -> [UInt8] {
    try RegularFile.read(path, limitBytes: limitBytes)
  }

  /// Reads a whole regular file that may be replaced afterwards.
  ///
  /// - Returns: its bytes, and the version that a later write has to name. If somebody writes to the file while it is
  ///   read, the version does not match, and the later write is refused.
  /// - Throws: as `RegularFile.read`.
  public static func readVersion(
    _ path: String, limitBytes: Int
  ) throws(SystemError) -> (bytes: [UInt8], version: FileVersion) {
    let (bytes, version, _) = try readSource(path, limitBytes: limitBytes)
    return (bytes, version)
  }

  /// As `readVersion`, with the owner and mode that the read file has, for a file that is made of it.
  public static func readSource(
    _ path: String, limitBytes: Int
  ) throws(SystemError) -> (bytes: [UInt8], version: FileVersion, mode: FileWrite.Mode) {
    let file = try RegularFile.open(path)
    let found = try RegularFile.status(of: file, path)
    let status = FileVersion.Status(found)
    let isSettled = status.isSettled
    let bytes = try RegularFile.read(file, path, limitBytes: limitBytes)
    return (
      bytes, FileVersion(status: status, digest: FileDigest(bytes), isToldByStatus: isSettled),
      .copied(user: found.st_uid, group: found.st_gid, permissions: found.st_mode & 0o777)
    )
  }

  /// What a path holds, for a write that does not depend on the old contents; `.missing` where there is nothing.
  ///
  /// - Throws: as `RegularFile.read`, but for ENOENT.
  public static func version(of path: String, limitBytes: Int) throws(SystemError) -> FileVersion {
    do throws(SystemError) {
      return try readVersion(path, limitBytes: limitBytes).version
    } catch {
      if error.errno == ENOENT { return .missing }
      throw error
    }
  }
}
