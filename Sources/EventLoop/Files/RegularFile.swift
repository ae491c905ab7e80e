import CLinux
import Glibc

extension FileDescriptor {
  /// O_PATH: the descriptor stands for a file that is not opened.
  public nonisolated static let opensNothing: Int32 = CLINUX_O_PATH
}

/// Files that an administrator names, or that lie in a folder: read where they are regular files and refused where not.
///
/// A FIFO would be waited for, a device may do things when it is opened, and a socket cannot be opened at all. So
/// everything that is read is opened here: asked for its kind before it is opened, opened without waiting, and asked again.
public nonisolated enum RegularFile {
  /// Opens a regular file for reading.
  ///
  /// - Throws: `SystemError` of stat or open; EISDIR for a folder, EINVAL for anything else that is no file, each with a
  ///   reason that says what it is.
  public static func open(_ path: String) throws(SystemError) -> FileDescriptor {
    var status = stat()
    try check("open", path) { stat(path, &status) }
    try require(mode: status.st_mode, path)
    let file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    try check("fstat", path) { fstat(file.rawValue, &status) }
    try require(mode: status.st_mode, path)
    return file
  }

  /// Reads a whole regular file.
  ///
  /// - Throws: `SystemError` of `open` or read; EFBIG for more than `limitBytes` bytes.
  public static func read(_ path: String, limitBytes: Int) throws(SystemError) -> [UInt8] {
    try read(try open(path), path, limitBytes: limitBytes)
  }

  /// What fstat(2) tells of an open file.
  static func status(of file: borrowing FileDescriptor, _ path: String) throws(SystemError) -> stat {
    var status = stat()
    let raw = file.rawValue
    try check("fstat", path) { fstat(raw, &status) }
    return status
  }

  /// Reads a file that `open` has opened, from its start to its end.
  public static func read(
    _ file: borrowing FileDescriptor, _ path: String, limitBytes: Int
  ) throws(SystemError) -> [UInt8] {
    let status = try status(of: file, path)
    let raw = file.rawValue
    if status.st_size > limitBytes { throw tooLarge(path, limitBytes) }
    // One byte more than the size, to see the end with the first read; a file that grows meanwhile is read on.
    var bytes: [UInt8] = []
    var room = min(Int(status.st_size), limitBytes) + 1
    while true {
      var failure: SystemError?
      let part = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        do throws(SystemError) {
          count = try check("read", path) { Glibc.read(raw, buffer.baseAddress, room) }
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      if part.isEmpty { return bytes }
      if bytes.isEmpty { bytes = part } else { bytes += part }
      if bytes.count > limitBytes { throw tooLarge(path, limitBytes) }
      room = min(65536, limitBytes - bytes.count + 1)
    }
  }

  /// Reads a part of a file that `open` has opened.
  ///
  /// - Throws: `SystemError` of pread; ENODATA for a file that ends before the part does.
  public static func read(
    _ file: borrowing FileDescriptor, _ path: String, range: Range<Int>
  ) throws(SystemError) -> [UInt8] {
    let raw = file.rawValue
    var bytes = [UInt8](repeating: 0, count: range.count)
    var have = 0
    while have < range.count {
      let start = have
      let count = try check("pread", path) {
        bytes.withUnsafeMutableBytes {
          pread(raw, $0.baseAddress! + start, range.count - start, off_t(range.lowerBound + start))
        }
      }
      if count == 0 { throw SystemError(call: "pread", errno: ENODATA, detail: path, explanation: "it ends before") }
      have += count
    }
    return bytes
  }

  /// Refuses what is no regular file.
  ///
  /// - Throws: `SystemError` with EISDIR for a folder, else with EINVAL.
  public static func require(mode: UInt32, _ path: String) throws(SystemError) {
    if clinux_s_isreg(mode) != 0 { return }
    throw SystemError(
      call: "open", errno: clinux_s_isdir(mode) != 0 ? EISDIR : EINVAL, detail: path,
      explanation: "\(kind(mode)), not a regular file")
  }

  /// What a file of this mode is, in words.
  static func kind(_ mode: mode_t) -> String {
    switch mode & S_IFMT {
    case S_IFREG: "a regular file"
    case S_IFDIR: "a folder"
    case S_IFLNK: "a symbolic link"
    case S_IFIFO: "a FIFO"
    case S_IFSOCK: "a socket"
    case S_IFCHR: "a character device"
    case S_IFBLK: "a block device"
    default: "a file of an unknown kind"
    }
  }

  private static func tooLarge(_ path: String, _ limitBytes: Int) -> SystemError {
    SystemError(call: "read", errno: EFBIG, detail: path, explanation: "more than \(limitBytes) bytes")
  }
}
