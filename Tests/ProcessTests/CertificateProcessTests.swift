import EventLoop
import Glibc
import Support
import Testing

/// The server process with the certificates, revocation lists and responses of an authority that openssl keeps.
@Suite(.serialized) struct CertificateProcessTests {
  /// A server with the authority's certificate, and its clients one, two and both, of any address.
  @MainActor private func serve(
    _ lines: [String] = [], backend: String = "builtin", on loop: Reactor
  ) async throws -> (ServerFixture, SiteAuthority) {
    let server = try await ServerFixture(
      settings: ["server": ["backend = \(backend)", "children = 2"], "logging": ["verbose = true"]], on: loop)
    let site = try await SiteAuthority(in: server.folder, names: ["localhost", "one", "two", "both"], on: loop)
    server.folder.write(
      "<Clients><Client name='one' profile='basic' location='floating' auth='cert'/>"
        + "<Client name='two' profile='basic' location='floating' auth='cert'/>"
        + "<Client name='localhost' profile='basic' location='floating'/>"
        + "<Client name='both' profile='basic' location='floating' auth='cert+password'/></Clients>",
      to: "repo/Metadata/clients.xml")
    let old = try server.folder.text("bcfg2.conf").split(separator: "\n").filter { line in
      !["ca =", "certificate =", "key ="].contains { line.hasPrefix($0) }
    }
    let own = [
      "ca = \(site.certificate)", "certificate = \(server.folder.file("site/localhost.crt"))",
      "key = \(server.folder.file("site/localhost.key"))",
    ]
    let text = old.flatMap { $0 == "[communication]" ? [String($0)] + own + lines : [String($0)] }
    server.folder.write(text.joined(separator: "\n") + "\n", to: "bcfg2.conf", mode: 0o600)
    return (server, site)
  }

  @MainActor private func connect(
    _ server: ServerFixture, _ site: SiteAuthority, as name: String?
  ) async throws -> TestClient {
    var options = TestClient.Options()
    options.authority = site.certificate
    options.identity = name.map { site.identity($0) }
    return try TestClient(port: server.port, options)
  }

  /// The status of a call on a new connection; nil where there is no answer.
  @MainActor private func ask(
    _ server: ServerFixture, _ site: SiteAuthority, as name: String?, user: String? = nil, password: String = "secret"
  ) async throws -> Int? {
    let client = try await connect(server, site, as: name)
    defer { client.close() }
    guard try await client.handshake(on: server.loop) else { return nil }
    return try await client.call("GetConfig", user: user, password: password, on: server.loop)?.status
  }

  @Test(arguments: ServerFixture.backends)
  func aCertificateThatIsEnoughNeedsNoHeader(_ backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let (server, site) = try await serve(backend: backend, on: loop)
      try await server.start()
      #expect(try await ask(server, site, as: "one") == 200)
      #expect(try await ask(server, site, as: "both") == 401)
      #expect(try await server.waitForLog("Client both provides a cert and no password, but cert+password is demanded"))
      #expect(try await ask(server, site, as: "both", user: "root", password: "wrong") == 401)
      #expect(try await ask(server, site, as: "both", user: "root") == 200)
      #expect(try await ask(server, site, as: nil) == 401)
      #expect(try await server.waitForLog("neither an Authorization header nor a client certificate"))
      // The certificate's client is served, whoever the header names.
      let client = try await connect(server, site, as: "one")
      let answer = try await client.call("GetConfig", user: "two", on: loop)
      #expect(answer?.status == 200)
      #expect(try await server.waitForLog("Generated config for one"))
      #expect(!server.logText.contains("Generated config for two"))
      client.close()
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func withoutPasswordsCertificatesAreAllThatCounts() async throws {
    try await LoopDriver.withLoop { loop in
      let (server, site) = try await serve(["passwords = no"], on: loop)
      try await server.start()
      #expect(try await ask(server, site, as: nil, user: "root") == 401)
      #expect(try await server.waitForLog("it has no client certificate, and [communication] passwords = no"))
      for (name, user) in [("one", nil), ("both", nil), ("one", "root")] as [(String, String?)] {
        #expect(try await ask(server, site, as: name, user: user, password: "wrong") == 200, "\(name)")
      }
      // Administrators have the server's certificate, and no password.
      let conf = try server.folder.text("bcfg2.conf").split(separator: "\n").filter { !$0.hasPrefix("password =") }
      server.folder.write(conf.joined(separator: "\n") + "\n", to: "admin.conf", mode: 0o600)
      let path = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-admin"
      let methods = try await ChildProcess.run(
        [path, "-C", server.folder.file("admin.conf"), "xcmd", "listMethods"], timeout: .seconds(60),
        outputLimitBytes: 1 << 20, on: loop)
      let said = String(decoding: methods.standardOutput, as: UTF8.self)
      #expect(methods.status == .exited(0) && said.contains("'GetConfig'"), "\(said)")
      // The setting is followed while the server runs.
      let text = try server.folder.text("bcfg2.conf").replacing("passwords = no", with: "passwords = yes")
      server.folder.write(text, to: "bcfg2.conf", mode: 0o600)
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("Reading configuration, certificates and repository again"))
      #expect(try await ask(server, site, as: "both") == 401)
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test(arguments: ServerFixture.backends)
  func aRevokedClientIsOutWithItsNextRequest(_ backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let (server, site) = try await serve(
        ["crl = \(server(of: "site/crl.pem"))"], backend: backend, on: loop)
      let conf = try server.folder.text("bcfg2.conf").replacing(Self.place, with: server.folder.path)
      server.folder.write(conf, to: "bcfg2.conf", mode: 0o600)
      try await server.start()
      let (one, two) = (try await connect(server, site, as: "one"), try await connect(server, site, as: "two"))
      for client in [one, two] {
        #expect(try await client.call("GetConfig", user: nil, on: loop)?.status == 200)
      }
      try await site.revoke("two")
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("Reading configuration, certificates and repository again"))
      #expect(try await two.call("GetConfig", user: nil, on: loop)?.status == 401)
      #expect(try await server.waitForLog("client certificate refused: certificate revoked; answered 401"))
      #expect(try await two.call("GetConfig", user: nil, on: loop) == nil)
      // Nobody else's connection is lost.
      #expect(try await one.call("GetConfig", user: nil, on: loop)?.status == 200)
      #expect(try await ask(server, site, as: "two") == nil)
      #expect(try await server.waitForLog("TLS handshake failed: client certificate refused: certificate revoked"))
      #expect(try await ask(server, site, as: nil, user: "one") == 401)
      // A damaged list changes nothing.
      server.folder.write("-----BEGIN X509 CRL-----\nnothing\n", to: "site/crl.pem")
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("The certificates stay as they are: revocation list"))
      #expect(try await ask(server, site, as: "two") == nil)
      #expect(try await ask(server, site, as: "one") == 200)
      for client in [one, two] { client.close() }
      #expect(await server.stop() == .exited(0))
    }
  }

  /// Stands for the folder of the server in settings that are made before it.
  private static let place = "@FOLDER@"
  private func server(of path: String) -> String { "\(Self.place)/\(path)" }

  @Test func aServerWithoutItsListsDoesNotStart() async throws {
    try await LoopDriver.withLoop { loop in
      let (server, _) = try await serve(["crl = /nonexistent/crl.pem"], on: loop)
      await #expect(throws: FixtureError.self) { try await server.start() }
      #expect(await server.waitForExit() == .exited(1))
      #expect(server.logText.contains("Revocation list /nonexistent/crl.pem does not exist or is not readable"))
    }
  }

  @Test func whatTheResponderSaysIsStapled() async throws {
    try await LoopDriver.withLoop { loop in
      let (server, site) = try await serve(["ocsp_response = \(server(of: "site/response.der"))"], on: loop)
      let conf = try server.folder.text("bcfg2.conf").replacing(Self.place, with: server.folder.path)
      server.folder.write(conf, to: "bcfg2.conf", mode: 0o600)
      try await site.respond(about: "localhost")
      try await server.start()
      let line =
        "openssl s_client -connect 127.0.0.1:\(server.port) -status -CAfile ca.crt -verify_return_error"
        + " </dev/null"
      for version in ["-tls1_3", "-tls1_2"] {
        let said = try await site.run("\(line) \(version)")
        #expect(said.contains("OCSP Response Status: successful") && said.contains("Cert Status: good"), "\(said)")
      }
      // One about somebody else does not take its place.
      try await site.respond(about: "one")
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("it is about another certificate; the last one is still sent"))
      #expect(try await site.run(line).contains("Cert Status: good"))
      #expect(try await ask(server, site, as: "one") == 200)
      #expect(await server.stop() == .exited(0))
    }
  }
}
