public import Glibc

/// An address that a stream socket is bound or connected to.
public nonisolated enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address in host order, and the port.
  case ipv4(UInt32, port: UInt16)
  /// The address's two halves in host order, the port, and the interface of a link-local address (else 0).
  case ipv6(high: UInt64, low: UInt64, port: UInt16, scope: UInt32 = 0)
  /// A path; empty for a socket without one.
  case unix(String)

  /// A numeric IPv4 or IPv6 address (`192.0.2.1`, `2001:db8::1`, `[::1]`, `fe80::1%2`); nil if it is none. No name is
  /// looked up.
  public init?(host: String, port: UInt16) {
    var text = host[...]
    if text.utf8.first == UInt8(ascii: "["), text.utf8.last == UInt8(ascii: "]") { text = text.dropFirst().dropLast() }
    if text.utf8.contains(0) { return nil }
    var four = in_addr()
    if inet_pton(AF_INET, String(text), &four) == 1 {
      self = .ipv4(UInt32(bigEndian: four.s_addr), port: port)
      return
    }
    var scope: UInt32 = 0
    if let percent = text.utf8.firstIndex(of: UInt8(ascii: "%")) {
      guard let number = UInt32(text[text.utf8.index(after: percent)...]) else { return nil }
      scope = number
      text = text[..<percent]
    }
    var six = in6_addr()
    guard inet_pton(AF_INET6, String(text), &six) == 1 else { return nil }
    self = SocketAddress(six, port: port, scope: scope)
  }

  private init(_ address: in6_addr, port: UInt16, scope: UInt32) {
    self = withUnsafeBytes(of: address) { bytes in
      .ipv6(
        high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
        low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)), port: port, scope: scope)
    }
  }

  /// What the kernel stored, `length` bytes of it; nil for another family.
  public init?(_ storage: sockaddr_storage, length: socklen_t) {
    let decoded: SocketAddress? = withUnsafeBytes(of: storage) { bytes in
      switch Int32(storage.ss_family) {
      case AF_INET:
        let address = bytes.loadUnaligned(as: sockaddr_in.self)
        return .ipv4(UInt32(bigEndian: address.sin_addr.s_addr), port: UInt16(bigEndian: address.sin_port))
      case AF_INET6:
        let address = bytes.loadUnaligned(as: sockaddr_in6.self)
        return SocketAddress(
          address.sin6_addr, port: UInt16(bigEndian: address.sin6_port), scope: address.sin6_scope_id)
      case AF_UNIX:
        let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
        let path = bytes[min(start, Int(length))..<min(Int(length), MemoryLayout<sockaddr_un>.size)]
        return .unix(String(decoding: path.prefix { $0 != 0 }, as: UTF8.self))
      default: return nil
      }
    }
    guard let decoded else { return nil }
    self = decoded
  }

  /// AF_INET, AF_INET6 or AF_UNIX.
  public var family: Int32 {
    switch self {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    case .unix: AF_UNIX
    }
  }

  /// 0 for a Unix socket.
  public var port: UInt16 {
    switch self {
    case .ipv4(_, let port), .ipv6(_, _, let port, _): port
    case .unix: 0
    }
  }

  /// The IPv4 address inside of `::ffff:192.0.2.1`, which a socket for both families reports; else itself.
  public var unmapped: SocketAddress {
    if case .ipv6(0, let low, let port, _) = self, low >> 32 == 0xffff {
      return .ipv4(UInt32(truncatingIfNeeded: low), port: port)
    }
    return self
  }

  /// Whether it is 127.0.0.0/8, ::1 or a Unix socket.
  public var isLoopback: Bool {
    switch unmapped {
    case .ipv4(let address, _): address >> 24 == 127
    case .ipv6(let high, let low, _, _): high == 0 && low == 1
    case .unix: true
    }
  }

  /// The address without its port: an IPv4-mapped address as plain IPv4, a Unix socket
  /// by its path.
  public var host: String {
    switch unmapped {
    case .ipv4(let address, _):
      return "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)"
    case .ipv6(let high, let low, _, let scope):
      var words = (high.bigEndian, low.bigEndian)
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      // Cannot fail: the family is known and the room is enough.
      _ = inet_ntop(AF_INET6, &words, &text, socklen_t(text.count))
      let address = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      return scope == 0 ? address : "\(address)%\(scope)"
    case .unix(let path): return path
    }
  }

  /// `192.0.2.1:6789`, `[2001:db8::1]:6789`, `unix:/run/x`.
  public var description: String {
    switch unmapped {
    case .ipv4: "\(host):\(port)"
    case .ipv6: "[\(host)]:\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Calls the body with the address as bind and connect take it.
  ///
  /// - Throws: ENAMETOOLONG for a Unix path of more than 107 bytes.
  func withSockaddr<Result>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) throws(SystemError) -> Result {
    var storage = sockaddr_storage()
    var length: Int
    switch self {
    case .ipv4(let address, let port):
      var value = sockaddr_in()
      value.sin_family = sa_family_t(AF_INET)
      value.sin_port = port.bigEndian
      value.sin_addr.s_addr = address.bigEndian
      length = MemoryLayout<sockaddr_in>.size
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: value, as: sockaddr_in.self) }
    case .ipv6(let high, let low, let port, let scope):
      var value = sockaddr_in6()
      value.sin6_family = sa_family_t(AF_INET6)
      value.sin6_port = port.bigEndian
      value.sin6_scope_id = scope
      withUnsafeMutableBytes(of: &value.sin6_addr) {
        $0.storeBytes(of: high.bigEndian, as: UInt64.self)
        $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      length = MemoryLayout<sockaddr_in6>.size
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: value, as: sockaddr_in6.self) }
    case .unix(let path):
      let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
      length = start + path.utf8.count + 1
      if length > MemoryLayout<sockaddr_un>.size {
        throw SystemError(call: "bind", errno: ENAMETOOLONG, detail: description)
      }
      storage.ss_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &storage) { bytes in
        for (index, byte) in path.utf8.enumerated() { bytes[start + index] = byte }
      }
    }
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
    }
  }

  /// A descriptor's own address (getsockname), with the port that the kernel chose.
  public static func local(of descriptor: Int32) throws(SystemError) -> SocketAddress {
    try read("getsockname") { getsockname(descriptor, $0, $1) }
  }

  /// The address of a connected descriptor's peer (getpeername).
  public static func peer(of descriptor: Int32) throws(SystemError) -> SocketAddress {
    try read("getpeername") { getpeername(descriptor, $0, $1) }
  }

  private static func read(
    _ call: String, _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) throws(SystemError) -> SocketAddress {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    try check(call) {
      withUnsafeMutablePointer(to: &storage) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
      }
    }
    guard let address = SocketAddress(storage, length: length) else {
      throw SystemError(call: call, errno: EAFNOSUPPORT)
    }
    return address
  }
}

/// A host name that has no address.
public nonisolated struct ResolveError: Error, Hashable, CustomStringConvertible {
  public let host: String
  public let reason: String
  /// `getaddrinfo nowhere.invalid: Name or service not known`.
  public var description: String { "getaddrinfo \(host): \(reason)" }
}

extension SocketAddress {
  /// Every stream address of a name, in the resolver's order. Blocks for as long as the resolver takes: only at start.
  public static nonisolated func resolve(host: String, port: UInt16) throws(ResolveError) -> [SocketAddress] {
    if let numeric = SocketAddress(host: host, port: port) { return [numeric] }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    if code != 0 {
      let reason = code == EAI_SYSTEM ? strerror(errno) : UnsafeMutablePointer(mutating: gai_strerror(code))
      throw ResolveError(host: host, reason: reason.map { String(cString: $0) } ?? "error \(code)")
    }
    defer { freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = list
    while let entry = next {
      var storage = sockaddr_storage()
      let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
      withUnsafeMutableBytes(of: &storage) {
        $0.copyMemory(from: UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: length))
      }
      if let address = SocketAddress(storage, length: socklen_t(length)), !addresses.contains(address) {
        addresses.append(address)
      }
      next = entry.pointee.ai_next
    }
    return addresses
  }
}
