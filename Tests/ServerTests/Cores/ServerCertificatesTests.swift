import EventLoop
import Glibc
import Logging
import ServerSettings
import Support
import Testing

@testable import Server

/// Files of certificates that change while the server runs.
struct ServerCertificatesTests {
  @Test func listsAndResponseAreReadAgainOnceTheyHaveChanged() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    let log = LogRecorder(level: .notice)
    let certificates = TestCertificates()
    let authority = certificates.makeIdentity(["root"], isAuthority: true)
    let server = certificates.makeIdentity(["server"], signedBy: authority)
    let files = certificates.write(server, as: "server")
    var settings = Settings()
    settings.transportProtocol = "xmlrpc/ssl"
    settings.certificate = files.certificate
    settings.key = files.key
    settings.certificateAuthority = certificates.write(authority, as: "ca").certificate
    let lists = certificates.writeRevocationLists([(authority, [])], as: "crl")
    settings.revocationLists = lists
    settings.statusResponse = "\(certificates.folder)/response"
    let kept = try ServerCertificates(settings, on: loop, logger: log.logger)
    #expect(
      log.take().contains(
        "error OCSP response \(certificates.folder)/response cannot be used: No such file or directory; none is sent"))
    func passAMinute() -> [String] {
      kernel.now = kernel.now + ServerCertificates.interval
      kernel.report([])
      loop.runOnce(wait: .zero)
      return log.take()
    }
    func kinds() -> [CertificateValidity.Kind] { kept.context.validities.map(\.kind) }
    let again = "notice Reading certificates again: revocation lists or OCSP response have changed"
    #expect(passAMinute() == [] && kinds() == [.certificate, .authority, .revocationList])
    certificates.writeStatusResponse(of: server, issuer: authority, as: "response")
    #expect(passAMinute().first == again)
    #expect(kinds() == [.certificate, .authority, .revocationList, .statusResponse])
    let other = certificates.makeIdentity(["other"], isAuthority: true)
    certificates.writeRevocationLists([(authority, [server]), (other, [])], as: "crl")
    #expect(passAMinute().first == again && kinds().count { $0 == .revocationList } == 2)
    // A bad one is told of once, and changes nothing.
    try AtomicFile.writeOver(lists, Array("nothing".utf8))
    #expect(
      passAMinute() == [
        again,
        "error The certificates stay as they are: revocation list \(lists) cannot be used: it is not in PEM form",
      ])
    #expect(passAMinute() == [] && kinds().count { $0 == .revocationList } == 2)
    // One that is away for a moment is no news.
    try #require(rename(lists, lists + ".away") == 0)
    #expect(passAMinute() == [])
    certificates.writeRevocationLists([(authority, [])], as: "crl")
    #expect(passAMinute().first == again && kinds().count { $0 == .revocationList } == 1)
    kept.cancel()
    certificates.writeRevocationLists([(authority, [])], as: "crl")
    #expect(passAMinute() == [])
  }

  @Test func settingsAreComparedByWhatConcernsThem() throws {
    let (loop, _) = FakePoller.makeLoop()
    let certificates = TestCertificates()
    let files = certificates.write(certificates.makeIdentity(["one"], isAuthority: true), as: "one")
    var settings = Settings()
    settings.certificate = files.certificate
    settings.key = files.key
    let kept = try ServerCertificates(settings, on: loop, logger: LogRecorder().logger)
    #expect(!kept.differs(from: settings))
    settings.acceptsPasswords = false
    #expect(!kept.differs(from: settings))
    for path in [\ServerOptions.certificateAuthority, \.revocationLists, \.statusResponse] {
      var changed = settings
      changed[dynamicMember: path] = files.certificate
      #expect(kept.differs(from: changed))
    }
    settings.certificateAuthority = files.certificate
    kept.reload(settings)
    #expect(!kept.differs(from: settings) && kept.context.requestsClientCertificate)
    kept.cancel()
  }
}
