import CLinux
import Glibc

/// epoll(7), level-triggered: the only file that names it.
@MainActor public final class EpollPoller: Poller {
  /// The call that waits, as epoll_wait(2); replaced by tests.
  typealias Wait = (Int32, UnsafeMutablePointer<clinux_epoll_event>?, Int32, Int32) -> Int32

  /// Events fetched per wait; the next wait reports the rest. In a storm of connections most ready descriptors only wait
  /// for their handshake's turn. With a small batch the others would wait for several rounds.
  static let batch = 1024

  private let epoll: FileDescriptor
  private let buffer: UnsafeMutableBufferPointer<clinux_epoll_event>
  private let waitCall: Wait
  /// By descriptor: whether the kernel knows it.
  private var isAdded: [Bool] = []

  /// - Throws: `SystemError` of epoll_create1: descriptors or memory are used up.
  public convenience init() throws(SystemError) { try self.init(waitCall: clinux_epoll_wait) }

  init(waitCall: @escaping Wait) throws(SystemError) {
    epoll = FileDescriptor(owning: try check("epoll_create1") { clinux_epoll_create() })
    buffer = .allocate(capacity: EpollPoller.batch)
    self.waitCall = waitCall
  }

  isolated deinit { buffer.deallocate() }

  public var descriptor: Int32? { epoll.rawValue }

  /// - Throws: `SystemError` of epoll_ctl: EPERM for a file that cannot be polled, ENOSPC at
  ///   /proc/sys/fs/epoll/max_user_watches, ENOMEM. EBADF and EEXIST are bugs of ours and trap.
  public func set(_ interest: Interest, generation: UInt32, for descriptor: Int32) throws(SystemError) {
    let slot = Int(descriptor)
    while isAdded.count <= slot { isAdded.append(false) }
    if interest.isEmpty {
      remove(descriptor)
      return
    }
    var mask: UInt32 = 0
    if interest.contains(.read) { mask |= CLINUX_EPOLLIN }
    if interest.contains(.write) { mask |= CLINUX_EPOLLOUT }
    let operation = isAdded[slot] ? CLINUX_EPOLL_CTL_MOD : CLINUX_EPOLL_CTL_ADD
    if clinux_epoll_ctl(epoll.rawValue, operation, descriptor, mask, generation) == -1 {
      let code = errno
      if code == EBADF || code == EEXIST || code == ENOENT || code == EINVAL {
        preconditionFailure("epoll_ctl of descriptor \(descriptor): \(String(cString: strerror(code)))")
      }
      throw SystemError(call: "epoll_ctl", errno: code, detail: "descriptor \(descriptor)")
    }
    isAdded[slot] = true
  }

  public func remove(_ descriptor: Int32) {
    let slot = Int(descriptor)
    guard slot < isAdded.count, isAdded[slot] else { return }
    isAdded[slot] = false
    if clinux_epoll_ctl(epoll.rawValue, CLINUX_EPOLL_CTL_DEL, descriptor, 0, 0) == -1 {
      preconditionFailure("epoll_ctl: descriptor \(descriptor) was closed before its watcher was cancelled")
    }
  }

  public func wait(atMost limit: Duration?, into events: inout [PollEvent]) {
    events.removeAll(keepingCapacity: true)
    let count = waitCall(
      epoll.rawValue, buffer.baseAddress, Int32(buffer.count), EpollPoller.milliseconds(limit))
    if count == -1 {
      let code = errno
      // A signal: the loop looks at its clock and waits again.
      if code == EINTR { return }
      preconditionFailure("epoll_wait: \(String(cString: strerror(code)))")
    }
    for event in buffer[..<Int(count)] {
      var readiness: Readiness = []
      if event.events & CLINUX_EPOLLIN != 0 { readiness.insert(.readable) }
      if event.events & CLINUX_EPOLLOUT != 0 { readiness.insert(.writable) }
      if event.events & CLINUX_EPOLLHUP != 0 { readiness.insert(.hangup) }
      if event.events & CLINUX_EPOLLERR != 0 { readiness.insert(.error) }
      events.append(
        PollEvent(descriptor: event.descriptor, generation: event.generation, readiness: readiness))
    }
  }

  /// Whole milliseconds, rounded up so that a deadline has passed when the wait ends; -1 is without end.
  static func milliseconds(_ limit: Duration?) -> Int32 {
    guard let limit else { return -1 }
    let nanoseconds = limit.wholeNanoseconds
    if nanoseconds <= 0 { return 0 }
    let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
    return Int32(clamping: whole + (rest > 0 ? 1 : 0))
  }
}
