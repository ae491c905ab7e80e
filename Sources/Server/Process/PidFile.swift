public import EventLoop
import Formats
public import Glibc

/// Why a pid file could not be acquired.
public nonisolated enum PidFileError: Error, Sendable, CustomStringConvertible {
  /// A running server holds it; nil if its number could not be read.
  case held(path: String, by: pid_t?)
  /// A system call failed.
  case system(SystemError)

  public var description: String {
    switch self {
    case .held(let path, let process):
      "Failed to acquire lock on \(path)" + (process.map { ": process \($0) is running" } ?? "")
    case .system(let error): "\(error)"
    }
  }
}

/// The file of `-D`: one line with the number of the running server, as python-daemon's PIDLockFile writes it.
///
/// It is created exclusively and locked with fcntl while the server lives, so that of two concurrent starts only one
/// wins. A Python server does not lock it: a file without a lock counts as held if its process runs the program
/// `bcfg2-server` and was started before the file was written. Otherwise the number was reused, or a crash left the
/// file, and it is replaced. fcntl's locks do not survive fork: acquire it in the process that stays.
public nonisolated final class PidFile {
  /// Path of the file.
  public let path: String
  /// The number of a crashed server in the file, if it was replaced; 0 if there was none.
  public let replaced: pid_t?
  /// The log message about a replaced file, without a final period; nil if there was none.
  public var replacement: String? {
    switch replaced {
    case nil: nil
    case 0?: "\(path) existed without a process number; it is replaced"
    case let process?:
      "\(path) was left by a crashed server: process \(process) is no running Bcfg2 server; it is replaced"
    }
  }
  /// Most bytes of a pid file, with room for those of other programs.
  private static let limitBytes = 256
  private var descriptor: Int32
  private let owner: pid_t

  private init(path: String, descriptor: Int32, replaced: pid_t?) {
    self.path = path
    self.descriptor = descriptor
    self.replaced = replaced
    owner = getpid()
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Creates or takes over the file and writes this process's number.
  ///
  /// - Parameter user: owner of the file, so that it can be removed after privileges are dropped; nil: unchanged.
  public static func acquire(_ path: String, user: uid_t? = nil, group: gid_t? = nil) throws(PidFileError) -> PidFile {
    // A file can vanish between two steps when another server stops: start again then.
    for _ in 0..<10 {
      if let file = try attempt(path, user: user, group: group) { return file }
    }
    throw .held(path: path, by: nil)
  }

  /// The server that holds the file; nil if a start would acquire it. Creates and changes nothing: it checks before the
  /// fork, while errors can go to the terminal. The holder must not call it: closing any descriptor of the file
  /// releases the lock.
  public static func holder(of path: String) -> pid_t? {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var lock = flock()
    lock.l_type = Int16(F_WRLCK)
    if fcntl(descriptor, F_GETLK, &lock) == 0, lock.l_type != Int16(F_UNLCK) { return lock.l_pid }
    guard let process = read(descriptor), isServer(process, descriptor) else { return nil }
    return process
  }

  /// Removes the file if this process still owns it. If the folder does not allow that (privileges were dropped),
  /// empties it instead: an empty one counts as left behind.
  public func remove() {
    guard descriptor >= 0, owner == getpid() else { return }
    if Self.isSame(descriptor, path), unlink(path) != 0 { _ = ftruncate(descriptor, 0) }
    close(descriptor)
    descriptor = -1
  }

  /// One attempt; nil if the file changed meanwhile.
  private static func attempt(_ path: String, user: uid_t?, group: gid_t?) throws(PidFileError) -> PidFile? {
    let flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
    var replaced: pid_t?
    var descriptor = open(path, flags | O_CREAT | O_EXCL, 0o644)
    let isNew = descriptor >= 0
    if !isNew {
      let code = errno
      guard code == EEXIST else { throw .system(SystemError(call: "open", errno: code, detail: path)) }
      descriptor = open(path, flags)
      if descriptor < 0 {
        let code = errno
        if code == ENOENT { return nil }
        throw .system(
          SystemError(
            call: "open", errno: code, detail: path,
            explanation: code == ELOOP
              ? "a symbolic link, which a pid file must not be"
              : code == EISDIR ? "a folder; -D wants the path of a file in it" : nil))
      }
    }
    var isKept = false
    defer { if !isKept { close(descriptor) } }
    var status = stat()
    do throws(SystemError) {
      if fstat(descriptor, &status) != 0 { throw SystemError(call: "fstat", errno: errno, detail: path) }
      try RegularFile.require(mode: status.st_mode, path)
      // The path may be that of another file: overwriting it would lose its contents.
      if !isOurs(descriptor, status) {
        throw SystemError(
          call: "open", errno: EINVAL, detail: path,
          explanation: "it holds something other than the number of a process; name another file, or remove this one")
      }
    } catch {
      throw .system(error)
    }
    var lock = flock()
    lock.l_type = Int16(F_WRLCK)
    if fcntl(descriptor, F_SETLK, &lock) != 0 {
      let code = errno
      guard code == EACCES || code == EAGAIN else {
        throw .system(SystemError(call: "fcntl", errno: code, detail: path))
      }
      throw .held(path: path, by: read(descriptor))
    }
    guard isSame(descriptor, path) else { return nil }
    if !isNew {
      let process = read(descriptor)
      if let process, isServer(process, descriptor) { throw .held(path: path, by: process) }
      replaced = process ?? 0
    }
    let line = Array("\(getpid())\n".utf8)
    guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, line, line.count, 0) == line.count else {
      let code = errno
      if isNew { unlink(path) }
      throw .system(SystemError(call: "write", errno: code, detail: path))
    }
    if let user, let group, geteuid() == 0, fchown(descriptor, user, group) != 0 {
      throw .system(SystemError(call: "fchown", errno: errno, detail: path))
    }
    isKept = true
    return PidFile(path: path, descriptor: descriptor, replaced: replaced)
  }

  private static func isSame(_ descriptor: Int32, _ path: String) -> Bool {
    var open = stat()
    var named = stat()
    return fstat(descriptor, &open) == 0 && lstat(path, &named) == 0 && open.st_ino == named.st_ino
      && open.st_dev == named.st_dev
  }

  /// Whether a file is empty, as a server that had no time to write leaves it, or starts with a line that is a number.
  private static func isOurs(_ descriptor: Int32, _ status: stat) -> Bool {
    var bytes = [UInt8](repeating: 0, count: limitBytes)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count >= 0, status.st_size <= limitBytes else { return false }
    return bytes[..<count].prefix { $0 != 0x0A }.allSatisfy { $0.isSpace || $0 == 0x2D || (0x30...0x39).contains($0) }
  }

  /// The number in the first line, without white space.
  private static func read(_ descriptor: Int32) -> pid_t? {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return nil }
    let line = bytes[..<count].prefix { $0 != 0x0A }
    guard let process = pid_t(String(decoding: line.stripped, as: UTF8.self)), process > 0 else { return nil }
    return process
  }

  /// Whether this number is a running Bcfg2 server that wrote the file.
  private static func isServer(_ process: pid_t, _ descriptor: Int32) -> Bool {
    if process == getpid() { return false }
    if kill(process, 0) != 0, errno == ESRCH { return false }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return true }
    switch ProcessImage.inspect(process) {
    case .gone: return false
    // A process that cannot be inspected counts as a server.
    case .hidden: return true
    case .running(let image):
      return image.isServer && image.started <= Int64(status.st_mtim.tv_sec) + ProcessImage.slackSeconds
    }
  }
}
