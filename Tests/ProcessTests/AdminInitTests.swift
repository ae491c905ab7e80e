import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-admin init` and `migrate`.
@Suite(.serialized) struct AdminInitTests {
  private typealias Outcome = (status: ChildProcess.ExitStatus, out: String, error: String)

  private let folder = TemporaryDirectory()

  private func admin(_ arguments: [String], input: String = "") async throws -> Outcome {
    let path = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-admin"
    return try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        [path] + arguments, input: Array(input.utf8), timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
      return (
        result.status, String(decoding: result.standardOutput, as: UTF8.self),
        String(decoding: result.standardError, as: UTF8.self)
      )
    }
  }

  private var batch: [String] {
    [
      "-C", folder.file("bcfg2.conf"), "init", "--batch", "--hostname", "bcfg2.example.com", "-Q", folder.file("repo"),
      "--ssl-key", folder.file("tls/key.pem"), "--ssl-cert", folder.file("tls/crt.pem"), "--plugins",
      "Bundler,Cfg,Metadata,Rules",
    ]
  }

  private func text(_ name: String) throws -> String {
    String(decoding: try RegularFile.read(folder.file(name), limitBytes: 1 << 20), as: UTF8.self)
  }

  private func mode(_ name: String) -> UInt32 {
    var status = stat()
    return stat(folder.file(name), &status) == 0 ? status.st_mode & 0o777 : 0
  }

  @Test func foldersThatAreLinksAreRefused() async throws {
    folder.write("", to: "outside/kept")
    folder.write("", to: "repo/kept")
    #expect(symlink(folder.file("outside"), folder.file("repo/Metadata")) == 0)
    let made = try await admin(batch)
    #expect(made.status == .exited(1) && (made.out + made.error).contains("it is a symbolic link"), "\(made)")
    #expect(folder.names(in: "outside") == ["kept"])
  }

  @Test func anInstallationIsMadeWithoutQuestionsAndServes() async throws {
    let made = try await admin(batch)
    #expect(
      made.status == .exited(0) && made.out == "Repository created successfuly in \(folder.file("repo"))\n", "\(made)")
    let configuration = try text("bcfg2.conf")
    #expect(configuration.contains("\nplugins = Bundler,Cfg,Metadata,Rules\n"))
    #expect(configuration.contains("\nbcfg2 = https://bcfg2.example.com:6789\n"))
    #expect(configuration.contains("\nprotocol = xmlrpc/ssl\n"))
    #expect(mode("bcfg2.conf") == 0o600 && mode("tls/key.pem") == 0o600 && mode("tls/crt.pem") == 0o644)
    #expect(try text("repo/Metadata/clients.xml").contains("name=\"bcfg2.example.com\""))
    #expect(try text("tls/crt.pem").hasPrefix("-----BEGIN CERTIFICATE-----"))
    let list = try await admin(["-C", folder.file("bcfg2.conf"), "client", "list"])
    #expect(list.out == "bcfg2.example.com\n", "\(list)")
    let migration = try await admin(["-C", folder.file("bcfg2.conf"), "migrate", "-q"])
    #expect(migration.status == .exited(0) && migration.out.isEmpty, "\(migration)")
    try await LoopDriver.withLoop { loop in
      let check = try await ChildProcess.run(
        [
          "/usr/bin/openssl", "x509", "-in", folder.file("tls/crt.pem"), "-noout", "-subject", "-ext", "subjectAltName",
        ],
        timeout: .seconds(60), outputLimitBytes: 1 << 16, on: loop)
      let said = String(decoding: check.standardOutput, as: UTF8.self)
      #expect(said.contains("CN = bcfg2.example.com") && said.contains("DNS:bcfg2.example.com"), "\(said)")
    }
  }

  @Test(arguments: ["http://bcfg2.example.com:6789", "bcfg2.example.com", "https://"])
  func serversAreLocations(_ server: String) async throws {
    let refused = try await admin(batch + ["--server", server])
    #expect(
      refused.status == .exited(1) && refused.out == "The server is https://HOST:PORT, not \(server)\n", "\(refused)")
    #expect(folder.names(in: "repo").isEmpty)
  }

  @Test func whatIsThereStays() async throws {
    #expect(try await admin(batch).status == .exited(0))
    let (configuration, key) = (try text("bcfg2.conf"), try text("tls/key.pem"))
    folder.write("<Clients><!-- mine --></Clients>", to: "repo/Metadata/clients.xml")
    let again = try await admin(batch)
    #expect(again.status == .exited(0) && again.out.contains("Leaving \(folder.file("bcfg2.conf")) unchanged"))
    #expect(try text("bcfg2.conf") == configuration && text("tls/key.pem") == key)
    let forced = try await admin(batch + ["--force"])
    #expect(forced.status == .exited(0), "\(forced)")
    #expect(try text("bcfg2.conf") != configuration && text("tls/key.pem") != key)
    #expect(try text("repo/Metadata/clients.xml") == "<Clients><!-- mine --></Clients>")
  }

  /// Links that somebody has put where files will be: nothing is written through them, and openssl's do not exist by then.
  @Test(arguments: ["repo/Metadata/groups.xml", "repo/Metadata/clients.xml", "bcfg2.conf"])
  func linksThatLeadToNothingAreRefused(_ name: String) async throws {
    folder.write("", to: "\(name).marker")
    #expect(symlink(folder.file("planted"), folder.file(name)) == 0)
    let result = try await admin(batch)
    #expect(result.status == .exited(1) && result.out.contains("\(name): it is a symbolic link"), "\(result)")
    #expect(access(folder.file("planted"), F_OK) != 0)
  }

  @Test func keysAreNotWrittenThroughLinks() async throws {
    folder.write("precious\n", to: "precious")
    folder.write("", to: "tls/marker")
    for name in ["tls/key.pem.new", "tls/crt.pem.new", "tls/key.pem"] {
      #expect(symlink(folder.file("precious"), folder.file(name)) == 0)
    }
    let result = try await admin(batch + ["--force"])
    #expect(result.status == .exited(0), "\(result)")
    #expect(try text("precious") == "precious\n" && text("tls/key.pem").hasPrefix("-----BEGIN PRIVATE KEY-----"))
    var status = stat()
    #expect(
      lstat(folder.file("tls/key.pem"), &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        && mode("tls/key.pem") == 0o600)
    // Nothing else is left.
    #expect(folder.names(in: "tls") == ["crt.pem", "crt.pem.new", "key.pem", "key.pem.new", "marker"])
  }

  @Test func questionsHaveDefaults() async throws {
    // Host, server, repository, password, country, state, locality.
    let made = try await admin(
      [
        "-C", folder.file("bcfg2.conf"), "init", "--ssl-key", folder.file("k.pem"), "--ssl-cert", folder.file("c.pem"),
      ], input: "www.example.org\n\n\(folder.file("site"))\nsesame\nDE\n\n\n")
    #expect(made.status == .exited(0), "\(made)")
    #expect(made.out.contains("Server location [https://www.example.org:6789]: "), "\(made)")
    #expect(made.out.contains("State or Province Name (full name) for certificate [Illinois]: "))
    #expect(try text("bcfg2.conf").contains("\npassword = sesame\n"))
    #expect(try text("site/Metadata/groups.xml").contains("name='basic'"))
  }

  @Test(arguments: [
    (["--hostname", "a b"], "a b is not the name of a host"), (["--country", "Germany"], "The country is a code"),
    (["--plugins", "Metadata,Nosuch"], "Unknown plugins: Nosuch"),
    (["--password-file", "/nonexistent"], "/nonexistent"),
    (["--locality", "a\nb"], "The locality is empty"),
  ])
  func wrongAnswersMakeNothing(_ arguments: [String], _ problem: String) async throws {
    let result = try await admin(batch + arguments)
    #expect(result.status == .exited(1) && result.out.hasPrefix(problem), "\(result)")
    #expect(folder.names().isEmpty)
  }

  @Test func withoutAnswersNothingIsMade() async throws {
    let result = try await admin(["-C", folder.file("bcfg2.conf"), "init"])
    #expect(result.status == .exited(1) && result.out.contains("--batch asks nothing"), "\(result)")
    #expect(folder.names().isEmpty)
  }
}
