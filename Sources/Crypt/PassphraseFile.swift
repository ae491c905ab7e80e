import EventLoop
import Glibc

/// A file whose first line is a passphrase. It may be a pipe, such as that of a shell's `<(command)`.
public enum PassphraseFile {
  /// How long somebody may take to write the line into a pipe.
  public static let patience: Duration = .seconds(30)
  /// Most bytes of the line.
  private static let limitBytes = 4096

  /// The first line without its end; nil for an empty file.
  ///
  /// - Parameter patience: how long to wait where nobody writes, in all.
  /// - Throws: for a file that cannot be read, that nobody writes to, or whose first line is no text of at most 4096 bytes.
  public static func firstLine(_ path: String, patience: Duration = PassphraseFile.patience) throws(CryptProblem)
    -> String?
  {
    // A FIFO is opened at once, whether somebody writes to it or not.
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else { throw problem(path) }
    defer { close(descriptor) }
    let end = MonotonicTime.now() + patience
    var bytes: [UInt8] = []
    while true {
      try wait(for: descriptor, until: end, patience, path)
      var chunk = [UInt8](repeating: 0, count: limitBytes)
      let count = read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count >= 0 else { throw problem(path) }
      bytes += chunk[..<count]
      let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
      guard line.count <= limitBytes else { throw CryptProblem("\(path): the first line is too long") }
      if count > 0, line.count == bytes.count { continue }
      guard !bytes.isEmpty else { return nil }
      guard let text = String(validating: line, as: UTF8.self) else {
        throw CryptProblem("\(path): the first line is not UTF-8")
      }
      return text
    }
  }

  /// Waits until something can be read, or the other end is closed. A regular file is always ready.
  private static func wait(
    for descriptor: Int32, until end: MonotonicTime, _ patience: Duration, _ path: String
  ) throws(CryptProblem) {
    while true {
      var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let left = end.nanoseconds - MonotonicTime.now().nanoseconds
      let count = poll(&waited, 1, Int32(clamping: max(0, left + 999_999) / 1_000_000))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw problem(path) }
      guard count > 0 else { throw CryptProblem("\(path): nobody has written a line to it within \(patience)") }
      return
    }
  }

  private static func problem(_ path: String) -> CryptProblem {
    CryptProblem("\(path): \(String(cString: strerror(errno)))")
  }
}
