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
    /// PEM with revocation lists of these authorities. Without it no certificate of a client is asked whether it is
    /// revoked. With it each authority of a client's chain needs a list here, or in `authority`.
    public var revocationLists: String?
    /// DER, what an OCSP responder says of the server's certificate: sent to clients that ask.
    public var statusResponse: String?

    public init(
      certificate: String, key: String, authority: String? = nil, revocationLists: String? = nil,
      statusResponse: String? = nil
    ) {
      self.certificate = certificate
      self.key = key
      self.authority = authority
      self.revocationLists = revocationLists
      self.statusResponse = statusResponse
    }
  }

  public private(set) var files: Files
  public private(set) var floor: ProtocolFloor
  private let protocols: ApplicationProtocols
  private var givesTickets: Bool
  /// When what is in use is valid: the server's own certificate, its chain, the authorities, their lists, the response.
  public var validities: [CertificateValidity] { current.validities }
  /// What is wrong with the files although they are in use, each in one sentence.
  public var faults: [String] { current.faults }
  let output = TLSOutput()
  /// Counts how often the files were read again.
  public private(set) var generation = 0
  /// Called after the files were read again: for what is made from them besides.
  public var onReload: (() -> Void)?
  /// Tells how long ago a certificate was checked. Replaced by tests.
  var clock: () -> MonotonicTime = MonotonicTime.now
  private var current: ServerContext

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
    current = try makeServerContext(files, floor, protocols, givesTickets, earlier: nil, unchanged: [])
  }

  /// Reads the files again. On an error the old ones stay in use.
  public func reload() throws(TLSContextError) {
    try reload(files: files, floor: floor, givesTickets: givesTickets)
  }

  /// Switches to other files and rules. On an error the old ones stay in use, all of them.
  ///
  /// - Parameter unchanged: paths of files that are as they were when they were read. One that cannot be read any more, as
  ///   privileges were given up, goes on in use as it was read.
  public func reload(
    files: Files, floor: ProtocolFloor, givesTickets: Bool, unchanged: Set<String> = []
  ) throws(TLSContextError) {
    current = try makeServerContext(
      files, floor, protocols, givesTickets, earlier: current, unchanged: unchanged)
    (self.files, self.floor, self.givesTickets) = (files, floor, givesTickets)
    generation += 1
    onReload?()
  }

  /// What is in use, in OpenSSL.
  var openSSLContext: OpaquePointer { current.context }

  /// Whether clients are asked for a certificate.
  public var requestsClientCertificate: Bool { files.authority != nil }

  /// A server connection's state in OpenSSL, nil without memory. The caller frees it.
  func makeSession() -> OpaquePointer? { SSL_new(current.context) }

  /// Checks certificates as of another time than now, until the files are read again; for tests.
  func pretend(secondsSince1970 seconds: Int) {
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(current.context), seconds)
  }

  /// Why the certificate that a client has sent would be refused by now.
  func clientCertificateFault(of session: OpaquePointer) -> String? {
    let result = copenssl_verify_client_again(current.context, session)
    ERR_clear_error()
    return result == X509_V_OK ? nil : String(cString: X509_verify_cert_error_string(CLong(result)))
  }
}

/// Why a context cannot be made from its files.
nonisolated public enum TLSContextError: Error, Equatable, Sendable, CustomStringConvertible {
  case keyUnreadable(path: String)
  case certificateUnreadable(path: String)
  case authorityUnreadable(path: String)
  case revocationListUnreadable(path: String)
  case badKey(path: String, reason: String)
  case badCertificate(path: String, reason: String)
  case badAuthority(path: String, reason: String)
  case badRevocationList(path: String, reason: String)
  case keyDoesNotMatch(key: String, certificate: String)
  case openSSL(reason: String)

  /// Whether a file is missing, or this process may not read it.
  public var isUnreadable: Bool {
    switch self {
    case .keyUnreadable, .certificateUnreadable, .authorityUnreadable, .revocationListUnreadable: true
    case .badKey, .badCertificate, .badAuthority, .badRevocationList, .keyDoesNotMatch, .openSSL: false
    }
  }

  // The first three are the sentences that administrators of the Python server know.
  public var description: String {
    switch self {
    case .keyUnreadable(let path): "Keyfile \(path) does not exist or is not readable"
    case .certificateUnreadable(let path): "Certfile \(path) does not exist or is not readable"
    case .authorityUnreadable(let path): "CA \(path) does not exist or is not readable"
    case .revocationListUnreadable(let path): "Revocation list \(path) does not exist or is not readable"
    case .badKey(let path, let reason): "key \(path) cannot be used: \(reason)"
    case .badCertificate(let path, let reason): "certificate \(path) cannot be used: \(reason)"
    case .badAuthority(let path, let reason): "CA \(path) cannot be used: \(reason)"
    case .badRevocationList(let path, let reason): "revocation list \(path) cannot be used: \(reason)"
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

/// OpenSSL's context, and what was found out about its files.
nonisolated private final class ServerContext {
  let context: OpaquePointer
  let validities: [CertificateValidity]
  let faults: [String]
  let response: StatusResponse?
  /// What it was made from.
  let files: [PEMFile]

  init(
    _ context: OpaquePointer, from files: [PEMFile], validities: [CertificateValidity], faults: [String],
    response: StatusResponse?
  ) {
    self.context = context
    self.files = files
    self.validities = validities
    self.faults = faults
    self.response = response
  }

  deinit { SSL_CTX_free(context) }
}

/// - Parameters:
///   - earlier: what was in use until now, for what can no longer be read or used.
///   - unchanged: paths of files of which `earlier` has the contents.
nonisolated private func makeServerContext(
  _ files: TLSContext.Files, _ floor: TLSContext.ProtocolFloor, _ protocols: ApplicationProtocols, _ givesTickets: Bool,
  earlier: ServerContext?, unchanged: Set<String>
) throws(TLSContextError) -> ServerContext {
  func read(_ path: String, _ kind: PEMFile.Kind) throws(TLSContextError) -> PEMFile {
    do {
      return try PEMFile(path, kind: kind)
    } catch {
      guard error.isUnreadable, unchanged.contains(path),
        let known = earlier?.files.first(where: { $0.path == path && $0.kind == kind })
      else { throw error }
      return known
    }
  }
  let key = try read(files.key, .key)
  let certificate = try read(files.certificate, .certificate)
  var authority: PEMFile?
  var lists: PEMFile?
  if let path = files.authority {
    authority = try read(path, .authority)
    if let path = files.revocationLists { lists = try read(path, .revocationList) }
  }
  ERR_clear_error()
  guard let context = SSL_CTX_new(TLS_server_method()) else { throw .openSSL(reason: drainOpenSSLErrors().text) }
  do {
    try configure(context, floor, protocols, givesTickets)
    try loadCertificate(context, certificate)
    try loadKey(context, key, files)
    if let authority { try requestClientCertificates(context, authority) }
    if let lists { try checkRevocation(context, lists) }
    try fixChain(context, files)
  } catch {
    SSL_CTX_free(context)
    throw error
  }
  var validities = certificate.validities + (authority?.validities ?? []) + (lists?.listValidities ?? [])
  var faults: [String] = []
  if let authority, let lists {
    faults += authority.authorities(withoutListIn: [lists, authority]).map {
      "revocation list \(lists.path) has no list of CA \($0): its certificates are refused"
    }
  }
  var response: StatusResponse?
  if let path = files.statusResponse {
    do throws(StatusResponseFault) {
      response = try StatusResponse(path: path, of: context)
    } catch {
      // The certificate may have changed with it.
      response = try? earlier?.response?.checked(with: context)
      faults.append("\(error); \(response == nil ? "none is sent" : "the last one is still sent")")
    }
    if let response {
      response.send(with: context)
      validities.append(response.validity)
    }
  }
  let read = [key, certificate] + [authority, lists].compactMap(\.self)
  return ServerContext(context, from: read, validities: validities, faults: faults, response: response)
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
  guard copenssl_resume_strangers_only(context) == 1 else { throw .openSSL(reason: drainOpenSSLErrors().text) }
}

/// A client's certificate is refused if a list has it, and if a list is missing or has expired for an authority of its
/// chain: whoever can keep new lists from the server could otherwise use a revoked certificate.
nonisolated private func checkRevocation(_ context: OpaquePointer, _ lists: PEMFile) throws(TLSContextError) {
  ERR_clear_error()
  guard lists.withBIO({ copenssl_add_revocation_lists(context, $0) }) > 0, copenssl_check_revocation(context) == 1
  else {
    throw lists.error(drainOpenSSLErrors())
  }
  ERR_clear_error()
  // OpenSSL looks at times when it checks a certificate, which it then refuses.
  guard !lists.listValidities.contains(where: \.hasUnreadableTime) else {
    throw .badRevocationList(path: lists.path, reason: "a time in it cannot be read")
  }
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
