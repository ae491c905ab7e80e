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
}

/// Empties the error queue. Call it right after the call that failed; `ERR_clear_error()` before that call keeps out
/// what another connection left behind.
nonisolated func takeOpenSSLErrors() -> OpenSSLErrors {
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
    return .refusedByPeer(errors.text)
  }
  return .tls(errors.text)
}
