import EventLoop
import Support
import Testing

@testable import Administration

@Suite struct CertificateNameTests {
  @Test(arguments: [
    (["bcfg2.example.com"], "bcfg2.example.com"), (["a", "b"], "b"), (["good, CN = bad"], "good, CN = bad"),
    (["x\"y, CN=good, \"", "evil"], "evil"), (["good\u{0}evil"], "good\u{0}evil"), (["ü"], "ü"), ([], nil),
  ])
  func commonNameIsTheLastWhole(_ names: [String], _ expected: String?) throws {
    let certificates = TestCertificates()
    let files = certificates.write(certificates.makeIdentity(names), as: "c")
    let pem = try AtomicFile.readFile(files.certificate, limitBytes: 65536)
    #expect(CertificateName.common(ofPEM: pem) == expected)
  }

  @Test func whatIsNoCertificateHasNoName() {
    #expect(CertificateName.common(ofPEM: []) == nil)
    #expect(CertificateName.common(ofPEM: Array("Subject:CN = good".utf8)) == nil)
  }
}
