import COpenSSL

/// Names of a certificate, as OpenSSL reads them.
nonisolated enum CertificateName {
  /// The last common name of the subject; nil where it has none, or one that is no text.
  static func common(ofPEM pem: [UInt8]) -> String? {
    guard let length = Int32(exactly: pem.count) else { return nil }
    return pem.withUnsafeBytes { bytes in
      defer { ERR_clear_error() }
      guard let input = BIO_new_mem_buf(bytes.baseAddress, length) else { return nil }
      defer { BIO_free(input) }
      guard let certificate = PEM_read_bio_X509(input, nil, nil, nil) else { return nil }
      defer { X509_free(certificate) }
      return last(NID_commonName, of: X509_get_subject_name(certificate))
    }
  }

  private static func last(_ kind: Int32, of subject: OpaquePointer?) -> String? {
    var last: Int32 = -1
    var next = X509_NAME_get_index_by_NID(subject, kind, -1)
    while next >= 0 {
      last = next
      next = X509_NAME_get_index_by_NID(subject, kind, last)
    }
    guard last >= 0, let value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)) else { return nil }
    var text: UnsafeMutablePointer<UInt8>?
    let count = ASN1_STRING_to_UTF8(&text, value)
    guard count >= 0, let text else { return nil }
    defer { CRYPTO_free(text, "", 0) }
    // By its length: a zero byte does not end a name.
    return String(validating: UnsafeBufferPointer(start: text, count: Int(count)), as: UTF8.self)
  }
}
