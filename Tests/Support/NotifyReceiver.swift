import Glibc

/// The service manager's end of a notification socket: reads what a process tells it.
public final nonisolated class NotifyReceiver {
  /// The value of `NOTIFY_SOCKET`.
  public let path: String
  private let descriptor: CInt
  /// All messages so far, each with its lines.
  public private(set) var messages: [[String]] = []

  public init(in folder: TemporaryDirectory) {
    path = folder.file("notify")
    let type = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
    descriptor = socket(AF_UNIX, type, 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8CString)
    withUnsafeMutableBytes(of: &address.sun_path) { place in
      precondition(bytes.count <= place.count, "\(path) is too long for a socket")
      bytes.withUnsafeBytes { place.copyMemory(from: $0) }
    }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    precondition(descriptor >= 0 && result == 0, "\(path): \(String(cString: strerror(errno)))")
  }

  deinit { close(descriptor) }

  /// Reads what has come. Returns how many messages have a line.
  public func count(of line: String) -> Int {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let size = recv(descriptor, &buffer, buffer.count, 0)
      if size < 0 { break }
      messages.append(String(decoding: buffer[..<size], as: UTF8.self).split(separator: "\n").map(String.init))
    }
    return messages.count { $0.contains(line) }
  }
}
