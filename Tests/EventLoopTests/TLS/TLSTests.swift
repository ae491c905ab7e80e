import CLinux
import COpenSSL
import Glibc
import Support
import Testing

@testable import EventLoop

/// A server's end and a client's end over a socket pair.
struct TLSPair {
  let client: TestClient
  let server: TLSTransport

  init(_ context: TLSContext, _ options: TestClient.Options = .init(), sendBufferBytes: CInt? = nil) {
    self.init(context, TestClient(options, sendBufferBytes: sendBufferBytes))
  }

  init(_ context: TLSContext, _ client: TestClient) {
    self.client = client
    server = TLSTransport(context: context, descriptor: client.serverDescriptor)
  }

  /// Lets both sides shake hands until nothing moves; returns what the server said last.
  @discardableResult
  func handshake() -> StepOutcome {
    var outcome = StepOutcome.wantRead
    for _ in 0..<8 {
      client.handshake()
      if outcome == .wantRead || outcome == .wantWrite { outcome = server.handshake() }
    }
    return outcome
  }
}

extension Transport {
  /// One read, as text or as the outcome that it had instead.
  func readText() -> (text: String, outcome: TransferOutcome) {
    withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 1) { buffer in
      let outcome = read(into: buffer)
      guard case .bytes(let count) = outcome else { return ("", outcome) }
      return (String(decoding: buffer[0..<count], as: UTF8.self), outcome)
    }
  }

  func write(_ bytes: [UInt8]) -> TransferOutcome { bytes.withUnsafeBytes { write($0) } }
}

@Suite struct TLSTests {
  let certificates = TestCertificates()
  let context: TLSContext

  init() throws {
    let identity = certificates.makeIdentity(["server"])
    context = try TLSContext(
      files: certificates.write(identity, as: "server"), floor: .tls12, applicationProtocols: ["better", "http/1.1"])
  }

  @Test func theBestProtocolOfOursThatTheClientOffersIsAgreedUpon() throws {
    for (offered, expected) in [
      (["http/1.1", "better"], "better"), (["h2", "http/1.1"], "http/1.1"), (["h2"], nil), ([], nil),
    ] as [([String], String?)] {
      var options = TestClient.Options()
      options.applicationProtocols = offered
      let pair = TLSPair(context, options)
      #expect(pair.handshake() == .done)
      #expect(pair.server.applicationProtocol == expected)
    }
    var options = TestClient.Options()
    options.applicationProtocols = ["http/1.1"]
    let pair = TLSPair(try TLSContext(files: context.files, floor: .tls12), options)
    #expect(pair.handshake() == .done)
    #expect(pair.server.applicationProtocol == nil)
  }

  @Test func requestAndAnswerPassAndTheEndIsTold() {
    var options = TestClient.Options()
    options.applicationProtocols = ["h2", "http/1.1"]
    let pair = TLSPair(context, options)
    #expect(pair.handshake() == .done)
    #expect(pair.server.applicationProtocol == "http/1.1")
    #expect(pair.server.protocolText.hasPrefix("TLSv1.3 TLS_"))
    #expect(pair.server.peerCommonName == nil && pair.server.verifyResult == 0)
    #expect(pair.server.readText().outcome == .wantRead)

    pair.client.send(Array("ping".utf8))
    #expect(pair.server.readText().text == "ping")
    #expect(!pair.server.hasBufferedInput)
    let answer = (0..<60_000).map { UInt8(truncatingIfNeeded: $0) }
    #expect(pair.server.write(answer) == .bytes(60_000))
    #expect(!pair.server.hasUnsentOutput)
    #expect(pair.client.receive() == answer)

    #expect(pair.server.shutdown() == .done)
    _ = pair.client.receive()
    #expect(pair.client.sawCloseNotify && pair.client.failure == nil)
    pair.client.sendCloseNotify()
    #expect(pair.server.readText().outcome == .closed)
  }

  @Test func afterReadinessWasTakenTheKernelIsNotAskedAgain() {
    let pair = TLSPair(context)
    pair.handshake()
    pair.client.send(Array("one".utf8))
    pair.server.recordReadiness()
    #expect(pair.server.readText().text == "one")
    // It took all there was; what comes now is told by the next readiness, which epoll reports.
    pair.client.send(Array("two".utf8))
    #expect(pair.server.readText().outcome == .wantRead)
    pair.server.recordReadiness()
    #expect(pair.server.readText().text == "two")
    #expect(pair.server.readText().outcome == .wantRead)
    pair.client.sendCloseNotify()
    pair.server.recordReadiness()
    #expect(pair.server.readText().outcome == .closed)
  }

  @Test func moreThanOneReadHoldsIsReadWithoutAnotherReadiness() {
    let pair = TLSPair(context)
    pair.handshake()
    let bytes = [UInt8](repeating: 7, count: 60_000)
    pair.client.send(bytes)
    pair.server.recordReadiness()
    var count = 0
    while true {
      let (text, outcome) = pair.server.readText()
      count += text.utf8.count
      guard case .bytes = outcome else {
        #expect(outcome == .wantRead)
        break
      }
    }
    #expect(count == bytes.count)
  }

  @Test func theEndLeavesWithTheLastBytes() {
    let pair = TLSPair(context)
    pair.handshake()
    #expect(pair.server.write(Array("first ".utf8)) == .bytes(6))
    #expect(Array("last".utf8).withUnsafeBytes { pair.server.writeLast($0) } == .bytes(4))
    #expect(pair.client.receive() == Array("first last".utf8))
    #expect(pair.client.sawCloseNotify && pair.client.failure == nil)
    #expect(pair.server.shutdown() == .done)
  }

  /// What goes with the certificate is chosen when the files are read: the authorities between it and the root.
  @Test func theChainIsSentWithoutItsRoot() throws {
    let root = certificates.makeIdentity(["root"], isAuthority: true)
    let middle = certificates.makeIdentity(["middle"], isAuthority: true, signedBy: root)
    let stranger = certificates.makeIdentity(["stranger"], isAuthority: true)
    let server = certificates.makeIdentity(["chained"], signedBy: middle)
    let files = certificates.write(server, as: "chained")
    let authorities: [(String, [TestIdentity], sent: Int32)] = [
      ("both", [root, middle], 2), ("root", [root], 1), ("stranger", [stranger], 1),
    ]
    for (name, identities, sent) in authorities {
      let parts = try identities.enumerated().map { index, identity in
        try Self.text(certificates.write(identity, as: "\(name)-\(index)").certificate)
      }
      var chained = files
      chained.authority = "\(certificates.folder)/\(name).crt"
      try Self.write(parts.joined(), to: chained.authority!)
      let pair = TLSPair(try TLSContext(files: chained, floor: .tls12))
      #expect(pair.handshake() == .done)
      #expect(chainLength(SSL_get_peer_cert_chain(pair.client.session)) == sent, "\(name)")
    }
    // What the file itself holds is sent as it is.
    var whole = files
    whole.certificate = "\(certificates.folder)/whole.crt"
    let texts = try [files.certificate, certificates.write(middle, as: "m").certificate].map(Self.text)
    try Self.write(texts.joined(), to: whole.certificate)
    let pair = TLSPair(try TLSContext(files: whole, floor: .tls12))
    #expect(pair.handshake() == .done)
    #expect(chainLength(SSL_get_peer_cert_chain(pair.client.session)) == 2)
  }

  private func chainLength(_ chain: OpaquePointer?) -> Int32 { OPENSSL_sk_num(chain) }

  private static func text(_ path: String) throws -> String {
    let file = try #require(fopen(path, "r"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 8192)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  private static func write(_ text: String, to path: String) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    fputs(text, file)
  }

  @Test func decryptedBytesLeftBehindAreAnnounced() {
    let pair = TLSPair(context)
    pair.handshake()
    pair.client.send([UInt8](repeating: 7, count: 10_000))
    pair.client.send([UInt8](repeating: 8, count: 10_000))
    var small = [UInt8](repeating: 0, count: 4_000)
    var total = 0
    let first = small.withUnsafeMutableBytes { pair.server.read(into: $0) }
    #expect(first == .bytes(4_000) && pair.server.hasBufferedInput)
    total += 4_000
    while case .bytes(let count) = small.withUnsafeMutableBytes({ pair.server.read(into: $0) }) { total += count }
    #expect(total == 20_000 && !pair.server.hasBufferedInput)
  }

  // Records of 512 bytes need more room for framing than the loop-wide buffer has: a share then takes two calls.
  @Test(arguments: [0, 1] as [UInt8])
  func slowReaderGetsEverythingAndHoldsOneShareOnly(fragmentCode: UInt8) {
    var options = TestClient.Options()
    options.fragmentCode = fragmentCode
    options.newestProtocol = TLS1_2_VERSION
    let pair = TLSPair(context, options, sendBufferBytes: 8192)
    #expect(pair.handshake() == .done)
    _ = pair.client.receive()
    let answer = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    var offset = 0
    var got: [UInt8] = []
    var refusals = 0
    while offset < answer.count {
      switch answer[offset...].withUnsafeBytes({ pair.server.write($0) }) {
      case .bytes(let count):
        #expect(count <= TLSOutput.plaintextBytes)
        offset += count
      case .wantWrite:
        refusals += 1
        #expect(pair.server.hasUnsentOutput && pair.server.flush() == .wantWrite)
        got += pair.client.receive()
      case let other:
        Issue.record("unexpected \(other)")
        return
      }
    }
    while pair.server.flush() == .wantWrite { got += pair.client.receive() }
    got += pair.client.receive()
    #expect(got == answer && refusals > 0)
  }

  @Test func keyUpdateOfTheClientIsAnsweredBetweenWrites() {
    let pair = TLSPair(context)
    pair.handshake()
    #expect(SSL_key_update(pair.client.session, SSL_KEY_UPDATE_REQUESTED) == 1)
    pair.client.send(Array("after".utf8))
    #expect(pair.server.write(Array("one".utf8)) == .bytes(3))
    #expect(pair.server.readText().text == "after")
    #expect(pair.server.write(Array("two".utf8)) == .bytes(3))
    #expect(pair.client.receive() == Array("onetwo".utf8) && pair.client.failure == nil)
  }

  @Test(arguments: [
    ("GET / HTTP/1.0\r\n\r\n", TransportFailure.plainHTTP), ("POST /RPC2 HTTP/1.1\r\n", .plainHTTP),
    ("SSH-2.0-OpenSSH_9.2\r\n", .notTLS), ("\0\0\0\0\0\0\0\0\0\0\0\0", .notTLS),
  ])
  func whatIsNotTLSIsNamed(bytes: String, failure: TransportFailure) {
    let pair = TLSPair(context)
    let sent = Array(bytes.utf8)
    #expect(Glibc.send(pair.client.descriptor, sent, sent.count, 0) == sent.count)
    #expect(pair.server.handshake() == .failed(failure))
    let answer = Array("HTTP/1.0 400 Bad Request\r\n\r\n".utf8)
    answer.withUnsafeBytes { pair.server.writeInClear($0) }
    var buffer = [UInt8](repeating: 0, count: 100)
    #expect(recv(pair.client.descriptor, &buffer, 100, 0) == answer.count)
    // The failure stays, and nothing more is asked of OpenSSL.
    #expect(pair.server.handshake() == .failed(failure) && pair.server.shutdown() == .done)
  }

  @Test func peersThatLeaveAreToldApart() {
    let silent = TLSPair(context)
    silent.client.close()
    #expect(silent.server.handshake() == .closed)

    let truncated = TLSPair(context)
    truncated.handshake()
    _ = truncated.client.receive()
    truncated.client.close()
    #expect(truncated.server.readText().outcome == .closed)

    let reset = TLSPair(context)
    reset.handshake()
    #expect(reset.server.write([1, 2, 3]) == .bytes(3))
    reset.client.close()
    guard case .failed(let failure) = reset.server.readText().outcome else {
      Issue.record("a reset must be a failure")
      return
    }
    #expect(failure.isPeerGone)
    guard case .failed(let again) = reset.server.write([1]) else {
      Issue.record("a broken connection must stay broken")
      return
    }
    #expect(again == failure)
  }

  @Test func clientCertificatesAreOptionalButMustBeTrusted() throws {
    let authority = certificates.makeIdentity(["authority"], isAuthority: true)
    let other = certificates.makeIdentity(["elsewhere"], isAuthority: true)
    var files = certificates.write(certificates.makeIdentity(["server"], signedBy: authority), as: "signed")
    files.authority = certificates.write(authority, as: "authority").certificate
    let context = try TLSContext(files: files, floor: .tls12)
    #expect(context.requestsClientCertificate)

    #expect(TLSPair(context).handshake() == .done)

    var options = TestClient.Options()
    options.identity = certificates.makeIdentity(["first", "client.example.com"], signedBy: authority)
    let trusted = TLSPair(context, options)
    #expect(trusted.handshake() == .done)
    #expect(trusted.server.peerCommonName == "client.example.com")

    options.identity = certificates.makeIdentity(["client.example.com"], signedBy: other)
    let untrusted = TLSPair(context, options)
    guard case .failed(.certificateRefused(let reason)) = untrusted.handshake() else {
      Issue.record("an untrusted certificate must fail the handshake")
      return
    }
    #expect(reason == "unable to get local issuer certificate")
    _ = untrusted.client.receive()
    #expect(untrusted.client.failure == "tlsv1 alert unknown ca")

    // Without an authority nobody asks, so that the certificate is not even sent.
    let unasked = TLSPair(self.context, options)
    #expect(unasked.handshake() == .done && unasked.server.peerCommonName == nil)
  }

  /// With tickets, and with sessions that the server keeps.
  @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION], [true, false])
  func sessionsResumeUnlessTheClientHasACertificate(version: CInt, takesTickets: Bool) throws {
    let authority = certificates.makeIdentity(["authority"], isAuthority: true)
    var files = certificates.write(certificates.makeIdentity(["server"], signedBy: authority), as: "signed")
    files.authority = certificates.write(authority, as: "authority").certificate
    let context = try TLSContext(files: files, floor: .tls12, givesTickets: true)
    var options = TestClient.Options()
    options.newestProtocol = version
    for identity in [nil, certificates.makeIdentity(["client"], signedBy: authority)] {
      options.identity = identity
      options.session = nil
      // A connection that goes away takes its session with it.
      var pairs: [TLSPair] = []
      func connect() -> TLSPair {
        let client = TestClient(options)
        if !takesTickets { SSL_set_options(client.session, UInt64(1) << 14) }
        let pair = TLSPair(context, client)
        pairs.append(pair)
        #expect(pair.handshake() == .done)
        _ = client.receive()
        return pair
      }
      let first = connect()
      options.session = SSL_get1_session(first.client.session)
      defer { SSL_SESSION_free(options.session) }
      for _ in 0..<2 {
        let second = connect()
        // TLS 1.3 has no sessions but by tickets, and a client without them gets one all the same.
        #expect(SSL_session_reused(second.client.session) == (identity == nil ? 1 : 0))
        #expect(second.server.peerCommonName == (identity == nil ? nil : "client"))
      }
      #expect(pairs.count == 3)
    }
  }

  @Test func aClientCannotRenegotiate() {
    var options = TestClient.Options()
    options.newestProtocol = TLS1_2_VERSION
    let pair = TLSPair(context, options)
    #expect(pair.handshake() == .done)
    #expect(SSL_renegotiate(pair.client.session) == 1)
    pair.client.handshake()
    // The server says no, in an alert, and makes no new keys; the client gives up.
    #expect(pair.server.readText().outcome == .wantRead)
    #expect(!pair.client.handshake() && pair.client.failure == "no renegotiation")
  }

  @Test func theProtocolFloorIsHeld() throws {
    var options = TestClient.Options()
    options.newestProtocol = TLS1_VERSION
    options.cipherString = "ALL:@SECLEVEL=0"
    let refused = TLSPair(context, options)
    guard case .failed(.tls) = refused.handshake() else {
      Issue.record("TLS 1.0 must not pass a floor of TLS 1.2")
      return
    }
    let old = try TLSContext(files: context.files, floor: .tls10)
    let accepted = TLSPair(old, options)
    #expect(accepted.handshake() == .done && accepted.server.protocolText.hasPrefix("TLSv1 "))
  }

  @Test func badFilesAreNamedAndTheOldOnesStayInUse() throws {
    let identity = certificates.makeIdentity(["one"])
    let stranger = certificates.makeIdentity(["two"])
    let files = certificates.write(identity, as: "one")
    let strange = certificates.write(stranger, as: "two")
    let context = try TLSContext(files: files, floor: .tls12)

    func error(_ files: TLSContext.Files) -> TLSContextError? {
      do throws(TLSContextError) {
        _ = try TLSContext(files: files, floor: .tls12)
        return nil
      } catch { return error }
    }
    let mismatch = error(TLSContext.Files(certificate: files.certificate, key: strange.key))
    #expect(mismatch == .keyDoesNotMatch(key: strange.key, certificate: files.certificate))
    #expect(mismatch?.description == "key \(strange.key) does not match certificate \(files.certificate)")
    let missing = "\(certificates.folder)/none"
    #expect(
      error(TLSContext.Files(certificate: files.certificate, key: missing))?.description
        == "Keyfile \(missing) does not exist or is not readable")
    #expect(error(TLSContext.Files(certificate: missing, key: files.key)) == .certificateUnreadable(path: missing))
    #expect(
      error(TLSContext.Files(certificate: files.certificate, key: files.key, authority: missing))
        == .authorityUnreadable(path: missing))
    guard case .badCertificate(files.key, _) = error(TLSContext.Files(certificate: files.key, key: files.key)) else {
      Issue.record("a key is no certificate")
      return
    }

    func servedName() -> String? {
      let pair = TLSPair(context)
      guard pair.handshake() == .done, let served = SSL_get1_peer_certificate(pair.client.session) else { return nil }
      defer { X509_free(served) }
      return lastCommonName(of: X509_get_subject_name(served))
    }
    let early = TLSPair(context)
    early.client.handshake()
    #expect(early.server.handshake() == .wantRead)
    #expect(servedName() == "one")
    certificates.write(stranger, as: "one")
    rename(strange.key, files.key + ".new")
    rename(context.files.key, strange.key)
    #expect(throws: TLSContextError.keyUnreadable(path: files.key)) { try context.reload() }
    #expect(servedName() == "one")
    rename(strange.key, files.key)
    try context.reload()
    #expect(servedName() == "two")
    // A connection that began before the reload ends as it began.
    #expect(early.handshake() == .done)
  }

  @Test func filesThatCannotBeUsedAreToldInOneSentenceWithoutWaiting() throws {
    let files = certificates.write(certificates.makeIdentity(["one"]), as: "one")
    let folder = certificates.folder
    func write(_ text: String, _ name: String) throws -> String {
      try AtomicFile.writeOver("\(folder)/\(name)", Array(text.utf8))
      return "\(folder)/\(name)"
    }
    let fifo = "\(folder)/fifo"
    try #require(mkfifo(fifo, 0o600) == 0)
    let key = String(decoding: try AtomicFile.readFile(files.key, limitBytes: 1 << 16), as: UTF8.self)
    let certificate = String(decoding: try AtomicFile.readFile(files.certificate, limitBytes: 1 << 16), as: UTF8.self)
    func damaged(_ text: String) -> String {
      text.split(separator: "\n").enumerated()
        .map { $0 == 1 ? "AAAA" + $1.dropFirst(4) : $1 }.joined(separator: "\n") + "\n"
    }
    let sentences: [(key: String, certificate: String, authority: String?, sentence: String)] = [
      (fifo, files.certificate, nil, "key \(fifo) cannot be used: a FIFO, not a regular file"),
      (files.key, fifo, nil, "certificate \(fifo) cannot be used: a FIFO, not a regular file"),
      (files.key, files.certificate, fifo, "CA \(fifo) cannot be used: a FIFO, not a regular file"),
      ("/dev/null", files.certificate, nil, "key /dev/null cannot be used: a character device, not a regular file"),
      (try write("", "k1"), files.certificate, nil, "key \(folder)/k1 cannot be used: the file is empty"),
      (try write("junk\n", "k2"), files.certificate, nil, "key \(folder)/k2 cannot be used: it is not in PEM form"),
      (files.certificate, files.certificate, nil, "key \(files.certificate) cannot be used: it holds no private key"),
      (
        try write("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGb\n-----END ENCRYPTED PRIVATE KEY-----\n", "k3"),
        files.certificate, nil,
        "key \(folder)/k3 cannot be used: "
          + "the key has a passphrase, which nobody is there to type; store it without one (openssl pkey)"
      ),
      (
        files.key, files.key, nil,
        "certificate \(files.key) cannot be used: it holds a private key and no certificate"
      ),
      (files.key, try write("junk", "c1"), nil, "certificate \(folder)/c1 cannot be used: it is not in PEM form"),
      (
        files.key, files.certificate, files.key,
        "CA \(files.key) cannot be used: it holds a private key and no certificate"
      ),
    ]
    for row in sentences {
      #expect(throws: TLSContextError.self) {
        do throws(TLSContextError) {
          _ = try TLSContext(
            files: .init(certificate: row.certificate, key: row.key, authority: row.authority), floor: .tls12)
        } catch {
          #expect(error.description == row.sentence)
          throw error
        }
      }
    }
    for (path, isKey) in [(try write(damaged(key), "k4"), true), (try write(damaged(certificate), "c2"), false)] {
      let error = #expect(throws: TLSContextError.self) {
        try TLSContext(
          files: .init(certificate: isKey ? files.certificate : path, key: isKey ? path : files.key), floor: .tls12)
      }
      #expect(error?.description.contains("\(path) cannot be used: ") == true)
      #expect(error?.description.contains(";") == false && error?.description.contains("\n") == false)
    }
  }

  @Test func otherFilesAreTakenAtAReload() throws {
    let one = certificates.write(certificates.makeIdentity(["one"]), as: "one")
    let two = certificates.write(certificates.makeIdentity(["two"]), as: "two")
    let context = try TLSContext(files: one, floor: .tls12)
    #expect(context.validities.map(\.name) == ["one"] && !context.requestsClientCertificate)
    var trusting = two
    trusting.authority = one.certificate
    try context.reload(files: trusting, floor: .tls12, givesTickets: true)
    #expect(
      context.validities.map(\.name) == ["two", "one"] && context.validities.map(\.kind) == [.certificate, .authority])
    #expect(context.requestsClientCertificate && context.files == trusting)
    trusting.key = one.key
    #expect(throws: TLSContextError.self) { try context.reload(files: trusting, floor: .tls12, givesTickets: true) }
    #expect(context.files.key == two.key)
  }

  @Test func aCertificateThatEndsSoonIsToldInOneSentence() throws {
    let files = certificates.write(certificates.makeIdentity(["one"]), as: "one")
    let validity = try #require(try TLSContext(files: files, floor: .tls12).validities.first)
    let now = Int64(time(nil))
    #expect(abs(validity.ends - now - 86400) < 120 && abs(now - 3600 - validity.begins) < 120)
    #expect(validity.state(at: validity.ends - 100) == .ending(days: 0) && validity.state(at: now) != .valid)
    // 2026-12-24 12:00:00 UTC.
    var long = CertificateValidity(path: "/x", kind: .certificate, name: "one", begins: 0, ends: 1_798_113_600)
    func sentence(_ days: Int64) -> String? { long.sentence(at: long.ends - days * 86400) }
    #expect(sentence(30) == nil)
    #expect(sentence(29) == "certificate /x (CN one) expires in 29 days, on 2026-12-24")
    #expect(sentence(1) == "certificate /x (CN one) expires in 1 day, on 2026-12-24")
    #expect(sentence(0) == "certificate /x (CN one) expires in less than a day, on 2026-12-24")
    long.kind = .authority
    long.name = nil
    #expect(sentence(-1) == "CA /x has expired on 2026-12-24")
    long.begins = long.ends - 86400
    #expect(sentence(2) == "CA /x is not valid before 2026-12-23")
    for (seconds, day) in [
      (0, "1970-01-01"), (951_782_400, "2000-02-29"), (-86400, "1969-12-31"), (4_102_444_800, "2100-01-01"),
    ] {
      #expect(CertificateValidity.day(Int64(seconds)) == day)
    }
  }

  @Test func whoSaysNothingCostsOpenSSLNothing() throws {
    let clients = (0..<20).map { _ in TestClient() }
    let before = Int(clinux_heap_bytes_in_use())
    let servers = clients.map { TLSTransport(context: context, descriptor: $0.serverDescriptor) }
    #expect((Int(clinux_heap_bytes_in_use()) - before) / servers.count < 1024)
    // It can be asked everything all the same, and ended.
    let server = servers[0]
    #expect(!server.hasBufferedInput && !server.hasUnsentOutput && server.protocolText.isEmpty)
    #expect(server.applicationProtocol == nil && server.peerCommonName == nil && server.verifyResult == 0)
    #expect(server.shutdown() == .done)
    var byte: UInt8 = 0
    #expect(recv(clients[0].descriptor, &byte, 1, 0) == 0)
    // The others shake hands as ever.
    clients[1].handshake()
    #expect(servers[1].handshake() == .wantRead && clients[1].handshake() && servers[1].handshake() == .done)
  }

  @Test func idleConnectionsAreSmall() {
    let connections = 100
    var servers: [TLSTransport] = []
    var clients: [TestClient] = []
    // What the first connections allocate for all.
    for _ in 0..<2 { #expect(TLSPair(context).handshake() == .done) }
    let before = Int(clinux_heap_bytes_in_use())
    for _ in 0..<connections {
      let client = TestClient()
      servers.append(TLSTransport(context: context, descriptor: client.serverDescriptor))
      clients.append(client)
    }
    for (client, server) in zip(clients, servers) {
      client.handshake()
      _ = server.handshake()
      client.handshake()
      _ = server.handshake()
      client.send(Array("request".utf8))
      #expect(server.readText().text == "request")
      #expect(server.write([UInt8](repeating: 1, count: 20_000)) == .bytes(20_000))
      #expect(server.readText().outcome == .wantRead)
    }
    // Their heap is not ours.
    clients = []
    let idle = (Int(clinux_heap_bytes_in_use()) - before) / connections
    #expect(idle < 24 * 1024, "\(idle) bytes")
  }
}
