import COpenSSL

/// What OpenSSL put into its error queue during one call, oldest first.
nonisolated struct OpenSSLErrors {
  var codes: [CUnsignedLong] = []
  var texts: [String] = []

  func contains(library: CInt, reason: CInt) -> Bool {
    codes.contains { copenssl_err_library($0) == library && copenssl_err_reason($0) == reason }
  }

  /// The reasons joined by `; `, with the data that OpenSSL adds, such as a file name.
  var text: String { texts.isEmpty ? "no reason given by OpenSSL" : texts.joined(separator: "; ") }

  /// One sentence without a final period: plain words for what administrators meet, else the first reason, which is the
  /// cause of the others.
  var sentence: String {
    let known: [(CInt, CInt, String)] = [
      (ERR_LIB_SSL, SSL_R_EE_KEY_TOO_SMALL, "its key is too short for this machine's OpenSSL"),
      (ERR_LIB_SSL, SSL_R_CA_KEY_TOO_SMALL, "the key of an authority in it is too short for this machine's OpenSSL"),
      (ERR_LIB_SSL, SSL_R_CA_MD_TOO_WEAK, "it is signed with a digest that this machine's OpenSSL finds too weak"),
      (ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER, "the peer and the server have no cipher in common"),
      (ERR_LIB_SSL, SSL_R_UNSUPPORTED_PROTOCOL, "the peer offers only protocols that are switched off here"),
      (ERR_LIB_SSL, SSL_R_VERSION_TOO_LOW, "the peer offers only protocols that are switched off here"),
      (
        ERR_LIB_SSL, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "the peer takes no signature that the server's key can make"
      ),
      (ERR_LIB_SSL, SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not trust the authority of the server's certificate"),
      (ERR_LIB_SSL, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer does not accept the server's certificate"),
      (ERR_LIB_SSL, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer finds the server's certificate damaged"),
      (ERR_LIB_SSL, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "for the peer the server's certificate has expired"),
      (ERR_LIB_SSL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the peer does not speak the protocols that are spoken here"),
    ]
    for (library, reason, sentence) in known where contains(library: library, reason: reason) { return sentence }
    return texts.first ?? "OpenSSL gives no reason"
  }
}

/// Empties the error queue. Call it right after the call that failed; `ERR_clear_error()` before that call keeps out
/// what another connection left behind.
nonisolated func drainOpenSSLErrors() -> OpenSSLErrors {
  var errors = OpenSSLErrors()
  var data: UnsafePointer<CChar>?
  var flags: CInt = 0
  while true {
    let code = ERR_get_error_all(nil, nil, nil, &data, &flags)
    guard code != 0 else { return errors }
    errors.codes.append(code)
    var text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(String(code, radix: 16))"
    if flags & ERR_TXT_STRING != 0, let data, data.pointee != 0 { text += " (\(String(cString: data)))" }
    errors.texts.append(text)
  }
}

/// The failure that an error queue after a TLS call stands for.
nonisolated func transportFailure(for errors: OpenSSLErrors, verifyResult: Int) -> TransportFailure {
  func has(_ reasons: CInt...) -> Bool {
    reasons.contains { errors.contains(library: ERR_LIB_SSL, reason: $0) }
  }
  if has(SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST) { return .plainHTTP }
  if has(SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL) { return .notTLS }
  if has(SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return .certificateRefused(String(cString: X509_verify_cert_error_string(verifyResult)))
  }
  // OpenSSL numbers the alerts it receives from SSL_AD_REASON_OFFSET on.
  if errors.codes.contains(where: {
    copenssl_err_library($0) == ERR_LIB_SSL && copenssl_err_reason($0) > SSL_AD_REASON_OFFSET
  }) {
    return .refusedByPeer(errors.sentence)
  }
  return .tls(errors.sentence)
}
