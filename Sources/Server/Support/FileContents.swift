import EventLoop
import Glibc

/// Reads files of the repository.
enum FileContents {
  /// All bytes of a regular file.
  ///
  /// - Throws: `SystemError` with the path; `EFBIG` where the file is longer than `limitBytes`.
  static func read(_ path: String, limitBytes: Int = 1 << 30) throws(SystemError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw SystemError(call: "open", errno: errno, detail: path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw SystemError(call: "fstat", errno: errno, detail: path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let code = status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL
      throw SystemError(call: "open", errno: code, detail: path)
    }
    let expected = Int(status.st_size)
    guard expected <= limitBytes else { throw SystemError(call: "read", errno: EFBIG, detail: path) }
    // One byte more than the file has, so that the end is seen without a second buffer.
    var bytes: [UInt8] = []
    var failure: SystemError?
    while failure == nil {
      let room = max(expected - bytes.count, 0) + 1
      let start = bytes.count
      var got = 0
      bytes.append(contentsOf: [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        repeat { got = Glibc.read(descriptor, buffer.baseAddress, room) } while got < 0 && errno == EINTR
        if got < 0 { failure = SystemError(call: "read", errno: errno, detail: path) }
        count = max(got, 0)
      })
      if bytes.count == start { break }
      if bytes.count > limitBytes { failure = SystemError(call: "read", errno: EFBIG, detail: path) }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Creates a file with these contents.
  ///
  /// - Throws: `SystemError`; `EEXIST` where the path exists.
  static func create(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw SystemError(call: "open", errno: errno, detail: path) }
    defer { close(descriptor) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw SystemError(call: "write", errno: errno, detail: path) }
      rest = rest.dropFirst(written)
    }
    guard fsync(descriptor) == 0 else { throw SystemError(call: "fsync", errno: errno, detail: path) }
  }
}
