#if NIO
  import COpenSSL
  import EventLoop
  import Glibc
  import Networking
  import ServerSettings
  import Support
  import Testing
  import XMLRPC

  @testable import NIOServer

  /// TLS by NIO: certificates of clients, new certificates of the server, versions.
  @Suite(.serialized) struct NIOTLSTests {
    let certificates = TestCertificates()
    let authority: TestIdentity
    let files: TLSContext.Files

    init() {
      authority = certificates.makeIdentity(["authority"], isAuthority: true)
      var files = certificates.write(certificates.makeIdentity(["server"], signedBy: authority), as: "server")
      files.authority = certificates.write(authority, as: "authority").certificate
      self.files = files
    }

    private func presenting(_ identity: TestIdentity) -> TestClient.Options {
      var options = TestClient.Options()
      options.identity = identity
      return options
    }

    /// Under TLS 1.3 the client has shaken hands before the server looks at its certificate.
    private func isRefused(_ client: TestClient, _ server: NIOFixture) async throws -> Bool {
      if !(try await client.handshake(on: server.loop)) { return true }
      return try await client.exchange(NIOFixture.request([1]), on: server.loop) == nil
    }

    @Test func theNameOfAClientCertificateIsHandedOn() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(certificates: certificates, files: files, on: loop)
        let middle = certificates.makeIdentity(["middle"], isAuthority: true, signedBy: authority)
        _ = middle
        for version in [TLS1_3_VERSION, TLS1_2_VERSION] {
          var options = presenting(certificates.makeIdentity(["first", "client.example"], signedBy: authority))
          options.newestProtocol = version
          let client = try await server.connect(options)
          #expect(try await client.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
          #expect(server.handler.peers.last?.certificateCommonName == "client.example")
          client.close()
        }
        let anonymous = try await server.connect()
        #expect(try await anonymous.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        #expect(server.handler.peers.last?.certificateCommonName == nil)
        anonymous.close()
        #expect(await server.end())
      }
    }

    @Test func aStrangersCertificateIsRefusedWithTheReason() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(certificates: certificates, files: files, on: loop)
        let stranger = certificates.makeIdentity(["stranger"])
        let client = try TestClient(port: server.port, presenting(stranger))
        #expect(try await isRefused(client, server))
        #expect(await server.wait { server.table.counters.failedHandshakes == 1 })
        #expect(
          server.log.lines.contains {
            $0.contains("TLS handshake failed: client certificate refused: self-signed certificate")
          })
        #expect(server.handler.peers.isEmpty)
        client.close()
        #expect(await server.end())
      }
    }

    /// Without `ca` nobody is asked for a certificate.
    @Test func withoutAnAuthorityNoCertificateCounts() async throws {
      try await LoopDriver.withLoop { loop in
        var files = files
        files.authority = nil
        let server = try await NIOFixture(certificates: certificates, files: files, on: loop)
        let client = try await server.connect(presenting(certificates.makeIdentity(["client"], signedBy: authority)))
        #expect(try await client.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        #expect(server.handler.peers.last?.certificateCommonName == nil)
        client.close()
        #expect(await server.end())
      }
    }

    /// Also on a connection that is there when the list is read.
    @Test func arevokedCertificateIsRefused() async throws {
      try await LoopDriver.withLoop { loop in
        let revoked = certificates.makeIdentity(["revoked"], signedBy: authority)
        let client = certificates.makeIdentity(["client"], signedBy: authority)
        var files = files
        files.revocationLists = certificates.writeRevocationLists([(authority, [])], as: "lists")
        let server = try await NIOFixture(certificates: certificates, files: files, on: loop)
        let early = try await server.connect(presenting(revoked))
        #expect(try await early.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        certificates.writeRevocationLists([(authority, [revoked])], as: "lists")
        try server.context.reload()
        let late = try TestClient(port: server.port, presenting(revoked))
        #expect(try await isRefused(late, server))
        #expect(try await early.exchange(NIOFixture.request([1]), on: loop)?.status == 401)
        #expect(server.log.lines.contains { $0.contains("client certificate refused: certificate revoked") })
        let good = try await server.connect(presenting(client))
        #expect(try await good.exchange(NIOFixture.request([2]), on: loop)?.body == [2])
        for client in [early, late, good] { client.close() }
        #expect(await server.end())
      }
    }

    @Test func aNewCertificateIsForNewConnections() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(certificates: certificates, files: files, on: loop)
        let existing = try await server.connect()
        certificates.write(certificates.makeIdentity(["renewed"], signedBy: authority), as: "server")
        try server.context.reload()
        let fresh = try await server.connect()
        #expect(existing.serverName == "server" && fresh.serverName == "renewed")
        for client in [existing, fresh] {
          #expect(try await client.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
          client.close()
        }
        #expect(await server.end())
      }
    }

    @Test func theOldestVersionIsThatOfTheContext() async throws {
      try await LoopDriver.withLoop { loop in
        var old = TestClient.Options()
        old.newestProtocol = TLS1_VERSION
        old.cipherString = "DEFAULT:@SECLEVEL=0"
        let strict = try await NIOFixture(certificates: certificates, files: files, on: loop)
        let refused = try TestClient(port: strict.port, old)
        #expect(try await !refused.handshake(on: loop))
        #expect(await strict.wait { strict.table.counters.failedHandshakes == 1 })
        #expect(
          strict.log.lines.contains { $0.contains("the peer offers only protocols that are switched off here") })
        #expect(await strict.end())
        let lenient = try await NIOFixture(certificates: certificates, files: files, floor: .tls10, on: loop)
        let client = try await lenient.connect(old)
        #expect(try await client.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        #expect(lenient.handler.peers.last?.protocolText == "TLSv1")
        client.close()
        #expect(await lenient.end())
      }
    }

    @Test func aClientThatDoesNotTrustTheServerIsNamed() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(certificates: certificates, files: files, on: loop)
        var wary = TestClient.Options()
        wary.authority =
          certificates.write(certificates.makeIdentity(["other"], isAuthority: true), as: "other").certificate
        // What a client of TLS 1.3 says cannot be read.
        for (version, reason) in [
          (TLS1_2_VERSION, "the peer does not trust the authority of the server's certificate"),
          (TLS1_3_VERSION, "perhaps it does not accept the server's certificate"),
        ] {
          wary.newestProtocol = version
          let client = try TestClient(port: server.port, wary)
          #expect(try await !client.handshake(on: loop))
          client.close()
          #expect(await server.wait { server.log.lines.contains { $0.contains("refused by the peer: \(reason)") } })
        }
        #expect(await server.end())
      }
    }

    @Test(arguments: [
      ("Error: 268435612 error:1000009c:SSL routines:OPENSSL_internal:HTTP_REQUEST at /x/y.cc:1", "HTTP_REQUEST"),
      ("Error: 1 error:1:SSL routines:OPENSSL_internal:NO_SHARED_CIPHER at C:/x.cc:9", "NO_SHARED_CIPHER"),
      ("Error:  EOF during handshake", nil),
    ])
    func reasonsAreReadFromDescriptions(_ row: (text: String, name: String?)) {
      #expect(TLSReason.name(in: row.text) == row.name)
    }

    @Test func reasonsAreWordedAsByTheOtherCores() {
      #expect(TLSReason.failure(names: ["HTTP_REQUEST"]) == .plainHTTP)
      #expect(TLSReason.failure(names: ["WRONG_VERSION_NUMBER"]) == .notTLS)
      #expect(
        TLSReason.failure(names: ["NO_SHARED_CIPHER"]) == .tls("the peer and the server have no cipher in common"))
      #expect(TLSReason.failure(names: ["TLSV1_ALERT_ACCESS_DENIED"]) == .refusedByPeer("tlsv1 alert access denied"))
      #expect(TLSReason.failure(names: ["BAD_LENGTH"]) == .tls("bad length"))
    }

    @Test(
      arguments: [
        ([0x16, 3, 1], Opening.tls), (Array("GET / ".utf8), .plainHTTP), (Array("POS".utf8), .unknown),
        (Array("POST ".utf8), .plainHTTP), (Array("POSE".utf8), .foreign), ([0x80], .foreign), ([], .unknown),
      ] as [([UInt8], Opening)])
    func theFirstBytesTellWhatComes(_ row: (bytes: [UInt8], opening: Opening)) {
      #expect(row.bytes.withUnsafeBytes { Opening(of: $0) } == row.opening)
    }

    @Test func whatTheLibraryCannotDoIsSaid() async throws {
      try await LoopDriver.withLoop { loop in
        let text = "[server]\nsession_tickets = no\n[communication]\nocsp_response = /etc/x.der\n"
        let settings = try Settings(INIFile(bytes: Array(text.utf8), path: "bcfg2.conf"), registry: .server)
        let server = try await NIOFixture(settings: settings, on: loop)
        #expect(server.warnings.count == 2)
        #expect(server.warnings.contains { $0.hasPrefix("bcfg2.conf:4: ") && $0.contains("ocsp_response") })
        #expect(server.warnings.contains { $0.hasPrefix("bcfg2.conf:2: ") && $0.contains("session_tickets") })
        #expect(await server.end())
      }
    }
  }
#endif
