#if NIO
  import COpenSSL
  import Glibc
  import Networking
  import Support
  import Testing
  import XMLRPC

  @testable import EventLoop
  @testable import NIOServer

  /// Certificates of clients that count no longer: at a resumed session, on an open connection, within a handshake.
  @Suite(.serialized) struct NIOCertificateTests {
    let certificates = TestCertificates()
    let authority: TestIdentity
    let client: TestIdentity
    let files: TLSContext.Files

    init() {
      authority = certificates.makeIdentity(["authority"], isAuthority: true)
      client = certificates.makeIdentity(["client"], signedBy: authority)
      var files = certificates.write(certificates.makeIdentity(["server"], signedBy: authority), as: "server")
      files.authority = certificates.write(authority, as: "authority").certificate
      files.revocationLists = certificates.writeRevocationLists([(authority, [])], as: "lists", life: 3600)
      self.files = files
    }

    private func serve(_ files: TLSContext.Files? = nil, on loop: Reactor) async throws -> NIOFixture {
      try await NIOFixture(certificates: certificates, files: files ?? self.files, on: loop)
    }

    private func revoke() { certificates.writeRevocationLists([(authority, [client])], as: "lists") }

    private func options(newest: CInt = 0, session: OpaquePointer? = nil) -> TestClient.Options {
      var options = TestClient.Options()
      options.identity = client
      options.newestProtocol = newest
      options.session = session
      return options
    }

    /// What a request on a new connection is answered with; nil where there is no answer.
    private func status(_ server: NIOFixture, _ options: TestClient.Options) async throws -> Int? {
      let client = try TestClient(port: server.port, options)
      defer { client.close() }
      guard try await client.handshake(on: server.loop) else { return nil }
      return try await client.exchange(NIOFixture.request([1]), on: server.loop)?.status
    }

    private func hasLogged(_ text: String, _ server: NIOFixture) async -> Bool {
      await server.wait { server.log.lines.contains { $0.contains(text) } }
    }

    // MARK: - Resumed sessions

    /// - Parameter hasLists: what expires first is the list, else the certificate.
    @Test(arguments: [TLS1_3_VERSION, TLS1_2_VERSION], [true, false])
    func aResumedSessionHasItsCertificateChecked(_ newest: CInt, hasLists: Bool) async throws {
      try await LoopDriver.withLoop { loop in
        var files = files
        if !hasLists { files.revocationLists = nil }
        let server = try await serve(files, on: loop)
        let first = try await server.connect(options(newest: newest))
        #expect(try await first.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        let session = SSL_get1_session(first.session)
        defer { SSL_SESSION_free(session) }
        let resumed = try await server.connect(options(newest: newest, session: session))
        #expect(SSL_session_reused(resumed.session) == 1)
        #expect(try await resumed.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        #expect(server.handler.peers.last?.certificateCommonName == "client")
        // NIO's TLS does not hear of it, and resumes.
        server.context.pretend(secondsSince1970: time(nil) + (hasLists ? 3700 : 90_000))
        #expect(try await status(server, options(newest: newest, session: session)) == nil)
        let reason = hasLists ? "CRL has expired" : "certificate has expired"
        #expect(await hasLogged("TLS handshake failed: client certificate refused: \(reason)", server))
        #expect(server.table.counters.failedHandshakes == 1 && server.handler.peers.count == 2)
        for client in [first, resumed] { client.close() }
        #expect(await server.end())
      }
    }

    /// - Parameter isKept: NIO's TLS stays as it was, as with a new certificate that it cannot use, and so resumes.
    @Test(arguments: [TLS1_3_VERSION, TLS1_2_VERSION], [false, true])
    func aResumedSessionDoesNotOutliveARevocation(_ newest: CInt, isKept: Bool) async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await serve(on: loop)
        let first = try await server.connect(options(newest: newest))
        #expect(try await first.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        let session = SSL_get1_session(first.session)
        defer { SSL_SESSION_free(session) }
        revoke()
        if isKept { server.context.onReload = nil }
        try server.context.reload()
        #expect(try await status(server, options(newest: newest, session: session)) == nil)
        #expect(await hasLogged("TLS handshake failed: client certificate refused: certificate revoked", server))
        #expect(server.handler.peers.count == 1)
        first.close()
        #expect(await server.end())
      }
    }

    // MARK: - Open connections

    @Test func anOpenConnectionLearnsThatTimeHasPassed() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await serve(on: loop)
        var now = MonotonicTime.now()
        server.context.clock = { now }
        let known = try await server.connect(options())
        let other = try await server.connect(options())
        let stranger = try await server.connect()
        for client in [known, other, stranger] {
          #expect(try await client.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        }
        server.context.pretend(secondsSince1970: time(nil) + 3700)
        now = now + CertificateCheck.interval - .seconds(1)
        #expect(try await known.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        now = now + .seconds(1)
        #expect(try await known.exchange(NIOFixture.request([1]), on: loop)?.status == 401)
        #expect(await hasLogged("client certificate refused: CRL has expired; answered 401", server))
        #expect(try await stranger.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        // Nobody is refused for what is over.
        server.context.pretend(secondsSince1970: time(nil))
        #expect(try await other.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        for client in [known, other, stranger] { client.close() }
        #expect(await server.end())
      }
    }

    /// Without `ca` there is nothing to check by, as with the builtin core.
    @Test func anOpenConnectionGoesOnWithoutAnAuthority() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await serve(on: loop)
        let known = try await server.connect(options())
        #expect(try await known.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        var fewer = files
        (fewer.authority, fewer.revocationLists) = (nil, nil)
        try server.context.reload(files: fewer, floor: .tls12, givesTickets: true)
        #expect(try await known.exchange(NIOFixture.request([1]), on: loop)?.status == 200)
        #expect(try await status(server, options()) == 200)
        #expect(server.handler.peers.last?.certificateCommonName == nil)
        known.close()
        #expect(await server.end())
      }
    }

    // MARK: - Within a handshake

    /// A client that has sent its certificate, about which the loop has not decided.
    private func present(to server: NIOFixture) async throws -> (TestClient, Link) {
      let client = try TestClient(port: server.port, options())
      let link = try server.lastArrival()
      // Its last step is to send the certificate. The loop does not turn from there on.
      guard await server.wait(until: { client.handshake() || client.failure != nil }) else {
        throw FixtureError(description: "no handshake")
      }
      try server.letNIOWork { link.withState { $0.question != nil } }
      return (client, link)
    }

    /// - Parameter hasAuthority: false where `ca` goes, and with it every reason to believe the certificate.
    @Test(arguments: [true, false]) func whatIsReadDuringAHandshakeDecides(hasAuthority: Bool) async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await serve(on: loop)
        let (client, _) = try await present(to: server)
        var fresh = files
        if hasAuthority { revoke() } else { (fresh.authority, fresh.revocationLists) = (nil, nil) }
        try server.context.reload(files: fresh, floor: .tls12, givesTickets: true)
        #expect(try await client.exchange(NIOFixture.request([1]), on: loop) == nil)
        #expect(await hasLogged("TLS handshake failed: client certificate refused: ", server))
        #expect(server.handler.peers.isEmpty)
        client.close()
        #expect(await server.end())
      }
    }

    @Test func aConnectionGoesWhileItsCertificateIsInQuestion() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await serve(on: loop)
        let (client, _) = try await present(to: server)
        client.close()
        try server.letNIOWork()
        #expect(await server.wait { server.table.count == 0 })
        #expect(server.handler.peers.isEmpty)
        #expect(await server.end())
      }
    }

    /// - Parameter waits: false as at a second SIGTERM.
    @Test(arguments: [true, false]) func theEndAnswersWhatIsInQuestion(waits: Bool) async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await serve(on: loop)
        let (client, link) = try await present(to: server)
        if waits {
          #expect(await server.end())
        } else {
          server.library.end()
          #expect(link.withState { $0.question == nil })
          var isDrained = false
          server.table.drain { isDrained = true }
          #expect(await server.wait { isDrained })
        }
        #expect(try await client.exchange(NIOFixture.request([1]), on: loop) == nil)
        client.close()
      }
    }

    /// NIO may ask about a connection that the loop has done with, or after the loop has done with all.
    @Test(arguments: [false, true]) func aQuestionThatComesTooLateIsAnsweredWithNo(isLast: Bool) async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await serve(on: loop)
        let peer = try connectOnLoopback(to: server.port)
        defer { close(peer) }
        let link = try server.lastArrival()
        if isLast {
          _ = server.library.mailbox?.close()
        } else {
          link.close()
        }
        #expect(try !server.isAcceptedAtOnce([1, 2, 3], on: link))
        server.library.end()
      }
    }
  }
#endif
