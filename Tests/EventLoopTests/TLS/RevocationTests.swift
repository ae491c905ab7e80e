import COpenSSL
import Glibc
import Support
import Testing

@testable import EventLoop

/// Clients' certificates that are revoked, and what the server staples to its own.
@Suite struct RevocationTests {
  let certificates = TestCertificates()
  let root: TestIdentity
  let middle: TestIdentity
  /// Signed by the root.
  let one: TestIdentity
  let two: TestIdentity
  /// Signed by the authority in the middle.
  let deep: TestIdentity
  var files: TLSContext.Files

  init() throws {
    root = certificates.makeIdentity(["root"], isAuthority: true)
    middle = certificates.makeIdentity(["middle"], isAuthority: true, signedBy: root)
    one = certificates.makeIdentity(["one"], signedBy: root)
    two = certificates.makeIdentity(["two"], signedBy: root)
    deep = certificates.makeIdentity(["deep"], signedBy: middle)
    files = certificates.write(certificates.makeIdentity(["server"], signedBy: root), as: "server")
    let both = try [root, middle].flatMap { identity in
      try AtomicFile.readFile(certificates.write(identity, as: "authority").certificate, limitBytes: 1 << 16)
    }
    files.authority = "\(certificates.folder)/ca.crt"
    try AtomicFile.writeOver("\(certificates.folder)/ca.crt", both)
  }

  /// The name that a client is known by, or why its certificate is refused.
  private func outcome(_ context: TLSContext, _ identity: TestIdentity?) -> String {
    var options = TestClient.Options()
    options.identity = identity
    let pair = TLSPair(context, options)
    switch pair.handshake() {
    case .done: return pair.server.peerCommonName ?? "nobody"
    case .failed(.certificateRefused(let reason)): return reason
    case let other: return "\(other)"
    }
  }

  @Test func aRevokedCertificateIsRefusedAtTheHandshake() throws {
    var files = files
    files.revocationLists = certificates.writeRevocationLists([(root, [two]), (middle, [])], as: "crl")
    let context = try TLSContext(files: files, floor: .tls12)
    #expect(context.faults == [])
    #expect(outcome(context, one) == "one" && outcome(context, deep) == "deep" && outcome(context, nil) == "nobody")
    #expect(outcome(context, two) == "certificate revoked")
    // Its authority, too.
    certificates.writeRevocationLists([(root, [middle]), (middle, [])], as: "crl")
    try context.reload()
    #expect(outcome(context, two) == "two" && outcome(context, deep) == "certificate revoked")
  }

  @Test func withoutACurrentListNobodyIsAccepted() throws {
    var files = files
    files.revocationLists = certificates.writeRevocationLists([(root, [])], as: "crl")
    let context = try TLSContext(files: files, floor: .tls12)
    #expect(outcome(context, one) == "one" && outcome(context, deep) == "unable to get certificate CRL")
    #expect(
      context.faults == [
        "revocation list \(certificates.folder)/crl has no list of CA middle: its certificates are refused"
      ])
    certificates.writeRevocationLists([(root, []), (middle, [])], as: "crl", age: 7200, life: -60)
    try context.reload()
    #expect(outcome(context, one) == "CRL has expired" && outcome(context, nil) == "nobody")
    let lists = context.validities.filter { $0.kind == .revocationList }
    #expect(lists.map(\.name) == ["root", "middle"])
    #expect(
      lists.first?.sentence(at: Int64(time(nil)))?.hasSuffix(": certificates of its authority are refused") == true)
    certificates.writeRevocationLists([(root, []), (middle, [])], as: "crl", age: -3600)
    try context.reload()
    #expect(outcome(context, one) == "CRL is not yet valid")
    certificates.writeRevocationLists([(root, []), (middle, [])], as: "crl", life: nil)
    try context.reload()
    #expect(outcome(context, one) == "one")
    #expect(context.validities.allSatisfy { $0.kind != .revocationList || $0.state(at: 1 << 40) == .valid })
  }

  @Test func aListOfSomebodyElseRevokesNothing() throws {
    var files = files
    let stranger = certificates.makeIdentity(["root"], isAuthority: true)
    files.revocationLists = certificates.writeRevocationLists([(stranger, [one]), (middle, [])], as: "crl")
    let context = try TLSContext(files: files, floor: .tls12)
    #expect(outcome(context, one) == "CRL signature failure")
  }

  @Test func badListsAreNamedAndTheOldOnesStay() throws {
    var files = files
    let path = certificates.writeRevocationLists([(root, [two]), (middle, [])], as: "crl")
    files.revocationLists = path
    let context = try TLSContext(files: files, floor: .tls12)
    let good = String(decoding: try AtomicFile.readFile(path, limitBytes: 1 << 16), as: UTF8.self)
    let seed = try #require(try Corpus.files("certificates").first { $0.name == "revocation-list-bad-time" })
    let untimely = String(decoding: seed.bytes.dropFirst(), as: UTF8.self)
    for (text, reason) in [
      ("", "the file is empty"), ("x", "it is not in PEM form"),
      ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "it holds no revocation list"),
      (good.replacing("-----BEGIN X509 CRL-----\n", with: "-----BEGIN X509 CRL-----\nAAAA"), nil),
      (untimely, "a time in it cannot be read"),
    ] as [(String, String?)] {
      try AtomicFile.writeOver(path, Array(text.utf8))
      let error = #expect(throws: TLSContextError.self) { try context.reload() }
      let description = try #require(error?.description)
      #expect(description.hasPrefix("revocation list \(path) cannot be used: "))
      if let reason { #expect(description.hasSuffix(reason), "\(description)") }
      #expect(outcome(context, two) == "certificate revoked" && outcome(context, one) == "one")
    }
    unlink(path)
    let error = #expect(throws: TLSContextError.self) { try context.reload() }
    #expect(error == .revocationListUnreadable(path: path) && error?.isUnreadable == true)
    #expect(outcome(context, two) == "certificate revoked")
  }

  @Test func anOpenConnectionLearnsThatItsCertificateIsRevoked() throws {
    var files = files
    files.revocationLists = certificates.writeRevocationLists([(root, []), (middle, [])], as: "crl")
    let context = try TLSContext(files: files, floor: .tls12)
    func connect(_ identity: TestIdentity?) -> TLSPair {
      var options = TestClient.Options()
      options.identity = identity
      let pair = TLSPair(context, options)
      #expect(pair.handshake() == .done)
      return pair
    }
    let (first, second, deep, nobody) = (connect(one), connect(two), connect(deep), connect(nil))
    let pairs = [first, second, deep, nobody]
    #expect(pairs.allSatisfy { $0.server.peerCertificateFault == nil })
    certificates.writeRevocationLists([(root, [two]), (middle, [])], as: "crl")
    try context.reload()
    #expect(second.server.peerCertificateFault == "certificate revoked")
    // It does not become right by being asked again.
    #expect(second.server.peerCertificateFault == "certificate revoked")
    #expect([first, deep, nobody].allSatisfy { $0.server.peerCertificateFault == nil })
    certificates.writeRevocationLists([(root, [middle]), (middle, [])], as: "crl")
    try context.reload()
    #expect(deep.server.peerCertificateFault == "certificate revoked" && first.server.peerCertificateFault == nil)
    // Another authority takes the place of the one that signed it.
    files.revocationLists = nil
    files.authority =
      certificates.write(certificates.makeIdentity(["other"], isAuthority: true), as: "other").certificate
    try context.reload(files: files, floor: .tls12, givesTickets: true)
    #expect(first.server.peerCertificateFault != nil && nobody.server.peerCertificateFault == nil)
    // The connection goes on; who asks decides.
    first.client.send(Array("ping".utf8))
    #expect(first.server.readText().text == "ping")
  }

  /// A resumed session would bring its certificate without a check, and a ticket for the next one.
  @Test(arguments: [0, TLS1_2_VERSION]) func aSessionDoesNotOutliveCertificateAndList(_ newest: CInt) throws {
    var files = files
    files.revocationLists = certificates.writeRevocationLists([(root, []), (middle, [])], as: "crl", life: 3600)
    let context = try TLSContext(files: files, floor: .tls12)
    var options = TestClient.Options()
    options.identity = two
    options.newestProtocol = newest
    let first = TLSPair(context, options)
    #expect(first.handshake() == .done && first.server.write(Array("ticket".utf8)) == .bytes(6))
    _ = first.client.receive()
    options.session = SSL_get1_session(first.client.session)
    defer { SSL_SESSION_free(options.session) }
    context.pretend(secondsSince1970: time(nil) + 3700)
    #expect(TLSPair(context, options).handshake() == .failed(.certificateRefused("CRL has expired")))
    certificates.writeRevocationLists([(root, [two]), (middle, [])], as: "crl")
    try context.reload()
    #expect(TLSPair(context, options).handshake() == .failed(.certificateRefused("certificate revoked")))
    #expect(first.server.peerCertificateFault == "certificate revoked")
  }

  @Test func anOpenConnectionLearnsThatTimeHasPassed() throws {
    var files = files
    files.revocationLists = certificates.writeRevocationLists([(root, []), (middle, [])], as: "crl", life: 3600)
    let context = try TLSContext(files: files, floor: .tls12)
    var now = MonotonicTime.now()
    context.clock = { now }
    var options = TestClient.Options()
    options.identity = one
    let pair = TLSPair(context, options)
    let nobody = TLSPair(context)
    #expect(pair.handshake() == .done && nobody.handshake() == .done)
    context.pretend(secondsSince1970: time(nil) + 3700)
    // Not with each request: it costs as much as a part of a handshake.
    now = now + .seconds(59)
    #expect(pair.server.peerCertificateFault == nil)
    now = now + .seconds(1)
    #expect(pair.server.peerCertificateFault == "CRL has expired" && nobody.server.peerCertificateFault == nil)
    #expect(pair.server.peerCertificateFault == "CRL has expired")
    context.pretend(secondsSince1970: time(nil))
    #expect(pair.server.peerCertificateFault == nil)
  }

  /// What a reload keeps of files that only root could read.
  @Test func whatIsUnchangedNeedNotBeReadable() throws {
    var files = files
    files.revocationLists = certificates.writeRevocationLists([(root, []), (middle, [])], as: "crl")
    let context = try TLSContext(files: files, floor: .tls12)
    try #require(rename(files.key, files.key + ".away") == 0)
    certificates.writeRevocationLists([(root, [two]), (middle, [])], as: "crl")
    #expect(throws: TLSContextError.keyUnreadable(path: files.key)) { try context.reload() }
    #expect(outcome(context, two) == "two")
    try context.reload(files: files, floor: .tls12, givesTickets: true, unchanged: [files.key])
    #expect(outcome(context, two) == "certificate revoked" && outcome(context, one) == "one")
  }

  // MARK: - OCSP

  /// What a client that asks gets with the server's certificate; nil for nothing.
  private func stapled(_ context: TLSContext, asks: Bool = true, newest: CInt = 0) throws -> [UInt8]? {
    var options = TestClient.Options()
    options.newestProtocol = newest
    let client = TestClient(options)
    if asks { copenssl_ask_for_status(client.session) }
    let pair = TLSPair(context, client)
    try #require(pair.handshake() == .done)
    var bytes: UnsafePointer<UInt8>?
    let count = copenssl_stapled_status(client.session, &bytes)
    return bytes.map { Array(UnsafeBufferPointer(start: $0, count: Int(count))) }
  }

  private var server: TestIdentity { certificates.makeIdentity(["stapling"], signedBy: root) }

  @Test func aGoodResponseIsSentToClientsThatAsk() throws {
    let server = server
    var files = certificates.write(server, as: "stapling")
    files.authority = self.files.authority
    files.statusResponse = certificates.writeStatusResponse(of: server, issuer: root, as: "response")
    let context = try TLSContext(files: files, floor: .tls12)
    #expect(context.faults == [])
    let written = try AtomicFile.readFile("\(certificates.folder)/response", limitBytes: 1 << 16)
    for newest in [0, TLS1_2_VERSION] {
      #expect(try stapled(context, newest: newest) == written && stapled(context, asks: false, newest: newest) == nil)
    }
    #expect(context.validities.last?.kind == .statusResponse)
    // A new one takes its place; what began with the old one goes on.
    let early = TLSPair(context)
    early.client.handshake()
    #expect(early.server.handshake() == .wantRead)
    certificates.writeStatusResponse(of: server, issuer: root, life: 7200, as: "response")
    try context.reload()
    #expect(try stapled(context) == AtomicFile.readFile("\(certificates.folder)/response", limitBytes: 1 << 16))
    #expect(early.handshake() == .done)
    files.statusResponse = nil
    try context.reload(files: files, floor: .tls12, givesTickets: true)
    #expect(try stapled(context) == nil)
  }

  @Test func aResponseThatCannotBeUsedIsToldOfAndTheLastGoodOneStays() throws {
    let server = server
    let other = certificates.makeIdentity(["other"], signedBy: root)
    let stranger = certificates.makeIdentity(["root"], isAuthority: true)
    var files = certificates.write(server, as: "stapling")
    files.authority = self.files.authority
    let path = "\(certificates.folder)/response"
    files.statusResponse = path
    let faulty: [(reason: String, write: () throws -> Void)] = [
      ("No such file or directory", { unlink(path) }),
      ("it is no OCSP response in DER form", { try AtomicFile.writeOver(path, Array("junk".utf8)) }),
      ("it is no OCSP response in DER form", { try AtomicFile.writeOver(path, []) }),
      (
        "it is no OCSP response in DER form",
        {
          certificates.writeStatusResponse(of: server, issuer: root, as: "response")
          let bytes = try AtomicFile.readFile(path, limitBytes: 1 << 16)
          try AtomicFile.writeOver(path, bytes + [0])
        }
      ),
      // An error: tryLater.
      (
        "the responder has given an error in place of a response",
        { try AtomicFile.writeOver(path, [48, 3, 10, 1, 3]) }
      ),
      (
        "it is about another certificate", { certificates.writeStatusResponse(of: other, issuer: root, as: "response") }
      ),
      (
        "the issuer of the server's certificate has not signed it",
        { certificates.writeStatusResponse(of: server, issuer: root, signer: stranger, as: "response") }
      ),
      (
        "the issuer of the server's certificate has not signed it",
        { certificates.writeStatusResponse(of: server, issuer: root, signer: other, as: "response") }
      ),
      (
        "it says that the certificate is revoked",
        {
          certificates.writeStatusResponse(of: server, issuer: root, status: .revoked, as: "response")
        }
      ),
      (
        "it says that the certificate is unknown",
        {
          certificates.writeStatusResponse(of: server, issuer: root, status: .unknown, as: "response")
        }
      ),
      (
        "it does not say until when it is valid",
        { certificates.writeStatusResponse(of: server, issuer: root, life: nil, as: "response") }
      ),
      (
        "it has expired",
        { certificates.writeStatusResponse(of: server, issuer: root, age: 7200, life: -3600, as: "response") }
      ),
      (
        "it is not valid yet",
        { certificates.writeStatusResponse(of: server, issuer: root, age: -3600, as: "response") }
      ),
    ]
    for (reason, write) in faulty {
      try write()
      let fresh = try TLSContext(files: files, floor: .tls12)
      #expect(fresh.faults == ["OCSP response \(path) cannot be used: \(reason); none is sent"])
      #expect(try stapled(fresh) == nil)
    }
    certificates.writeStatusResponse(of: server, issuer: root, as: "response")
    let good = try AtomicFile.readFile(path, limitBytes: 1 << 16)
    let context = try TLSContext(files: files, floor: .tls12)
    for (reason, write) in faulty {
      try write()
      try context.reload()
      #expect(context.faults == ["OCSP response \(path) cannot be used: \(reason); the last one is still sent"])
      #expect(try stapled(context) == good)
    }
    // The last one is not about a new certificate.
    certificates.write(other, as: "stapling")
    try context.reload()
    #expect(context.faults.first?.hasSuffix("; none is sent") == true)
    #expect(try stapled(context) == nil)
  }

  @Test func theIssuerMayBeInTheChainOrTheCertificateItself() throws {
    let server = certificates.makeIdentity(["deep"], signedBy: middle)
    var files = certificates.write(server, as: "deep")
    files.statusResponse = certificates.writeStatusResponse(of: server, issuer: middle, as: "response")
    let unknown = try TLSContext(files: files, floor: .tls12)
    #expect(unknown.faults.first?.contains("is neither in its file nor in ca") == true)
    let chain = try AtomicFile.readFile(certificates.write(middle, as: "middle").certificate, limitBytes: 1 << 16)
    let own = try AtomicFile.readFile(files.certificate, limitBytes: 1 << 16)
    try AtomicFile.writeOver(files.certificate, own + chain)
    let known = try TLSContext(files: files, floor: .tls12)
    #expect(try known.faults == [] && stapled(known) != nil)
    let alone = certificates.makeIdentity(["alone"])
    var lonely = certificates.write(alone, as: "alone")
    lonely.statusResponse = certificates.writeStatusResponse(of: alone, issuer: alone, as: "response")
    let context = try TLSContext(files: lonely, floor: .tls12)
    #expect(try context.faults == [] && stapled(context) != nil)
  }

  @Test func whatIsRenewedOftenIsWarnedOfInItsLastQuarter() {
    let hour: Int64 = 3600
    for (kind, life, quiet, said) in [
      (CertificateValidity.Kind.statusResponse, 12 * hour, 9 * hour, 9 * hour + 1),
      (.revocationList, 8 * 24 * hour, 6 * 24 * hour, 6 * 24 * hour + 1),
      (.certificate, 40 * 24 * hour, 10 * 24 * hour, 10 * 24 * hour + 1),
      (.revocationList, 400 * 24 * hour, 370 * 24 * hour, 370 * 24 * hour + 1),
    ] {
      let validity = CertificateValidity(path: "/x", kind: kind, name: nil, begins: 0, ends: life)
      #expect(validity.state(at: quiet) == .valid && validity.state(at: said) != .valid, "\(kind)")
    }
    let response = CertificateValidity(path: "/x", kind: .statusResponse, name: nil, begins: 0, ends: 4)
    #expect(response.sentence(at: 5) == "OCSP response /x has expired on 1970-01-01: it is not sent")
  }
}
