import COpenSSL
public import EventLoop
import Glibc

/// A client over one end of a socket pair, or over a connection to a server on this machine: nonblocking, driven by hand.
/// It speaks TLS, or plainly where a test wants that. What waits for the server is in TestClientRequests.swift.
public final class TestClient {
  public struct Options {
    public var identity: TestIdentity?
    public var newestProtocol: CInt = 0
    public var cipherString: String?
    public var applicationProtocols: [String] = []
    public var session: OpaquePointer?
    /// TLSEXT_max_fragment_length_*: 1 for 512 bytes; 0 for none.
    public var fragmentCode: UInt8 = 0
    /// PEM file of who has to have signed the server's certificate, which has to be for 127.0.0.1; nil takes any.
    public var authority: String?
    /// No TLS: for what connects to a TLS port by mistake.
    public var isPlain = false
    public init() {}
  }

  /// The server's end, which the test closes.
  public nonisolated let serverDescriptor: CInt
  public nonisolated let descriptor: CInt
  public let session: OpaquePointer
  private let context: OpaquePointer
  private let isPlain: Bool
  /// A request has bytes that wait for room in the socket.
  var hasUnsent = false
  /// The peer of a plain client has ended what it sends.
  private var sawEnd = false
  public private(set) var isOpen = true
  /// Text of the first fatal error.
  public private(set) var failure: String?

  public convenience init(_ options: Options = Options(), sendBufferBytes: CInt? = nil) {
    self.init(options, pair: makeSocketPair(sendBufferBytes: sendBufferBytes))
  }

  /// Over a connection to a port of this machine. The kernel completes that even while the server accepts nothing.
  public convenience init(port: UInt16, _ options: Options = Options()) throws {
    self.init(options, pair: (-1, try connectOnLoopback(to: port)))
  }

  /// Over a pair of sockets, the server's first or -1; both are closed with the client.
  public init(_ options: Options = Options(), pair: (CInt, CInt)) {
    signal(SIGPIPE, SIG_IGN)
    (serverDescriptor, descriptor) = pair
    isPlain = options.isPlain
    context = SSL_CTX_new(TLS_client_method())
    // A call that could not send is made again with the same bytes at another place.
    copenssl_set_mode(context, Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
    if let authority = options.authority {
      precondition(SSL_CTX_load_verify_file(context, authority) == 1, "\(authority) cannot be read")
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
    }
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
    if options.authority != nil {
      precondition(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), "127.0.0.1") == 1)
    }
    SSL_set_fd(session, descriptor)
    SSL_set_connect_state(session)
  }

  isolated deinit {
    SSL_free(session)
    SSL_CTX_free(context)
    if serverDescriptor >= 0 { Glibc.close(serverDescriptor) }
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
    if isPlain { return true }
    ERR_clear_error()
    return note(SSL_do_handshake(session))
  }

  /// Sends all bytes, which must fit the socket's buffer.
  @discardableResult
  public func send(_ bytes: [UInt8]) -> Bool {
    if isPlain { return notePlain(Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))) }
    ERR_clear_error()
    return note(SSL_write(session, bytes, CInt(bytes.count)))
  }

  /// Everything that can be read now.
  public func receive() -> [UInt8] {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
      let count: Int
      if isPlain {
        count = recv(descriptor, &buffer, buffer.count, 0)
        if count == 0 { sawEnd = true }
        guard count != 0, notePlain(count) else { return all }
      } else {
        ERR_clear_error()
        count = Int(SSL_read(session, &buffer, CInt(buffer.count)))
        guard note(CInt(count)) else { return all }
      }
      all.append(contentsOf: buffer[0..<count])
    }
  }

  /// Whether the server has ended the connection, or it is broken.
  public var hasEnded: Bool { sawEnd || sawCloseNotify || failure != nil }

  /// The common name of the server's certificate.
  public var serverName: String? {
    guard let certificate = SSL_get1_peer_certificate(session) else { return nil }
    defer { X509_free(certificate) }
    var name = [CChar](repeating: 0, count: 64)
    let count = X509_NAME_get_text_by_NID(
      X509_get_subject_name(certificate), NID_commonName, &name, CInt(name.count))
    return count < 0 ? nil : String(decoding: name.prefix(Int(count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
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

  private func notePlain(_ count: Int) -> Bool {
    if count >= 0 { return true }
    if errno != EAGAIN, failure == nil { failure = String(cString: strerror(errno)) }
    return false
  }
}
