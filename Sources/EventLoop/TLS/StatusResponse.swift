import COpenSSL
import Glibc

/// Why a response cannot be sent.
nonisolated struct StatusResponseFault: Error, CustomStringConvertible {
  let path: String
  let reason: String

  var description: String { "OCSP response \(path) cannot be used: \(reason)" }
}

/// What an OCSP responder says of the server's certificate (RFC 6960), as clients get it that ask with the extension
/// status_request (RFC 6066, section 8). The server fetches none: a program of the site does.
nonisolated final class StatusResponse: Sendable {
  /// Such a response has a few KiB, with the responder's certificate.
  static let limitBytes = 64 << 10

  private let path: String
  private let bytes: [UInt8]
  /// Seconds since 1970.
  private let begins: Int64
  private let ends: Int64

  /// Reads a file and checks that it is about the context's certificate, signed for its issuer, good and valid now.
  convenience init(path: String, of context: OpaquePointer) throws(StatusResponseFault) {
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try RegularFile.read(path, limitBytes: Self.limitBytes)
    } catch {
      throw StatusResponseFault(path: path, reason: error.reason)
    }
    try self.init(bytes, path, context)
  }

  private init(_ bytes: [UInt8], _ path: String, _ context: OpaquePointer) throws(StatusResponseFault) {
    var (begins, ends): (CLongLong, CLongLong) = (0, 0)
    let fault = bytes.withUnsafeBufferPointer {
      copenssl_check_response(context, $0.baseAddress, CLong($0.count), &begins, &ends)
    }
    if let fault { throw StatusResponseFault(path: path, reason: String(cString: fault)) }
    self.path = path
    self.bytes = bytes
    self.begins = Int64(begins)
    self.ends = Int64(ends)
  }

  /// The same for another context, if it can be sent with that.
  func checked(with context: OpaquePointer) throws(StatusResponseFault) -> StatusResponse {
    try StatusResponse(bytes, path, context)
  }

  /// When it is valid.
  var validity: CertificateValidity {
    CertificateValidity(path: path, kind: .statusResponse, name: nil, begins: begins, ends: ends)
  }

  /// Sends it from now on with connections of the context, which keeps it: connections may outlive what made them.
  func send(with context: OpaquePointer) {
    let kept = Unmanaged.passRetained(self)
    guard SSL_CTX_set_ex_data(context, responseIndex, kept.toOpaque()) == 1 else {
      kept.release()
      return
    }
    copenssl_on_status_request(context, answerStatusRequest)
  }

  /// What a client gets that asks. Nothing once it has expired, with which clients can do better.
  fileprivate func answer(_ session: OpaquePointer) -> CInt {
    guard Int64(time(nil)) <= ends, bytes.withUnsafeBytes({ copenssl_staple(session, $0.baseAddress, $0.count) }) == 1
    else { return SSL_TLSEXT_ERR_NOACK }
    return SSL_TLSEXT_ERR_OK
  }
}

/// The place of the response in a context, which releases it with itself.
nonisolated private let responseIndex = copenssl_context_index { _, response, _, _, _, _ in
  if let response { Unmanaged<StatusResponse>.fromOpaque(response).release() }
}

// Called by OpenSSL, hence isolated to nobody.
nonisolated private func answerStatusRequest(_ session: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) -> CInt {
  guard let session, let context = SSL_get_SSL_CTX(session),
    let response = SSL_CTX_get_ex_data(context, responseIndex)
  else { return SSL_TLSEXT_ERR_NOACK }
  return Unmanaged<StatusResponse>.fromOpaque(response).takeUnretainedValue().answer(session)
}
