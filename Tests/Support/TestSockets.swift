public import EventLoop
import Glibc

/// Two nonblocking TCP sockets that are connected over loopback; the second has a small buffer for what it receives.
public func makeTCPPair() throws(SystemError) -> (CInt, CInt) {
  guard let any = SocketAddress(host: "127.0.0.1", port: 0) else { preconditionFailure("127.0.0.1 is an address") }
  let listener = try Listener.bind(to: any)
  let theirs = try connectOnLoopback(
    to: try SocketAddress.local(of: listener.rawValue).port, receiveBufferBytes: 4096)
  let ours = accept(listener.rawValue, nil, nil)
  precondition(ours >= 0, "accept: \(errno)")
  _ = fcntl(ours, F_SETFL, O_NONBLOCK)
  return (ours, theirs)
}

/// A nonblocking socket that is connected to a port of this machine. Loopback completes a connect at once: the listener's
/// queue takes it.
public func connectOnLoopback(to port: UInt16, receiveBufferBytes: CInt? = nil) throws(SystemError) -> CInt {
  let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
  if var size = receiveBufferBytes {
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size))
  }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  let result = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  guard descriptor >= 0, result == 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else {
    let error = SystemError(call: "connect", errno: errno, detail: "port \(port)")
    close(descriptor)
    throw error
  }
  return descriptor
}

/// Two connected nonblocking stream sockets.
public func makeSocketPair(sendBufferBytes: CInt? = nil) -> (CInt, CInt) {
  var pair: [CInt] = [0, 0]
  let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
  precondition(socketpair(AF_UNIX, type, 0, &pair) == 0, "no socket pair: \(errno)")
  if var size = sendBufferBytes {
    for descriptor in pair {
      setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
    }
  }
  return (pair[0], pair[1])
}

/// A datagram socket that listens at a path, in place of what was there: `/dev/log`, or that of systemd's journal.
public nonisolated func makeDatagramSocket(at path: String) throws(SystemError) -> CInt {
  unlink(path)
  let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  let result = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
  guard descriptor >= 0, result == 0 else {
    let error = SystemError(call: "bind", errno: errno, detail: path)
    close(descriptor)
    throw error
  }
  return descriptor
}

/// The next datagram that a socket has, of at most 64 KiB; nil for none.
public nonisolated func receiveDatagram(_ descriptor: CInt) -> [UInt8]? {
  var bytes = [UInt8](repeating: 0, count: 1 << 16)
  let count = recv(descriptor, &bytes, bytes.count, CInt(MSG_DONTWAIT))
  return count < 0 ? nil : Array(bytes[..<count])
}
