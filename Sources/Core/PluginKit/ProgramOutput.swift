public import EventLoop
import Glibc

/// An output of a program that a plugin has started: its lines, as they come.
public final class ProgramOutput {
  /// Bytes read in one turn.
  private static let turnBytes = 16384
  /// Turns in which `finish` reads what is left.
  private static let lastTurns = 64

  private let loop: Reactor
  private let descriptor: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var lines: LineSplitter
  // Forgotten when the pipe is closed: they may hold the owner.
  private var onLine: (String) -> Void
  private var onEnd: () -> Void

  /// - Parameters:
  ///   - pipe: nonblocking, as `ChildProcess.detachPipe` gives it.
  ///   - lineLimit: bytes of a line, at most. The rest of a longer one is left out.
  ///   - onEnd: called once, when the program and its descendants have closed the pipe; not after `close`.
  ///   - onLoopEnd: called if the loop ends before.
  public init(
    _ pipe: consuming FileDescriptor, lineLimit: Int = 8192, on loop: Reactor, onLine: @escaping (String) -> Void,
    onEnd: @escaping () -> Void = {}, onLoopEnd: @escaping () -> Void
  ) throws(SystemError) {
    self.loop = loop
    self.onLine = onLine
    self.onEnd = onEnd
    lines = LineSplitter(limit: lineLimit)
    descriptor = pipe.rawValue
    owner = consume pipe
    watcher = try loop.register(descriptor, interest: .read) { [weak self] _ in _ = self?.read() }
    watcher?.onLoopEnd = onLoopEnd
  }

  /// Whether the pipe is still read.
  public var isOpen: Bool { owner != nil }

  /// Takes what the program wrote last, within a bound, and closes the pipe.
  public func finish() {
    for _ in 0..<Self.lastTurns where isOpen {
      if !read() { break }
    }
    if isOpen { lines.finish(onLine) }
    close()
  }

  /// Closes the pipe, whatever is in it.
  public func close() {
    watcher?.cancel()
    watcher = nil
    if let owner = owner.take() { loop.closeLater(owner) }
    onLine = { _ in }
    onEnd = {}
  }

  /// Reads once. Returns whether there may be more.
  private func read() -> Bool {
    var isAtEnd = false
    let count = withUnsafeTemporaryAllocation(byteCount: Self.turnBytes, alignment: 16) { buffer in
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count > 0 {
        lines.add(buffer[..<count], onLine)
      } else {
        isAtEnd = count == 0 || (errno != EAGAIN && errno != EINTR)
      }
      return count
    }
    if isAtEnd, isOpen {
      lines.finish(onLine)
      let onEnd = onEnd
      close()
      onEnd()
    }
    return count > 0
  }
}

/// Splits bytes into lines, with a bound on each.
public struct LineSplitter {
  private var line: [UInt8] = []
  private let limit: Int

  public init(limit: Int) { self.limit = limit }

  /// Takes bytes, and calls `body` with each line that ends in them.
  public mutating func add(_ bytes: some Sequence<UInt8>, _ body: (String) -> Void) {
    for byte in bytes {
      if byte == UInt8(ascii: "\n") {
        finish(body)
      } else if line.count < limit {
        line.append(byte)
      }
    }
  }

  /// Ends the last line.
  public mutating func finish(_ body: (String) -> Void) {
    if !line.isEmpty { body(String(decoding: line, as: UTF8.self)) }
    line.removeAll(keepingCapacity: true)
  }
}

/// Programs of this project that lie in one folder.
public nonisolated enum ProgramBeside {
  /// The path of the program beside this executable; its bare name where that is not known.
  public static func path(_ name: String) -> String {
    let own = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer -> String? in
      guard let address = buffer.baseAddress else { return nil }
      let count = readlink("/proc/self/exe", address, buffer.count)
      guard count > 0 else { return nil }
      return String(decoding: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]), as: UTF8.self)
    }
    guard let own, let slash = own.lastIndex(of: "/") else { return name }
    return own[...slash] + name
  }
}
