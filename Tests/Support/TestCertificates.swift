import COpenSSL
public import EventLoop

/// A certificate with its key, both as OpenSSL objects that live as long as this one.
public final class TestIdentity {
  public let certificate: OpaquePointer
  public let key: OpaquePointer

  init(certificate: OpaquePointer, key: OpaquePointer) {
    self.certificate = certificate
    self.key = key
  }

  /// Reads PEM files.
  public init(certificate path: String, key keyPath: String) {
    let certificateFile = BIO_new_file(path, "r")
    let keyFile = BIO_new_file(keyPath, "r")
    guard let certificate = PEM_read_bio_X509(certificateFile, nil, nil, nil),
      let key = PEM_read_bio_PrivateKey(keyFile, nil, nil, nil)
    else { preconditionFailure("\(path) and \(keyPath) are no certificate and key") }
    BIO_free(certificateFile)
    BIO_free(keyFile)
    self.certificate = certificate
    self.key = key
  }

  isolated deinit {
    X509_free(certificate)
    EVP_PKEY_free(key)
  }
}

/// Certificates of P-256 keys made on the spot, and a folder of their own for the PEM files.
public final class TestCertificates {
  private let directory = TemporaryDirectory()
  public nonisolated var folder: String { directory.path }
  private var serial = 0

  public init() {}

  /// A certificate for these common names, in order; signed by `authority`, or by itself.
  public func makeIdentity(_ commonNames: [String], isAuthority: Bool = false, signedBy authority: TestIdentity? = nil)
    -> TestIdentity
  {
    let key = makeKey()
    let certificate = X509_new()!
    serial += 1
    X509_set_version(certificate, 2)
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600)
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400)
    X509_set_pubkey(certificate, key)
    let subject = X509_get_subject_name(certificate)
    for name in commonNames {
      let bytes = Array(name.utf8)
      X509_NAME_add_entry_by_NID(subject, NID_commonName, 0x1000, bytes, CInt(bytes.count), -1, 0)
    }
    X509_set_issuer_name(certificate, X509_get_subject_name(authority?.certificate ?? certificate))
    let constraints = X509V3_EXT_conf_nid(
      nil, nil, NID_basic_constraints, isAuthority ? "critical,CA:TRUE" : "CA:FALSE")
    X509_add_ext(certificate, constraints, -1)
    X509_EXTENSION_free(constraints)
    precondition(X509_sign(certificate, authority?.key ?? key, EVP_sha256()) > 0, "the certificate cannot be signed")
    return TestIdentity(certificate: certificate, key: key)
  }

  /// Writes `NAME.crt` and `NAME.key`; returns their paths.
  @discardableResult
  public func write(_ identity: TestIdentity, as name: String) -> TLSContext.Files {
    let files = TLSContext.Files(certificate: "\(folder)/\(name).crt", key: "\(folder)/\(name).key")
    let certificate = BIO_new_file(files.certificate, "w")
    precondition(PEM_write_bio_X509(certificate, identity.certificate) == 1)
    BIO_free(certificate)
    let key = BIO_new_file(files.key, "w")
    precondition(PEM_write_bio_PrivateKey(key, identity.key, nil, nil, 0, nil, nil) == 1)
    BIO_free(key)
    return files
  }

  private func makeKey() -> OpaquePointer {
    let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil)
    defer { EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    precondition(EVP_PKEY_keygen_init(context) == 1)
    precondition(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1)
    precondition(EVP_PKEY_keygen(context, &key) == 1)
    return key!
  }
}
