import COpenSSL
public import EventLoop
import Glibc

/// A TLS client over one end of a socket pair, nonblocking, driven by hand.
public final class TLSTestClient {
  public struct Options {
    public var identity: TestIdentity?
    public var newestProtocol: CInt = 0
    public var cipherString: String?
    public var applicationProtocols: [String] = []
    public var session: OpaquePointer?
    /// TLSEXT_max_fragment_length_*: 1 for 512 bytes; 0 for none.
    public var fragmentCode: UInt8 = 0
    public init() {}
  }

  /// The server's end, which the test closes.
  public nonisolated let serverDescriptor: CInt
  public nonisolated let descriptor: CInt
  public let session: OpaquePointer
  private let context: OpaquePointer
  public private(set) var isOpen = true
  /// Text of the first fatal error.
  public private(set) var failure: String?

  public convenience init(_ options: Options = Options(), sendBufferBytes: CInt? = nil) {
    self.init(options, pair: makeSocketPair(sendBufferBytes: sendBufferBytes))
  }

  /// Over a pair of sockets, the server's first; both are closed with the client.
  public init(_ options: Options = Options(), pair: (CInt, CInt)) {
    signal(SIGPIPE, SIG_IGN)
    (serverDescriptor, descriptor) = pair
    context = SSL_CTX_new(TLS_client_method())
    if let list = options.cipherString { precondition(SSL_CTX_set_cipher_list(context, list) == 1) }
    if options.newestProtocol != 0 {
      copenssl_set_min_proto_version(context, TLS1_VERSION)
      copenssl_set_max_proto_version(context, options.newestProtocol)
    }
    if let identity = options.identity {
      precondition(SSL_CTX_use_certificate(context, identity.certificate) == 1)
      precondition(SSL_CTX_use_PrivateKey(context, identity.key) == 1)
    }
    session = SSL_new(context)
    let names = options.applicationProtocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    if !names.isEmpty { SSL_set_alpn_protos(session, names, UInt32(names.count)) }
    if options.fragmentCode != 0 { SSL_set_tlsext_max_fragment_length(session, options.fragmentCode) }
    if let earlier = options.session { SSL_set_session(session, earlier) }
    SSL_set_fd(session, descriptor)
    SSL_set_connect_state(session)
  }

  isolated deinit {
    SSL_free(session)
    SSL_CTX_free(context)
    Glibc.close(serverDescriptor)
    if isOpen { Glibc.close(descriptor) }
  }

  /// A second descriptor of the server's end, for an owner that closes it.
  public func makeServerDescriptor() -> FileDescriptor { FileDescriptor(owning: dup(serverDescriptor)) }

  public func close() {
    isOpen = false
    Glibc.close(descriptor)
  }

  /// Advances the handshake; true once it is complete.
  @discardableResult
  public func handshake() -> Bool {
    ERR_clear_error()
    return note(SSL_do_handshake(session))
  }

  /// Sends all bytes, which must fit the socket's buffer.
  @discardableResult
  public func send(_ bytes: [UInt8]) -> Bool {
    ERR_clear_error()
    return note(SSL_write(session, bytes, CInt(bytes.count)))
  }

  /// Everything that can be read now.
  public func receive() -> [UInt8] {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
      ERR_clear_error()
      let count = SSL_read(session, &buffer, CInt(buffer.count))
      guard note(count) else { return all }
      all.append(contentsOf: buffer[0..<Int(count)])
    }
  }

  public var sawCloseNotify: Bool { SSL_get_shutdown(session) & SSL_RECEIVED_SHUTDOWN != 0 }

  public func sendCloseNotify() { SSL_shutdown(session) }

  private func note(_ result: CInt) -> Bool {
    if result > 0 { return true }
    let code = SSL_get_error(session, result)
    if code == SSL_ERROR_SSL || code == SSL_ERROR_SYSCALL, failure == nil {
      let error = ERR_get_error()
      failure = error == 0 ? "socket" : String(cString: ERR_reason_error_string(error))
    }
    return false
  }
}

/// Two nonblocking TCP sockets that are connected over loopback; the second has a small buffer for what it receives.
public func makeTCPPair() throws(SystemError) -> (CInt, CInt) {
  guard let any = SocketAddress(host: "127.0.0.1", port: 0) else { preconditionFailure("127.0.0.1 is an address") }
  let listener = try Listener.bind(to: any)
  let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
  let theirs = socket(AF_INET, type, 0)
  var size: CInt = 4096
  setsockopt(theirs, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<CInt>.size))
  var address = sockaddr_in()
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let connected = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      // Loopback completes a connect at once: the listener's queue takes it.
      getsockname(listener.rawValue, $0, &length) == 0 && Glibc.connect(theirs, $0, length) == 0
    }
  }
  precondition(connected, "no TCP connection over loopback: \(errno)")
  let ours = accept(listener.rawValue, nil, nil)
  precondition(ours >= 0, "accept: \(errno)")
  for descriptor in [ours, theirs] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
  return (ours, theirs)
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
