public import EventLoop
import Formats
public import Glibc

/// Why a pid file could not be had.
public nonisolated enum PidFileError: Error, Sendable, CustomStringConvertible {
  /// A running server has it; nil if its number could not be read.
  case held(path: String, by: pid_t?)
  /// The system refused.
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
/// It is created exclusively and locked with fcntl while the server lives, so that two starts at once cannot both win.
/// A Python server does not lock it: a file without a lock counts as held where its process runs the program
/// `bcfg2-server` and was started before the file was written. Any other process has got the number later, and what a
/// crash left behind is replaced. fcntl's locks do not survive fork: acquire it in the process that stays.
public nonisolated final class PidFile {
  /// Where it is.
  public let path: String
  /// The number that a crashed server had left in the file, if it was replaced; 0 where it had left none.
  public let replaced: pid_t?
  /// What is to be logged of the file that was replaced, without a final period; nil: there was none.
  public var replacement: String? {
    switch replaced {
    case nil: nil
    case 0?: "\(path) was there already, without a process number; it is used again"
    case let process?:
      "\(path) was left by a server that is gone: process \(process) is no running Bcfg2 server; it is used again"
    }
  }
  /// What a pid file may hold, with room for what other programs write there.
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
  /// - Parameter user: who gets the file, so that it can be removed after privileges are dropped; nil: nobody.
  public static func acquire(_ path: String, user: uid_t? = nil, group: gid_t? = nil) throws(PidFileError) -> PidFile {
    // A file can vanish between two steps when another server stops: then everything begins anew.
    for _ in 0..<10 {
      if let file = try attempt(path, user: user, group: group) { return file }
    }
    throw .held(path: path, by: nil)
  }

  /// The server that holds the file, nil if a start would get it. Nothing is created or changed: a check before the
  /// fork, while there is still a terminal to complain to. Not for the process that holds the file: closing any
  /// descriptor of it would give up the lock.
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

  /// Removes the file if it is still this process's own. Where the folder does not allow that (privileges were
  /// dropped), the file is emptied instead: an empty one counts as left behind.
  public func remove() {
    guard descriptor >= 0, owner == getpid() else { return }
    if Self.isSame(descriptor, path), unlink(path) != 0 { _ = ftruncate(descriptor, 0) }
    close(descriptor)
    descriptor = -1
  }

  /// One try; nil if the file changed under it.
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
      // Somebody gave the path of another file: to write a number over that would lose it.
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

  /// Whether a file is empty, as a server that had no time to write leaves it, or begins with a line that is a number.
  private static func isOurs(_ descriptor: Int32, _ status: stat) -> Bool {
    var bytes = [UInt8](repeating: 0, count: limitBytes)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count >= 0, status.st_size <= limitBytes else { return false }
    return bytes[..<count].prefix { $0 != 0x0A }.allSatisfy { $0.isSpace || $0 == 0x2D || (0x30...0x39).contains($0) }
  }

  /// The number in the first line, white space ignored.
  private static func read(_ descriptor: Int32) -> pid_t? {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return nil }
    let line = bytes[..<count].prefix { $0 != 0x0A }
    guard let process = pid_t(String(decoding: line.stripped, as: UTF8.self)), process > 0 else { return nil }
    return process
  }

  /// Whether a running Bcfg2 server that wrote the file has this number.
  private static func isServer(_ process: pid_t, _ descriptor: Int32) -> Bool {
    if process == getpid() { return false }
    if kill(process, 0) != 0, errno == ESRCH { return false }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return true }
    switch ProcessImage.look(at: process) {
    case .gone: return false
    // One that cannot be looked at is taken for a server.
    case .hidden: return true
    case .running(let image):
      return image.isServer && image.started <= Int64(status.st_mtim.tv_sec) + ProcessImage.slackSeconds
    }
  }
}
