import COpenSSL
import Glibc

/// Lends a time so many seconds from now.
private func withTime(_ seconds: Int, _ body: (UnsafeMutablePointer<ASN1_TIME>) -> Void) {
  guard let time = X509_gmtime_adj(nil, CLong(seconds)) else { preconditionFailure("no memory for a time") }
  defer { ASN1_TIME_free(time) }
  body(time)
}

/// What authorities say of certificates after they made them.
extension TestCertificates {
  /// What a responder says, as OpenSSL numbers it (V_OCSP_CERTSTATUS_GOOD and the like).
  public enum Status: CInt {
    case good, revoked, unknown
  }

  /// Writes `NAME` with a revocation list of each authority; returns its path.
  ///
  /// - Parameters:
  ///   - age: seconds since the lists were made.
  ///   - life: seconds until their end, nil for none.
  @discardableResult
  public func writeRevocationLists(
    _ lists: [(authority: TestIdentity, revoked: [TestIdentity])], as name: String, age: Int = 3600, life: Int? = 86400
  ) -> String {
    let path = "\(folder)/\(name)"
    let file = BIO_new_file(path + ".new", "w")
    for (authority, revoked) in lists {
      let list = X509_CRL_new()!
      defer { X509_CRL_free(list) }
      X509_CRL_set_version(list, 1)
      X509_CRL_set_issuer_name(list, X509_get_subject_name(authority.certificate))
      withTime(-age) { _ = X509_CRL_set1_lastUpdate(list, $0) }
      if let life { withTime(life) { _ = X509_CRL_set1_nextUpdate(list, $0) } }
      for identity in revoked {
        let entry = X509_REVOKED_new()!
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(identity.certificate))
        withTime(-age) { _ = X509_REVOKED_set_revocationDate(entry, $0) }
        X509_CRL_add0_revoked(list, entry)
      }
      X509_CRL_sort(list)
      precondition(X509_CRL_sign(list, authority.key, EVP_sha256()) > 0, "the list cannot be signed")
      precondition(PEM_write_bio_X509_CRL(file, list) == 1)
    }
    BIO_free(file)
    precondition(rename(path + ".new", path) == 0)
    return path
  }

  /// Writes `NAME` with what a responder says of a certificate; returns its path.
  ///
  /// - Parameters:
  ///   - life: seconds until its end, nil for none.
  @discardableResult
  public func writeStatusResponse(
    of identity: TestIdentity, issuer: TestIdentity, signer: TestIdentity? = nil,
    status: Status = .good, age: Int = 3600, life: Int? = 86400, as name: String
  ) -> String {
    let basic = OCSP_BASICRESP_new()!
    defer { OCSP_BASICRESP_free(basic) }
    let id = OCSP_cert_to_id(EVP_sha1(), identity.certificate, issuer.certificate)
    defer { OCSP_CERTID_free(id) }
    withTime(-age) { from in
      func add(_ until: UnsafeMutablePointer<ASN1_TIME>?) {
        let isRevoked = status == .revoked
        precondition(OCSP_basic_add1_status(basic, id, status.rawValue, 0, isRevoked ? from : nil, from, until) != nil)
      }
      if let life { withTime(life) { add($0) } } else { add(nil) }
    }
    let signer = signer ?? issuer
    precondition(OCSP_basic_sign(basic, signer.certificate, signer.key, EVP_sha256(), nil, 0) == 1)
    let response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic)!
    defer { OCSP_RESPONSE_free(response) }
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = i2d_OCSP_RESPONSE(response, &bytes)
    precondition(count > 0)
    defer { CRYPTO_free(bytes, #fileID, #line) }
    let path = "\(folder)/\(name)"
    let file = BIO_new_file(path, "w")
    precondition(BIO_write(file, bytes, count) == count)
    BIO_free(file)
    return path
  }
}
