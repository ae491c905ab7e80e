import EventLoop
import Glibc

/// Reads lines from a pipe.
final class LineReader {
  enum Line {
    case text(Substring)
    /// A line is longer than the limit; nothing is read any more.
    case tooLong
  }

  private static let chunkBytes = 64 << 10

  private let descriptor: FileDescriptor
  private let limitBytes: Int
  private let onLine: (Line) -> Void
  private var watcher: Watcher?
  private var buffer: [UInt8] = []
  private var isAtEnd = false
  private var waiter: CheckedContinuation<Void, Never>?

  init(
    _ pipe: consuming FileDescriptor, limitBytes: Int, on loop: Reactor, onLine: @escaping (Line) -> Void
  ) throws(SystemError) {
    descriptor = pipe
    self.limitBytes = limitBytes
    self.onLine = onLine
    watcher = try loop.register(descriptor.rawValue, interest: .read) { [unowned self] _ in readSome() }
  }

  isolated deinit { watcher?.cancel() }

  /// Waits until the other end is closed, or a line is too long.
  func waitForEnd() async {
    guard !isAtEnd else { return }
    await withCheckedContinuation { waiter = $0 }
  }

  private func readSome() {
    var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
    let count = read(descriptor.rawValue, &chunk, chunk.count)
    if count < 0, errno == EINTR || errno == EAGAIN { return }
    guard count > 0 else {
      if !buffer.isEmpty { onLine(.text(Substring(decoding: buffer, as: UTF8.self))) }
      end()
      return
    }
    // What was looked at before has no end of a line.
    var start = buffer.startIndex
    var place = buffer.endIndex
    buffer += chunk[..<count]
    while let end = buffer[place...].firstIndex(of: UInt8(ascii: "\n")) {
      onLine(.text(Substring(decoding: buffer[start..<end], as: UTF8.self)))
      (start, place) = (end + 1, end + 1)
    }
    buffer.removeSubrange(..<start)
    guard buffer.count <= limitBytes else {
      onLine(.tooLong)
      end()
      return
    }
  }

  private func end() {
    watcher?.cancel()
    watcher = nil
    buffer = []
    isAtEnd = true
    waiter.take()?.resume()
  }
}
