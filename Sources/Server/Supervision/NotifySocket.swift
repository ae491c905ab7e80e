import CLinux
import EventLoop
import Glibc

/// Sends messages to the service manager: `READY=1`, `STATUS=...`. Does nothing without `NOTIFY_SOCKET`. A send never waits.
public nonisolated final class NotifySocket: Sendable {
  private let path: String?
  private let descriptor: Int32

  /// - Parameter path: nil: nobody wants to know.
  public init(_ path: String?) {
    let descriptor = path == nil ? -1 : clinux_datagram_socket()
    self.path = descriptor < 0 ? nil : path
    self.descriptor = descriptor
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Whether somebody listens.
  public var isActive: Bool { path != nil }

  /// Sends lines as one message.
  ///
  /// - Returns: whether it was taken, or nobody wants it.
  @discardableResult
  public func send(_ lines: [String]) -> Bool {
    guard let path else { return true }
    let bytes = Array(lines.joined(separator: "\n").utf8)
    while true {
      if clinux_send_datagram(descriptor, path, bytes, bytes.count) >= 0 { return true }
      if errno != EINTR { return false }
    }
  }

  /// `STATUS=` with one line of text.
  public static func status(_ text: String) -> String {
    let bytes = text.utf8.prefix(limitBytes).map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }
    return "STATUS=" + String(decoding: bytes, as: UTF8.self)
  }

  /// Bytes of a status: it is shown on one line.
  private static let limitBytes = 512
}
