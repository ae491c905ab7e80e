import COpenSSL
import Glibc

/// Certificate, key, authority and rules from which each TLS connection is made.
///
/// `reload()` reads the files again and replaces all of them together, or nothing when one is bad. Connections that
/// exist keep what they were made from.
@MainActor public final class TLSContext {
  /// The oldest protocol that is spoken.
  nonisolated public enum ProtocolFloor: Equatable, Sendable {
    /// TLS 1.2 and later.
    case tls12
    /// TLS 1.0 and later, with the ciphers and key sizes of its time: no longer safe.
    case tls10
  }

  /// What the administrator configures; paths are absolute.
  nonisolated public struct Files: Equatable, Sendable {
    /// PEM, the server's certificate first, then the chain.
    public var certificate: String
    /// PEM without passphrase; may be the same file as the certificate.
    public var key: String
    /// PEM with the authorities that sign client certificates. Without it no client certificate is asked for.
    public var authority: String?

    public init(certificate: String, key: String, authority: String? = nil) {
      self.certificate = certificate
      self.key = key
      self.authority = authority
    }
  }

  public private(set) var files: Files
  public private(set) var floor: ProtocolFloor
  private let protocols: ApplicationProtocols
  private var givesTickets: Bool
  /// When the certificates that are in use are valid: the server's own, its chain, the authorities.
  public private(set) var validities: [CertificateValidity]
  let output = TLSOutput()
  private var context: OpaquePointer

  /// Reads the files.
  ///
  /// - Parameters:
  ///   - applicationProtocols: names for ALPN, the best first; of those that the client offers the best is agreed upon.
  ///     Without one in common the connection goes on without (RFC 7301 would allow to refuse).
  ///   - givesTickets: a TLS 1.3 client gets a ticket with which it can resume its session. It costs each handshake some
  ///     20 µs, for nothing where clients begin each connection anew.
  /// - Throws: `TLSContextError`, whose text names the file at fault.
  public init(
    files: Files, floor: ProtocolFloor, applicationProtocols: [String] = [], givesTickets: Bool = true
  ) throws(TLSContextError) {
    self.files = files
    self.floor = floor
    self.givesTickets = givesTickets
    protocols = ApplicationProtocols(applicationProtocols)
    (context, validities) = try makeServerContext(files, floor, protocols, givesTickets)
  }

  isolated deinit { SSL_CTX_free(context) }

  /// Reads the files again. On an error the old ones stay in use.
  public func reload() throws(TLSContextError) {
    try reload(files: files, floor: floor, givesTickets: givesTickets)
  }

  /// Switches to other files and rules. On an error the old ones stay in use, all of them.
  public func reload(files: Files, floor: ProtocolFloor, givesTickets: Bool) throws(TLSContextError) {
    let fresh = try makeServerContext(files, floor, protocols, givesTickets)
    SSL_CTX_free(context)
    (context, validities) = fresh
    (self.files, self.floor, self.givesTickets) = (files, floor, givesTickets)
  }

  /// Whether clients are asked for a certificate.
  public var requestsClientCertificate: Bool { files.authority != nil }

  /// A server connection's state in OpenSSL, nil without memory. The caller frees it.
  func makeSession() -> OpaquePointer? { SSL_new(context) }
}

/// Why a context cannot be made from its files.
nonisolated public enum TLSContextError: Error, Equatable, Sendable, CustomStringConvertible {
  case keyUnreadable(path: String)
  case certificateUnreadable(path: String)
  case authorityUnreadable(path: String)
  case badKey(path: String, reason: String)
  case badCertificate(path: String, reason: String)
  case badAuthority(path: String, reason: String)
  case keyDoesNotMatch(key: String, certificate: String)
  case openSSL(reason: String)

  /// Whether a file is missing, or this process may not read it.
  public var isUnreadable: Bool {
    switch self {
    case .keyUnreadable, .certificateUnreadable, .authorityUnreadable: true
    case .badKey, .badCertificate, .badAuthority, .keyDoesNotMatch, .openSSL: false
    }
  }

  // The first three are the sentences that administrators of the Python server know.
  public var description: String {
    switch self {
    case .keyUnreadable(let path): "Keyfile \(path) does not exist or is not readable"
    case .certificateUnreadable(let path): "Certfile \(path) does not exist or is not readable"
    case .authorityUnreadable(let path): "CA \(path) does not exist or is not readable"
    case .badKey(let path, let reason): "key \(path) cannot be used: \(reason)"
    case .badCertificate(let path, let reason): "certificate \(path) cannot be used: \(reason)"
    case .badAuthority(let path, let reason): "CA \(path) cannot be used: \(reason)"
    case .keyDoesNotMatch(let key, let certificate): "key \(key) does not match certificate \(certificate)"
    case .openSSL(let reason): "TLS cannot be set up: \(reason)"
    }
  }
}

/// Names for ALPN as the wire lists them, each after a byte with its length, in memory that stays where it is: OpenSSL
/// copies a chosen name after the callback returned.
nonisolated private final class ApplicationProtocols: Sendable {
  nonisolated(unsafe) let list: UnsafeMutableBufferPointer<UInt8>

  /// - Parameter names: of 1...255 bytes each (RFC 7301).
  init(_ names: [String]) {
    var bytes: [UInt8] = []
    for name in names {
      precondition((1...255).contains(name.utf8.count), "a protocol's name has 1 to 255 bytes")
      bytes.append(UInt8(name.utf8.count))
      bytes += name.utf8
    }
    list = .allocate(capacity: bytes.count)
    _ = list.initialize(from: bytes)
  }

  deinit { list.deallocate() }
}

/// The sessions that a TLS 1.2 client without tickets may resume are bytes on our side, so their number is bounded.
nonisolated private let cachedSessions = 256
/// Sessions are resumed only in the context that they came from; OpenSSL refuses resumption without one as soon as
/// client certificates are verified (SSL_CTX_set_session_id_context(3)).
nonisolated private let sessionContext: [UInt8] = Array("TLSContext".utf8)
/// TLS 1.0 and 1.1 sign with SHA-1 and MD5, which OpenSSL 3 allows at security level 0 only.
nonisolated private let cipherStringOfTLS10 = "DEFAULT:!aNULL:!eNULL:!EXPORT:@SECLEVEL=0"

nonisolated private func makeServerContext(
  _ files: TLSContext.Files, _ floor: TLSContext.ProtocolFloor, _ protocols: ApplicationProtocols, _ givesTickets: Bool
) throws(TLSContextError) -> (OpaquePointer, [CertificateValidity]) {
  let key = try PEMFile(files.key, kind: .key)
  let certificate = try PEMFile(files.certificate, kind: .certificate)
  let authority: PEMFile?
  if let path = files.authority { authority = try PEMFile(path, kind: .authority) } else { authority = nil }
  ERR_clear_error()
  guard let context = SSL_CTX_new(TLS_server_method()) else { throw .openSSL(reason: drainOpenSSLErrors().text) }
  do {
    try configure(context, floor, protocols, givesTickets)
    try loadCertificate(context, certificate)
    try loadKey(context, key, files)
    if let authority { try requestClientCertificates(context, authority) }
    try fixChain(context, files)
  } catch {
    SSL_CTX_free(context)
    throw error
  }
  return (context, certificate.validities + (authority?.validities ?? []))
}

nonisolated private func configure(
  _ context: OpaquePointer, _ floor: TLSContext.ProtocolFloor, _ protocols: ApplicationProtocols, _ givesTickets: Bool
) throws(TLSContextError) {
  copenssl_set_server_options(context)
  copenssl_set_mode(
    context,
    CLong(SSL_MODE_RELEASE_BUFFERS) | CLong(SSL_MODE_ENABLE_PARTIAL_WRITE) | CLong(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
  copenssl_set_read_ahead(context, 1)
  copenssl_set_session_cache(context, CLong(SSL_SESS_CACHE_SERVER), cachedSessions)
  // One ticket is enough: a client that resumes at all runs one connection after the other.
  SSL_CTX_set_num_tickets(context, givesTickets ? 1 : 0)
  if !protocols.list.isEmpty {
    SSL_CTX_set_alpn_select_cb(context, selectProtocol, Unmanaged.passUnretained(protocols).toOpaque())
  }
  // A key with a passphrase must fail instead of asking on a terminal that the daemon may have.
  SSL_CTX_set_default_passwd_cb(context, refusePassphrase)
  var accepted = sessionContext.withUnsafeBufferPointer {
    SSL_CTX_set_session_id_context(context, $0.baseAddress, UInt32($0.count)) == 1
  }
  switch floor {
  case .tls12:
    accepted = accepted && copenssl_set_min_proto_version(context, TLS1_2_VERSION) == 1
  case .tls10:
    accepted = accepted && copenssl_set_min_proto_version(context, TLS1_VERSION) == 1
    accepted = accepted && SSL_CTX_set_cipher_list(context, cipherStringOfTLS10) == 1
  }
  guard accepted else { throw .openSSL(reason: drainOpenSSLErrors().text) }
}

nonisolated private func loadCertificate(_ context: OpaquePointer, _ file: PEMFile) throws(TLSContextError) {
  ERR_clear_error()
  guard file.withBIO({ copenssl_use_chain(context, $0) }) == 1 else { throw file.error(drainOpenSSLErrors()) }
}

nonisolated private func loadKey(
  _ context: OpaquePointer, _ file: PEMFile, _ files: TLSContext.Files
) throws(TLSContextError) {
  ERR_clear_error()
  guard let key = file.withBIO({ PEM_read_bio_PrivateKey($0, nil, refusePassphrase, nil) }) else {
    throw file.error(drainOpenSSLErrors())
  }
  defer { EVP_PKEY_free(key) }
  guard SSL_CTX_use_PrivateKey(context, key) == 1 else {
    let errors = drainOpenSSLErrors()
    if errors.contains(library: ERR_LIB_X509, reason: X509_R_KEY_VALUES_MISMATCH)
      || errors.contains(library: ERR_LIB_X509, reason: X509_R_KEY_TYPE_MISMATCH)
    {
      throw .keyDoesNotMatch(key: files.key, certificate: files.certificate)
    }
    throw file.error(errors)
  }
  // A key of another type than the certificate's gets its own place in the context and fails only here.
  ERR_clear_error()
  guard SSL_CTX_check_private_key(context) == 1 else {
    ERR_clear_error()
    throw .keyDoesNotMatch(key: files.key, certificate: files.certificate)
  }
}

/// What goes with the certificate is chosen once, with what the context trusts by now.
nonisolated private func fixChain(_ context: OpaquePointer, _ files: TLSContext.Files) throws(TLSContextError) {
  ERR_clear_error()
  guard copenssl_fix_chain(context) == 1 else {
    throw .badCertificate(path: files.certificate, reason: drainOpenSSLErrors().sentence)
  }
}

/// A client without certificate is served, one with a certificate that the authority did not sign is not, as with Python's
/// ssl.CERT_OPTIONAL.
nonisolated private func requestClientCertificates(_ context: OpaquePointer, _ authority: PEMFile)
  throws(TLSContextError)
{
  ERR_clear_error()
  guard authority.withBIO({ copenssl_trust(context, $0) }) > 0 else { throw authority.error(drainOpenSSLErrors()) }
  ERR_clear_error()
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
}

// Called by OpenSSL, hence isolated to nobody.

/// Chooses the best of our protocols that the client offers; goes on without ALPN where it offers none of them.
nonisolated private func selectProtocol(
  _ session: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
  _ chosenCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredCount: UInt32,
  _ argument: UnsafeMutableRawPointer?
) -> CInt {
  guard let chosen, let chosenCount, let offered, offeredCount > 0, let argument else { return SSL_TLSEXT_ERR_NOACK }
  let protocols = Unmanaged<ApplicationProtocols>.fromOpaque(argument).takeUnretainedValue()
  var found: UnsafeMutablePointer<UInt8>?
  let outcome = SSL_select_next_proto(
    &found, chosenCount, protocols.list.baseAddress, UInt32(protocols.list.count), offered, offeredCount)
  guard outcome == OPENSSL_NPN_NEGOTIATED, let found else { return SSL_TLSEXT_ERR_NOACK }
  chosen.pointee = UnsafePointer(found)
  return SSL_TLSEXT_ERR_OK
}
