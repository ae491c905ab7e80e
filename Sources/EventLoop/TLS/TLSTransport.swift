import COpenSSL
import Glibc

/// The server's end of one TLS connection over a nonblocking socket.
///
/// OpenSSL reads from the socket by itself and writes into one loop-wide buffer, which is sent at the end of each call:
/// an answer of up to 64 KiB is one send. While idle the connection keeps no buffer (SSL_MODE_RELEASE_BUFFERS), and
/// before the first step of its handshake nothing of OpenSSL's at all: a peer that connects and says nothing costs 1 KiB
/// instead of 10, and no time.
@MainActor public final class TLSTransport: Transport {
  public let descriptor: CInt
  private let socket: TLSSocket
  private let context: TLSContext
  /// The connection in OpenSSL, from the first step of the handshake on.
  private var session: OpaquePointer?
  /// Set by a fatal outcome: OpenSSL must not be asked for anything more (SSL_get_error(3)).
  private var failure: TransportFailure?
  private var hasHalfClosed = false
  /// When the peer's certificate is checked again.
  private var check: CertificateCheck?
  /// Whether the peer has sent one.
  private var hasPeerCertificate = false
  /// Bytes received when the handshake was complete.
  private var handshakeBytes: Int?
  /// Bytes of data that were read.
  private var dataBytes = 0

  /// Bytes that came from the socket.
  var receivedBytes: Int { socket.receivedBytes }

  /// Bytes that a peer may send without data: framing, key updates, alerts, what has come of the next record. One whole
  /// record is 16 KiB, and the peer may not be known yet.
  static let silentBytes = 32768
  /// And for each byte of data: the smallest records of the oldest ciphers have 85 bytes of framing.
  static let silentBytesPerByte = 100

  /// - Parameters:
  ///   - context: gives the connection its certificate and rules when its handshake begins.
  ///   - descriptor: a nonblocking stream socket. The caller keeps it open as long as the transport lives and closes it
  ///     afterwards.
  public init(context: TLSContext, descriptor: CInt) {
    self.context = context
    self.descriptor = descriptor
    socket = TLSSocket(descriptor: descriptor, output: context.output)
  }

  isolated deinit { SSL_free(session) }

  /// The connection in OpenSSL, made when it is first asked for; nil without memory for it.
  private func begin() -> OpaquePointer? {
    if let session { return session }
    ERR_clear_error()
    guard let fresh = context.makeSession() else { return nil }
    guard let bio = socket.makeBIO() else {
      SSL_free(fresh)
      return nil
    }
    SSL_set_bio(fresh, bio, bio)
    SSL_set_accept_state(fresh)
    session = fresh
    check = CertificateCheck(context)
    return fresh
  }

  // MARK: - Before TLS

  public func readInClear(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
    precondition(session == nil, "the bytes are OpenSSL's")
    return socket.receiveInClear(into: buffer)
  }

  public func peekInClear(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
    precondition(session == nil, "the bytes are OpenSSL's")
    return socket.receiveInClear(into: buffer, flags: CInt(MSG_PEEK))
  }

  // MARK: - Steps

  public func handshake() -> StepOutcome {
    guard begin() != nil else {
      ERR_clear_error()
      failure = .system(ENOMEM)
      return .failed(.system(ENOMEM))
    }
    // A peer that leaves before the handshake is complete has not closed in order, but it is gone.
    let outcome = perform { SSL_do_handshake($0) }
    if outcome == .done {
      handshakeBytes = socket.receivedBytes
      if let session { hasPeerCertificate = copenssl_forget_client(session) == 1 }
    }
    return outcome
  }

  public func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
    var count = 0
    switch perform({ SSL_read_ex($0, buffer.baseAddress, buffer.count, &count) }) {
    case .done:
      dataBytes += count
      return .bytes(count)
    case .wantRead: return isSilent ? refuseSilence() : .wantRead
    case .wantWrite: return isSilent ? refuseSilence() : .wantWrite
    case .closed: return .closed
    case .failed(let failure): return .failed(failure)
    }
  }

  /// Whether the peer sends records without data, each of which costs as much as one with data.
  private var isSilent: Bool {
    let others = socket.receivedBytes - (handshakeBytes ?? 0) - dataBytes
    return others > Self.silentBytes + Self.silentBytesPerByte * dataBytes
  }

  private func refuseSilence() -> TransferOutcome {
    let failure = TransportFailure.tls("more than \(Self.silentBytes) bytes of records without data")
    self.failure = failure
    return .failed(failure)
  }

  public func allowInput(upTo limitBytes: Int) { socket.allowedBytes = limitBytes }

  public func write(_ bytes: UnsafeRawBufferPointer) -> TransferOutcome { write(bytes, isLast: false) }

  public func writeLast(_ bytes: UnsafeRawBufferPointer) -> TransferOutcome { write(bytes, isLast: true) }

  public func recordReadiness() { socket.recordReadiness() }

  private func write(_ bytes: UnsafeRawBufferPointer, isLast: Bool) -> TransferOutcome {
    precondition(!bytes.isEmpty, "OpenSSL gives no meaning to a write of nothing")
    socket.sendUnsent()
    if let failure = socketFailure() { return .failed(failure) }
    guard socket.unsent.isEmpty else { return .wantWrite }
    var taken = 0
    let share = min(bytes.count, TLSOutput.plaintextBytes)
    let outcome = perform { session in
      // One record at a time: OpenSSL returns after each in its partial mode.
      while taken < share {
        var count = 0
        let result = SSL_write_ex(session, bytes.baseAddress! + taken, share - taken, &count)
        guard result == 1 else { return result }
        taken += count
      }
      return isLast && taken == bytes.count ? sendCloseNotify(session) : 1
    }
    if case .failed(let failure) = outcome { return .failed(failure) }
    if taken > 0 { return .bytes(taken) }
    switch outcome {
    case .done: preconditionFailure("OpenSSL wrote nothing and said that it was done")
    case .wantRead: return .wantRead
    case .wantWrite: return .wantWrite
    case .closed: return .closed
    case .failed(let failure): return .failed(failure)
    }
  }

  public func flush() -> StepOutcome {
    socket.sendUnsent()
    if let failure = socketFailure() { return .failed(failure) }
    return socket.unsent.isEmpty ? .done : .wantWrite
  }

  public func shutdown() -> StepOutcome {
    if failure == nil, let session, SSL_is_init_finished(session) == 1,
      SSL_get_shutdown(session) & SSL_SENT_SHUTDOWN == 0
    {
      if case .failed(let failure) = perform({ sendCloseNotify($0) }) { return .failed(failure) }
    }
    switch flush() {
    case .done: break
    case let other: return other
    }
    if !hasHalfClosed {
      hasHalfClosed = true
      // The peer may have reset the connection by now, which the next read reports.
      _ = Glibc.shutdown(descriptor, CInt(SHUT_WR))
    }
    return .done
  }

  private func sendCloseNotify(_ session: OpaquePointer) -> CInt {
    let result = SSL_shutdown(session)
    // 0 means that the peer's close_notify has not come yet; nobody waits for it (RFC 8446, 6.1).
    return result == 0 ? 1 : result
  }

  public func discardInput(upTo limitBytes: Int) -> TransferOutcome {
    socket.discard(upTo: limitBytes)
  }

  public func writeInClear(_ bytes: UnsafeRawBufferPointer) {
    if let session, SSL_is_init_finished(session) == 1 { return }
    _ = socket.send(bytes)
  }

  // MARK: - State

  public var hasBufferedInput: Bool {
    guard failure == nil, let session else { return false }
    return SSL_has_pending(session) == 1
  }

  public var hasUnsentOutput: Bool { !socket.unsent.isEmpty }

  public var verifyResult: Int { session.map { SSL_get_verify_result($0) } ?? Int(X509_V_OK) }

  public var peerCertificateFault: String? {
    guard let session, hasPeerCertificate else { return nil }
    return check?.fault { context.clientCertificateFault(of: session) }
  }

  public var protocolText: String {
    guard let session else { return "" }
    let version = String(cString: SSL_get_version(session))
    guard let cipher = SSL_get_current_cipher(session) else { return version }
    return "\(version) \(String(cString: SSL_CIPHER_get_name(cipher)))"
  }

  public var applicationProtocol: String? {
    guard let session else { return nil }
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    SSL_get0_alpn_selected(session, &name, &count)
    guard let name, count > 0 else { return nil }
    return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
  }

  public var peerCommonName: String? {
    guard let session, let certificate = SSL_get1_peer_certificate(session) else { return nil }
    defer { X509_free(certificate) }
    guard SSL_get_verify_result(session) == CLong(X509_V_OK) else { return nil }
    return lastCommonName(of: X509_get_subject_name(certificate))
  }

  // MARK: - One call into OpenSSL

  /// Runs one call, sends what it gathered, and returns its outcome.
  private func perform(_ call: (OpaquePointer) -> CInt) -> StepOutcome {
    if let failure { return .failed(failure) }
    guard let session else { preconditionFailure("a TLS connection is used before its handshake") }
    ERR_clear_error()
    let result = call(session)
    // SSL_get_error looks at the error queue and must follow the call before anything else.
    let code = result > 0 ? SSL_ERROR_NONE : SSL_get_error(session, result)
    let outcome = outcome(of: code)
    socket.sendGathered()
    if let failure = socketFailure() { return .failed(failure) }
    if case .failed(let failure) = outcome { self.failure = failure }
    return outcome
  }

  private func outcome(of code: CInt) -> StepOutcome {
    switch code {
    case SSL_ERROR_NONE: return .done
    case SSL_ERROR_WANT_READ: return .wantRead
    case SSL_ERROR_WANT_WRITE: return .wantWrite
    case SSL_ERROR_ZERO_RETURN: return .closed
    default:
      let errors = drainOpenSSLErrors()
      if socket.failure == 0, socket.sawEndOfInput, errors.codes.isEmpty { return .closed }
      return .failed(transportFailure(for: errors, verifyResult: verifyResult))
    }
  }

  /// The socket's error, which counts more than what OpenSSL makes of it.
  private func socketFailure() -> TransportFailure? {
    guard socket.failure != 0 else { return nil }
    let failure = TransportFailure.system(socket.failure)
    self.failure = failure
    socket.dropUnsent()
    return failure
  }
}

/// The last common name of a certificate's subject, or of whoever has such a name.
///
/// Python's `dict(rdn[0] for rdn in cert["subject"])` keeps, of several common names, the last, and looks only at the
/// first attribute of each relative distinguished name.
nonisolated func lastCommonName(of subject: OpaquePointer?) -> String? {
  guard let subject else { return nil }
  var found: String?
  var lastSet: CInt = -1
  for index in 0..<X509_NAME_entry_count(subject) {
    guard let entry = X509_NAME_get_entry(subject, index) else { continue }
    let set = X509_NAME_ENTRY_set(entry)
    defer { lastSet = set }
    guard set != lastSet, OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) == NID_commonName else { continue }
    var text: UnsafeMutablePointer<UInt8>?
    let count = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry))
    guard count >= 0, let text else { continue }
    found = String(decoding: UnsafeBufferPointer(start: text, count: Int(count)), as: UTF8.self)
    CRYPTO_free(text, #fileID, #line)
  }
  return found
}
