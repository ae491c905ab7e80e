import CLinux
import Glibc

/// Lines to a descriptor: one write(2) each, or one for those that were gathered. After a line that was cut the next
/// begins a new line.
nonisolated struct LineWriter: ~Copyable {
  /// Most bytes that are gathered: lines of about a hundred requests.
  static let gatheredBytes = 16 * 1024

  /// The descriptor, or -1.
  private(set) var descriptor: Int32
  private let isOwned: Bool
  private let kind: Int32
  private var isCut = false
  var dropped = 0
  /// Gathered lines, in memory that the handler of a crash can read; allocated with the first line.
  private var held: UnsafeMutablePointer<clinux_held_lines>?
  /// The end of each gathered line.
  private var ends: [Int] = []

  /// - Parameter isOwned: whether the descriptor is closed in the end.
  init(descriptor: Int32, isOwned: Bool) {
    self.descriptor = descriptor
    self.isOwned = isOwned
    kind = clinux_descriptor_kind(descriptor)
  }

  deinit {
    if let held {
      clinux_forget_at_crash(held)
      held.pointee.bytes.deallocate()
      held.deallocate()
    }
    if isOwned, descriptor >= 0 { close(descriptor) }
  }

  /// Writes a line, behind those that were gathered.
  mutating func write(_ line: [UInt8]) {
    flush()
    line.withUnsafeBytes { bytes in
      if send(bytes) < bytes.count { dropped += 1 }
    }
  }

  /// Keeps a line for `flush`, or writes it where there is no room.
  mutating func gather(_ line: [UInt8]) {
    guard let held = held ?? makeHeld() else { return write(line) }
    if held.pointee.count + line.count > Self.gatheredBytes { flush() }
    guard line.count <= Self.gatheredBytes else { return write(line) }
    let end = held.pointee.count
    line.withUnsafeBytes {
      UnsafeMutableRawPointer(held.pointee.bytes + end).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
    // The bytes are there before their number says so: a crash may come in between.
    held.pointee.count = end + line.count
    ends.append(end + line.count)
  }

  /// Writes what was gathered.
  mutating func flush() {
    guard let held, held.pointee.count > 0 else { return }
    let count = held.pointee.count
    let written = send(UnsafeRawBufferPointer(start: held.pointee.bytes, count: count))
    if written < count { dropped += ends.count { $0 > written } }
    held.pointee.count = 0
    ends.removeAll(keepingCapacity: true)
  }

  private mutating func makeHeld() -> UnsafeMutablePointer<clinux_held_lines>? {
    let made = UnsafeMutablePointer<clinux_held_lines>.allocate(capacity: 1)
    let bytes = UnsafeMutablePointer<CChar>.allocate(capacity: Self.gatheredBytes)
    made.initialize(to: clinux_held_lines(descriptor: descriptor, count: 0, bytes: bytes))
    guard clinux_write_at_crash(made) == 0 else {
      bytes.deallocate()
      made.deallocate()
      return nil
    }
    held = made
    return made
  }

  /// Writes lines to the descriptor. Returns how many of their bytes it accepted.
  private mutating func send(_ bytes: UnsafeRawBufferPointer) -> Int {
    if kind == 1, !isWritable { return 0 }
    if isCut {
      var lineFeed: UInt8 = 0x0A
      guard send(&lineFeed, 1) == 1 else { return 0 }
      isCut = false
    }
    let count = max(0, send(bytes.baseAddress, bytes.count))
    if count > 0 { isCut = bytes[count - 1] != 0x0A }
    return count
  }

  private func send(_ bytes: UnsafeRawPointer?, _ byteCount: Int) -> Int {
    while true {
      let count = kind == 2 ? clinux_send_log(descriptor, bytes, byteCount) : Glibc.write(descriptor, bytes, byteCount)
      if count >= 0 || errno != EINTR { return count }
    }
  }

  /// Polls before writing, because a pipe that another process opened may block. A pipe without readers would raise
  /// SIGPIPE.
  private var isWritable: Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&request, 1, 0) == 1 && request.revents & Int16(POLLOUT | POLLERR) == Int16(POLLOUT)
  }
}
