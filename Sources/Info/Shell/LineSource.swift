import EventLoop
import Glibc

/// Where the shell's lines come from.
@MainActor
protocol LineSource: AnyObject {
  /// The next line without its end; nil when there are no more.
  func next(prompt: String) async -> String?
}

/// Lines of standard input as they are, for scripts, and for terminals without a library to edit lines.
@MainActor
final class PlainLines: LineSource {
  /// Most bytes of a line.
  private static let limitBytes = 1 << 20

  private let loop: Reactor
  private let descriptor: Int32
  private let write: @MainActor (String) -> Void
  private var buffer: [UInt8] = []
  private var isAtEnd = false

  init(_ descriptor: Int32, on loop: Reactor, write: @escaping @MainActor (String) -> Void) {
    self.descriptor = descriptor
    self.loop = loop
    self.write = write
  }

  func next(prompt: String) async -> String? {
    write(prompt)
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: buffer[..<end], as: UTF8.self)
        buffer.removeSubrange(...end)
        return line
      }
      if isAtEnd || buffer.count > Self.limitBytes {
        guard !buffer.isEmpty, isAtEnd else {
          write("\n")
          return nil
        }
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
      }
      await waitForInput()
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      if count <= 0 { isAtEnd = true } else { buffer += chunk[..<count] }
    }
  }

  /// Waits on the loop, where signals are handled. A regular file is always ready.
  private func waitForInput() async {
    await withCheckedContinuation { continuation in
      var waiting: CheckedContinuation<Void, Never>? = continuation
      var watcher: Watcher?
      do throws(SystemError) {
        watcher = try loop.register(descriptor, interest: .read) { _ in
          watcher?.cancel()
          waiting.take()?.resume()
        }
      } catch {
        waiting.take()?.resume()
      }
    }
  }
}
