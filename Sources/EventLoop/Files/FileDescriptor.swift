public import Glibc

/// The owner of one open descriptor: closed exactly once, when the owner ends, or handed over by `take`.
///
/// A descriptor that has been registered on a loop is closed with ``Reactor/closeLater(_:)`` instead, so that events
/// of the same iteration cannot meet a new file with the old number.
public nonisolated struct FileDescriptor: ~Copyable, Sendable {
  /// The descriptor's number; valid while this owner lives.
  public let rawValue: Int32

  /// Takes over an open descriptor; nobody else may close it.
  public init(owning rawValue: Int32) {
    precondition(rawValue >= 0, "a negative number is no descriptor")
    self.rawValue = rawValue
  }

  deinit { FileDescriptor.close(rawValue) }

  /// Gives the descriptor away without closing it.
  public consuming func take() -> Int32 {
    let value = rawValue
    discard self
    return value
  }

  /// Closes now instead of at the end of the owner's life.
  public consuming func close() {}

  /// Opens a file, close-on-exec.
  public static func open(
    _ path: String, _ flags: Int32, mode: mode_t = 0
  ) throws(SystemError) -> FileDescriptor {
    let raw = try check("open", path) { Glibc.open(path, flags | O_CLOEXEC, mode) }
    return FileDescriptor(owning: raw)
  }

  /// Sets O_NONBLOCK on the open file, which all its descriptors share.
  public func setNonblocking() throws(SystemError) {
    let flags = try check("fcntl", "F_GETFL") { fcntl(rawValue, F_GETFL) }
    try check("fcntl", "F_SETFL") { fcntl(rawValue, F_SETFL, flags | O_NONBLOCK) }
  }

  /// close(2). On Linux the descriptor is free even after EINTR or EIO; EBADF is a bug of ours and traps.
  static func close(_ raw: Int32) {
    if Glibc.close(raw) == -1 && errno == EBADF { preconditionFailure("descriptor \(raw) closed twice") }
  }
}
