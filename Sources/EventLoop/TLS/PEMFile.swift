import COpenSSL
import Glibc

/// A file of a key, certificates, authorities or revocation lists in memory: read once, without waiting, and never by OpenSSL itself, which would
/// wait for a FIFO.
nonisolated final class PEMFile {
  enum Kind {
    case key, certificate, authority, revocationList
  }

  /// Far above any such file: all authorities that a system trusts have some 200 KiB.
  static let limitBytes = 4 << 20

  let path: String
  let kind: Kind
  private var bytes: [UInt8]

  /// - Throws: an error that names the file.
  init(_ path: String, kind: Kind) throws(TLSContextError) {
    self.path = path
    self.kind = kind
    do throws(SystemError) {
      bytes = try RegularFile.read(path, limitBytes: PEMFile.limitBytes)
    } catch {
      guard error.explanation == nil else { throw PEMFile.error(path, kind, error.reason) }
      switch kind {
      case .key: throw .keyUnreadable(path: path)
      case .certificate: throw .certificateUnreadable(path: path)
      case .authority: throw .authorityUnreadable(path: path)
      case .revocationList: throw .revocationListUnreadable(path: path)
      }
    }
  }

  // A key is not to stay in memory that is used again.
  deinit {
    bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
  }

  /// Lends the bytes to OpenSSL.
  func withBIO<Result>(_ body: (OpaquePointer) -> Result) -> Result {
    bytes.withUnsafeBytes {
      guard let bio = BIO_new_mem_buf($0.baseAddress, CInt($0.count)) else {
        preconditionFailure("no memory for a BIO")
      }
      defer { BIO_free(bio) }
      return body(bio)
    }
  }

  /// What is wrong with the file, in one sentence: in plain words where its contents show it, else in OpenSSL's.
  func error(_ errors: OpenSSLErrors) -> TLSContextError {
    let text = String(decoding: bytes, as: UTF8.self)
    let holdsKey = text.contains("PRIVATE KEY-----")
    let holdsCertificate = text.contains("CERTIFICATE-----")
    let reason: String
    if bytes.isEmpty {
      reason = "the file is empty"
    } else if !text.contains("-----BEGIN ") {
      reason = "it is not in PEM form"
    } else if kind == .revocationList, !text.contains("-----BEGIN X509 CRL-----") {
      reason = "it holds no revocation list"
    } else if kind == .key, !holdsKey {
      reason = "it holds no private key"
    } else if kind == .certificate || kind == .authority, !holdsCertificate {
      reason = holdsKey ? "it holds a private key and no certificate" : "it holds no certificate"
    } else if kind == .key, text.contains("ENCRYPTED") {
      reason = "the key has a passphrase, which nobody is there to type; store it without one (openssl pkey)"
    } else {
      reason = errors.isAboutForm ? "its PEM text is damaged (\(errors.sentence))" : errors.sentence
    }
    return PEMFile.error(path, kind, reason)
  }

  private static func error(_ path: String, _ kind: Kind, _ reason: String) -> TLSContextError {
    switch kind {
    case .key: .badKey(path: path, reason: reason)
    case .certificate: .badCertificate(path: path, reason: reason)
    case .authority: .badAuthority(path: path, reason: reason)
    case .revocationList: .badRevocationList(path: path, reason: reason)
    }
  }

  /// When each certificate of the file is valid. What is no certificate is left out.
  var validities: [CertificateValidity] {
    withBIO { bio in
      var found: [CertificateValidity] = []
      while let certificate = PEM_read_bio_X509(bio, nil, refusePassphrase, nil) {
        defer { X509_free(certificate) }
        found.append(
          CertificateValidity(
            path: path, kind: kind == .authority ? .authority : .certificate,
            name: lastCommonName(of: X509_get_subject_name(certificate)),
            begins: Int64(copenssl_seconds(X509_get0_notBefore(certificate))),
            ends: Int64(copenssl_seconds(X509_get0_notAfter(certificate)))))
      }
      ERR_clear_error()
      return found
    }
  }

  /// When each revocation list of the file is valid.
  var listValidities: [CertificateValidity] {
    withBIO { bio in
      var found: [CertificateValidity] = []
      while let list = PEM_read_bio_X509_CRL(bio, nil, refusePassphrase, nil) {
        defer { X509_CRL_free(list) }
        found.append(
          CertificateValidity(
            path: path, kind: .revocationList, name: lastCommonName(of: X509_CRL_get_issuer(list)),
            begins: Int64(copenssl_seconds(X509_CRL_get0_lastUpdate(list))),
            ends: X509_CRL_get0_nextUpdate(list).map { Int64(copenssl_seconds($0)) } ?? .max))
      }
      ERR_clear_error()
      return found
    }
  }

  /// Authorities of this file for which none of some files has a revocation list: their certificates cannot be checked.
  func authorities(withoutListIn files: [PEMFile]) -> [String] {
    var lists: [OpaquePointer] = []
    for file in files {
      file.withBIO { bio in
        while let list = PEM_read_bio_X509_CRL(bio, nil, refusePassphrase, nil) { lists.append(list) }
      }
    }
    defer { for list in lists { X509_CRL_free(list) } }
    let names = withBIO { bio in
      var names: [String] = []
      while let certificate = PEM_read_bio_X509(bio, nil, refusePassphrase, nil) {
        defer { X509_free(certificate) }
        let subject = X509_get_subject_name(certificate)
        if lists.contains(where: { X509_NAME_cmp(X509_CRL_get_issuer($0), subject) == 0 }) { continue }
        names.append(lastCommonName(of: subject) ?? "without a common name")
      }
      return names
    }
    ERR_clear_error()
    return names
  }
}

nonisolated extension OpenSSLErrors {
  /// Whether it is the text of a file that was not understood, rather than what it says.
  fileprivate var isAboutForm: Bool {
    codes.contains { [ERR_LIB_PEM, ERR_LIB_ASN1, ERR_LIB_OSSL_DECODER].contains(copenssl_err_library($0)) }
  }
}

/// A passphrase must fail instead of being asked for on a terminal that the daemon may have.
nonisolated func refusePassphrase(
  _ buffer: UnsafeMutablePointer<CChar>?, _ size: CInt, _ isWriting: CInt, _ argument: UnsafeMutableRawPointer?
) -> CInt { -1 }
