public import Glibc

/// Two connected UNIX sockets that close on exec. The caller owns both.
public nonisolated struct SocketPair {
  public let first: Int32
  public let second: Int32

  /// - Parameter type: such as `SOCK_STREAM`.
  public init(_ type: __socket_type) throws(SystemError) {
    var pair: [Int32] = [-1, -1]
    if socketpair(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &pair) != 0 {
      throw SystemError(call: "socketpair", errno: errno)
    }
    (first, second) = (pair[0], pair[1])
  }
}
