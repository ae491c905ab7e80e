import Glibc

/// The outcome of a step that moves no bytes of the caller's: a handshake, a flush, a shutdown.
nonisolated public enum StepOutcome: Equatable, Sendable {
  /// The step is complete.
  case done
  /// Call again when the descriptor is readable.
  case wantRead
  /// Call again when the descriptor is writable.
  case wantWrite
  /// The peer ended the connection in order.
  case closed
  /// The connection is unusable.
  case failed(TransportFailure)
}

/// The outcome of a read or a write.
nonisolated public enum TransferOutcome: Equatable, Sendable {
  /// So many bytes of the caller's buffer were filled or taken, one at least.
  case bytes(Int)
  /// Call again when the descriptor is readable. Under TLS a write may say so, too.
  case wantRead
  /// Call again when the descriptor is writable. Under TLS a read may say so, too.
  case wantWrite
  /// The peer ended the connection in order.
  case closed
  /// The connection is unusable.
  case failed(TransportFailure)
}

/// Why a connection is unusable.
nonisolated public enum TransportFailure: Error, Equatable, Sendable, CustomStringConvertible {
  /// The peer speaks plain HTTP where TLS is expected; it can be answered with `writeInClear`.
  case plainHTTP
  /// The first bytes are not TLS at all: a scanner, or another protocol on the wrong port.
  case notTLS
  /// The peer's certificate was refused, with OpenSSL's reason.
  case certificateRefused(String)
  /// The peer refused the handshake or the connection by an alert, with OpenSSL's text.
  case refusedByPeer(String)
  /// Any other fault inside TLS, with OpenSSL's text.
  case tls(String)
  /// A socket call failed with this errno.
  case system(CInt)

  /// Whether the peer went away, which is everyday life and no warning.
  public var isPeerGone: Bool {
    switch self {
    case .system(ECONNRESET), .system(EPIPE), .system(ENOTCONN), .system(ETIMEDOUT), .system(ECONNABORTED): true
    default: false
    }
  }

  public var description: String {
    switch self {
    case .plainHTTP: "plain HTTP on the TLS port"
    case .notTLS: "the first bytes are not TLS"
    case .certificateRefused(let reason): "client certificate refused: \(reason)"
    case .refusedByPeer(let text): "refused by the peer: \(text)"
    case .tls(let text): text
    case .system(let code): String(cString: strerror(code))
    }
  }
}

/// A byte stream to one peer that never blocks. Outcomes are values; nothing is thrown.
///
/// A transport may have output of its own: while `hasUnsentOutput` is true the owner waits for the descriptor to be
/// writable and calls `flush()`, whatever else it waits for.
public protocol Transport: AnyObject {
  /// The socket, for the event loop. The owner of the transport closes it.
  var descriptor: CInt { get }

  /// Advances the handshake. `.done` once both sides may send; a transport without one says so at once.
  func handshake() -> StepOutcome

  /// Reads bytes below TLS, before the handshake: what a proxy sends first. No more than `buffer` holds, one byte at least.
  func readInClear(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome

  /// As `readInClear`, but leaves the bytes to be read again.
  func peekInClear(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome

  /// Reads what is there into `buffer`, which holds one byte at least.
  func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome

  /// Takes bytes from the front of `bytes` and sends them in as few system calls as it can.
  ///
  /// `.bytes(n)` with n below the count means that the turn's share is used up; `.wantWrite` that the peer reads slower
  /// than we write and nothing was taken.
  func write(_ bytes: UnsafeRawBufferPointer) -> TransferOutcome

  /// As `write`, for bytes after which nothing follows: when all of them are taken, the end of the stream leaves with
  /// them. `shutdown()` is to be called all the same.
  func writeLast(_ bytes: UnsafeRawBufferPointer) -> TransferOutcome

  /// Records that the loop has reported the descriptor as ready. After the first call, a read that has fetched all there
  /// was does not ask the kernel again before the next call: level-triggered epoll reports what comes later.
  func recordReadiness()

  /// Begins a turn: until the next call, handshakes and reads fetch at most this many bytes from the socket, data or not,
  /// and then return `.wantRead`. The rest stays in the kernel, and epoll reports it again.
  func allowInput(upTo limitBytes: Int)

  /// Sends what earlier calls took but the socket did not accept.
  func flush() -> StepOutcome

  /// Tells the peer that nothing follows (close_notify) and half-closes the socket once everything is sent.
  func shutdown() -> StepOutcome

  /// Reads and drops what the peer still sends, without decrypting it. For lingering after `shutdown()`.
  func discardInput(upTo limitBytes: Int) -> TransferOutcome

  /// Sends bytes past TLS, as far as the socket takes them at once: the answer to plain HTTP on a TLS port.
  func writeInClear(_ bytes: UnsafeRawBufferPointer)

  /// Bytes were received that no readiness will announce: read again without waiting.
  var hasBufferedInput: Bool { get }

  /// Bytes taken from the caller wait for the socket.
  var hasUnsentOutput: Bool { get }

  /// The last common name of the subject of the peer's certificate, if it sent one that was accepted.
  var peerCommonName: String? { get }

  /// Why the peer's certificate, accepted at the handshake, would no longer be: a list that was read since then revokes
  /// it, or its authority is no longer trusted. nil where it stands, or where there is none.
  var peerCertificateFault: String? { get }

  /// X509_V_OK (0) when the peer's certificate was verified or it sent none; otherwise OpenSSL's number.
  var verifyResult: Int { get }

  /// The application protocol agreed by ALPN.
  var applicationProtocol: String? { get }

  /// The protocol and cipher for a log line, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`.
  var protocolText: String { get }
}

extension Transport {
  public func writeLast(_ bytes: UnsafeRawBufferPointer) -> TransferOutcome { write(bytes) }
  public func recordReadiness() {}
  public func allowInput(upTo limitBytes: Int) {}
  public var peerCertificateFault: String? { nil }
}
