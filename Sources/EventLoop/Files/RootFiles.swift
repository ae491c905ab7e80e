import CLinux
import Glibc

/// What root does by path in folders of others, who may put a link in the place of whatever is there.
///
/// A daemon that starts as root opens its log in a folder of the user that it becomes. Of that user's making, a link would
/// have root write into, or give away, any file of the machine.
public nonisolated enum RootFiles {
  /// Opens a file as open(2) does. Root follows links in folders that root alone may write to, and no others.
  ///
  /// - Throws: `SystemError` of open or fstat; ELOOP for a link, EMLINK for a file with further names, either in a folder that
  ///   others may write to.
  public static func open(_ path: String, _ flags: Int32, mode: UInt32 = 0) throws(SystemError) -> FileDescriptor {
    guard geteuid() == 0 else { return try FileDescriptor.open(path, flags, mode: mode) }
    let names = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
    guard let last = names.last, !path.hasSuffix("/") else { return try FileDescriptor.open(path, flags, mode: mode) }
    var folder = try FileDescriptor.open(path.hasPrefix("/") ? "/" : ".", FileDescriptor.opensNothing | O_DIRECTORY)
    for name in names.dropLast() {
      let raw = try openAt(folder, name, FileDescriptor.opensNothing | O_DIRECTORY, 0, path)
      folder = FileDescriptor(owning: raw)
    }
    let isExposed = try isExposed(folder, path)
    let file = FileDescriptor(owning: try openAt(folder, last, flags, mode, path))
    let raw = file.rawValue
    var status = stat()
    try check("fstat", path) { fstat(raw, &status) }
    // A further name of another's file would do what a link does.
    if isExposed, clinux_s_isreg(status.st_mode) != 0, status.st_nlink > 1 {
      throw SystemError(
        call: "open", errno: EMLINK, detail: path,
        explanation: "it has another name, and others than root may write to its folder")
    }
    return file
  }

  /// Gives a file that this process has just made to somebody else: never what was put in its place meanwhile.
  ///
  /// - Parameter kind: S_IFSOCK or another kind that it has.
  /// - Throws: `SystemError` of open, fstat or fchownat; EEXIST for something else than was made.
  public static func give(_ path: String, kind: UInt32, to user: UInt32, group: UInt32) throws(SystemError) {
    let file = try FileDescriptor.open(path, FileDescriptor.opensNothing | O_NOFOLLOW)
    let raw = file.rawValue
    var status = stat()
    try check("fstat", path) { fstat(raw, &status) }
    guard status.st_mode & S_IFMT == kind, status.st_uid == geteuid(), kind == S_IFDIR || status.st_nlink == 1 else {
      throw SystemError(
        call: "chown", errno: EEXIST, detail: path, explanation: "something else was put in its place")
    }
    try check("chown", path) { clinux_chown_opened(raw, user, group) }
  }

  private static func openAt(
    _ folder: borrowing FileDescriptor, _ name: String, _ flags: Int32, _ mode: UInt32, _ path: String
  ) throws(SystemError) -> Int32 {
    let isExposed = try isExposed(folder, path)
    let raw = folder.rawValue
    do throws(SystemError) {
      return try check("open", path) { openat(raw, name, flags | O_CLOEXEC | (isExposed ? O_NOFOLLOW : 0), mode) }
    } catch {
      var status = stat()
      // A link is no folder, either.
      guard isExposed, error.errno == ELOOP || error.errno == ENOTDIR,
        fstatat(raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFLNK
      else { throw error }
      throw SystemError(
        call: "open", errno: ELOOP, detail: path,
        explanation: "\(name) is a symbolic link, and others than root may write to its folder")
    }
  }

  /// Whether others than root may put something into a folder.
  private static func isExposed(_ folder: borrowing FileDescriptor, _ path: String) throws(SystemError) -> Bool {
    let raw = folder.rawValue
    var status = stat()
    try check("fstat", path) { fstat(raw, &status) }
    return status.st_uid != 0 || status.st_mode & (S_IWGRP | S_IWOTH) != 0
  }
}
