public import EventLoop
import Glibc

/// A file that a command writes when its work is done.
///
/// A process of root opens it at once, since it becomes the server's user, who may not write there. Any other replaces it in one
/// step when it is written. It has to be a regular file: a FIFO would be waited for, and a link may be somebody else's, who
/// would choose what is overwritten. Only `/dev/stdout`, `/dev/stderr` and `/dev/null` are written to as they are.
@MainActor public final class CommandFile {
  /// Most bytes of the file that is there.
  private static let limitBytes = 256 << 20

  private let path: String
  private var descriptor: Int32 = -1
  private var isNew = false

  /// - Throws: `SystemError` if it cannot be opened.
  public init(_ path: String) throws(SystemError) {
    self.path = path
    if let standard = ["/dev/stdout": STDOUT_FILENO, "/dev/stderr": STDERR_FILENO][path] {
      descriptor = fcntl(standard, F_DUPFD_CLOEXEC, 3)
      if descriptor < 0 { throw SystemError(call: "open", errno: errno, detail: path) }
    } else if path == "/dev/null" {
      descriptor = try FileDescriptor.open(path, O_WRONLY).take()
    } else if geteuid() == 0 {
      try openFile()
    }
  }

  private func openFile() throws(SystemError) {
    do throws(SystemError) {
      // Neither waits for a reader of a FIFO nor takes a terminal.
      let file = try FileDescriptor.open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
      var status = stat()
      guard fstat(file.rawValue, &status) == 0 else { throw SystemError(call: "fstat", errno: errno, detail: path) }
      try RegularFile.require(mode: status.st_mode, path)
      descriptor = file.take()
    } catch {
      // A FIFO that nobody reads.
      if error.errno == ENXIO { try RegularFile.require(mode: S_IFIFO, path) }
      guard error.errno == ENOENT else { throw error }
      descriptor = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o666).take()
      isNew = true
    }
  }

  isolated deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    // Work that failed leaves no empty file, where this user may still remove it.
    if isNew { unlink(path) }
  }

  /// Writes all of it, once.
  ///
  /// - Throws: `SystemError`; also what `AtomicFile.write` throws.
  public func write(_ bytes: [UInt8]) throws {
    guard descriptor >= 0 else {
      let there = try AtomicFile.version(of: path, limitBytes: Self.limitBytes)
      try AtomicFile.write(FileWrite(bytes, to: path, replacing: there, mode: .ordinary, followsLinks: false))
      return
    }
    var status = stat()
    // Pipes and devices have no length.
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, ftruncate(descriptor, 0) != 0 {
      throw SystemError(call: "ftruncate", errno: errno, detail: path)
    }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SystemError(call: "write", errno: errno, detail: path) }
      rest = rest.dropFirst(count)
    }
    isNew = false
    let open = descriptor
    descriptor = -1
    guard close(open) == 0 else { throw SystemError(call: "close", errno: errno, detail: path) }
  }
}
