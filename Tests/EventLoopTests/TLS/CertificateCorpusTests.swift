import COpenSSL
import Support
import Testing

@testable import EventLoop

/// Seeds of the fuzz target of certificates: the first byte says what the others are.
@Suite struct CertificateCorpusTests {
  private let folder = TemporaryDirectory()

  private func path(_ name: String) throws -> String {
    let file = try #require(try Corpus.files("certificates").first { $0.name == name })
    return folder.write(Array(file.bytes.dropFirst()), to: name)
  }

  @Test func timesAreRead() throws {
    let certificates = try PEMFile(path("certificate"), kind: .authority).validities
    #expect(certificates.map(\.name) == ["fuzz.example.com"] && certificates[0].state(at: 2_000_000_000) == .valid)
    let lists = try PEMFile(path("revocation-list"), kind: .revocationList).listValidities
    #expect(lists.map(\.name) == ["fuzz.example.com"] && lists[0].state(at: 2_000_000_000) == .valid)
    let authority = try PEMFile(path("certificate"), kind: .authority)
    #expect(authority.authorities(withoutListIn: [try PEMFile(path("revocation-list"), kind: .revocationList)]) == [])
    let der = try #require(try Corpus.files("certificates").first { $0.name == "certificate-der" })
    #expect(TLSContext.commonName(ofCertificate: Array(der.bytes.dropFirst())) == "fuzz.example.com")
  }

  /// OpenSSL reads the rest, and says of these times only that they are none.
  @Test func aTimeThatIsNoneHasEnded() throws {
    let list = try PEMFile(path("revocation-list-bad-time"), kind: .revocationList).listValidities
    #expect(list.count == 1 && list[0].state(at: 0) == .ended)
    #expect(
      list.first?.sentence(at: 0)
        == "revocation list \(folder.file("revocation-list-bad-time")) (CN fuzz.example.com) has expired on "
        + "an unreadable date: certificates of its authority are refused")
    let certificate = try PEMFile(path("certificate-bad-time"), kind: .certificate).validities
    #expect(certificate.first?.sentence(at: 0)?.hasSuffix("has expired on an unreadable date") == true)
  }

  @Test func responsesAreChecked() throws {
    let context = try #require(SSL_CTX_new(TLS_server_method()))
    defer { SSL_CTX_free(context) }
    #expect(SSL_CTX_use_certificate_file(context, try path("certificate"), X509_FILETYPE_PEM) == 1)
    #expect(try StatusResponse(path: path("status-response"), of: context).validity.kind == .statusResponse)
    let fault = #expect(throws: StatusResponseFault.self) {
      try StatusResponse(path: path("status-response-revoked"), of: context)
    }
    #expect(fault?.reason == "it says that the certificate is revoked")
  }
}
