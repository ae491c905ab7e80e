import COpenSSL
import Glibc

@testable import EventLoop

/// The first byte says what the others are: certificates or revocation lists in PEM, an OCSP response, a certificate in DER. No trap,
/// and what is said of their times is one line.
func fuzzCertificates(_ bytes: [UInt8]) {
  guard let kind = bytes.first, let path = inMemory(bytes.dropFirst()) else { return }
  var found: [CertificateValidity] = []
  switch kind % 4 {
  case 0:
    guard let file = try? PEMFile(path, kind: .authority) else { return }
    found = file.validities
    precondition(file.authorities(withoutListIn: [file]).count <= found.count, "more names than authorities")
  case 1: found = (try? PEMFile(path, kind: .revocationList).listValidities) ?? []
  case 2: found = (try? StatusResponse(path: path, of: context).validity).map { [$0] } ?? []
  default: _ = TLSContext.commonName(ofCertificate: Array(bytes.dropFirst()))
  }
  for validity in found {
    for now in [0, Int64(time(nil)), 32_503_680_000] {
      let sentence = validity.sentence(at: now)
      precondition(sentence?.isEmpty != true && (validity.state(at: now) == .valid) == (sentence == nil))
    }
  }
}

/// A file in memory that holds the bytes, under one path; nil without bytes.
private func inMemory(_ bytes: ArraySlice<UInt8>) -> String? {
  guard !bytes.isEmpty, ftruncate(memory, 0) == 0 else { return nil }
  let count = bytes.withUnsafeBytes { pwrite(memory, $0.baseAddress, $0.count, 0) }
  precondition(count == bytes.count, "memory cannot be written")
  return "/proc/self/fd/\(memory)"
}

private let memory: Int32 = {
  guard let file = try? ChildProcess.anonymousFile([0]) else { preconditionFailure("no file in memory") }
  return file.take()
}()

/// Its certificate is its own issuer's; the seeds are responses about it.
private let context: OpaquePointer = {
  guard let context = SSL_CTX_new(TLS_server_method()) else { preconditionFailure("no context") }
  certificate.withUnsafeBytes { bytes in
    let bio = BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count))
    let own = PEM_read_bio_X509(bio, nil, nil, nil)
    precondition(SSL_CTX_use_certificate(context, own) == 1, "no certificate")
    X509_free(own)
    BIO_free(bio)
  }
  return context
}()

private let certificate = Array(
  """
  -----BEGIN CERTIFICATE-----
  MIIBjDCCATOgAwIBAgIUMaeUwHE/L4ilIXY6leohNReaoFIwCgYIKoZIzj0EAwIw
  GzEZMBcGA1UEAwwQZnV6ei5leGFtcGxlLmNvbTAgFw0yNjExMzAyMDE1MTJaGA8y
  MTI2MTEwNjIwMTUxMlowGzEZMBcGA1UEAwwQZnV6ei5leGFtcGxlLmNvbTBZMBMG
  ByqGSM49AgEGCCqGSM49AwEHA0IABDaZchZpYOHbVFQ1RDuI4aVuhH9bXbG6AwUY
  eIQhE2J0FxHHi/ub4z+ZMqPhdxNJKAwCPXMbqbxJ8cytVPYKFyGjUzBRMB0GA1Ud
  DgQWBBQckgR5H4mdh/LgP7FSTtlwoIvCuzAfBgNVHSMEGDAWgBQckgR5H4mdh/Lg
  P7FSTtlwoIvCuzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIAvx
  KM8lyEDjFTKPlPSWNlkNlNW/G/cQq6/QKkONzlz2AiAYGtw0g8oCdPF552wG9u01
  YFtljprjzZ7Y0wDRbv+CYw==
  -----END CERTIFICATE-----
  """.utf8)
