import COpenSSL

/// What a library with TLS of its own takes from a context: certificate and key, and the decision about a client's
/// certificate. The rules are so the same with every library.
extension TLSContext {
  /// Lends the server's certificate, with its chain behind it, and the key, all in DER. The key is wiped afterwards.
  public func withIdentity<Result, Failure: Error>(
    _ body: (_ certificates: [[UInt8]], _ key: [UInt8]) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard let own = SSL_CTX_get0_certificate(openSSLContext), let key = SSL_CTX_get0_privatekey(openSSLContext) else {
      preconditionFailure("a context has a certificate and its key")
    }
    var certificates = [encoded { i2d_X509(own, $0) }]
    while let next = copenssl_chain_certificate(openSSLContext, CInt(certificates.count - 1)) {
      certificates.append(encoded { i2d_X509(next, $0) })
    }
    var secret = encoded { i2d_PrivateKey(key, $0) }
    defer { secret.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
    return try body(certificates, secret)
  }

  /// Why a client's certificate would be refused, in OpenSSL's words; nil: it is accepted.
  ///
  /// - Parameter chain: the certificates that the client sent, in DER, one behind the other, its own first.
  public func clientCertificateFault(chain: [UInt8]) -> String? {
    let result = copenssl_verify_client_chain(openSSLContext, chain, CLong(chain.count))
    ERR_clear_error()
    return result == X509_V_OK ? nil : String(cString: X509_verify_cert_error_string(CLong(result)))
  }

  /// The last common name of the subject of a certificate in DER, which may have others behind it; nil without one.
  nonisolated public static func commonName(ofCertificate bytes: [UInt8]) -> String? {
    bytes.withUnsafeBufferPointer { buffer in
      var start = buffer.baseAddress
      let certificate = d2i_X509(nil, &start, CLong(buffer.count))
      ERR_clear_error()
      guard let certificate else { return nil }
      defer { X509_free(certificate) }
      return lastCommonName(of: X509_get_subject_name(certificate))
    }
  }
}

/// What one of OpenSSL's functions writes, which says the size if it is given no place.
nonisolated private func encoded(_ write: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> CInt) -> [UInt8] {
  let size = Int(write(nil))
  precondition(size > 0, "OpenSSL cannot encode what it has read")
  return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
    var place = buffer.baseAddress
    count = Int(write(&place))
  }
}
