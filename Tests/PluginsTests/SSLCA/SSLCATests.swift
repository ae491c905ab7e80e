import CoreSupport
import Glibc
import Repository
import ServerSettings
import Support
import Testing

/// 1.3's plugin for TLS keys and certificates.
@Suite struct SSLCATests {
  private static func files(_ own: [String: String]) -> [String: String] {
    RepositoryFixture.files(bundle: "<Path name='/k'/><Path name='/c'/>", own)
  }

  private static func settings(_ text: String = "", _ compatibility: Compatibility = .v1_4) throws -> Settings {
    var settings = try Settings(conf: text)
    settings.plugins = ["Bundler", "Metadata", "SSLCA"]
    settings.password = "foobat"
    settings.compatibility = compatibility
    return settings
  }

  @Test func aFolderNeedsKeyXMLOrCertXML() async throws {
    let files = Self.files(["SSLCA/k/k": "all\n", "SSLCA/k/k.G10_web": "web\n", "SSLCA/k/key.xml.bak": ""])
    try await RepositoryFixture.run(files: files, settings: try Self.settings()) { fixture async throws in
      #expect(try await fixture.entry("/k")?.attributes.count == 1)
      #expect(try await fixture.entry("/c")?["failure"] == "no matching generator")
      fixture.edit("SSLCA/k/key.xml", "<KeyInfo><Key/></KeyInfo>")
      #expect(try await fixture.entry("/k")?.text == "web\n")
      let entry = try #require(try await fixture.entry("/k", of: "two.example.com"))
      #expect(entry.text == "all\n" && entry["type"] == "file" && entry["owner"] == "root")
      #expect(unlink(fixture.repository.file("SSLCA/k/key.xml")) == 0)
      #expect(try await fixture.entry("/k")?.attributes.count == 1)
    }
  }

  @Test func infoFilesAreReadAsTheVersionDid() async throws {
    let files = Self.files([
      "SSLCA/k/k": "x", "SSLCA/k/key.xml": "<KeyInfo><Key/></KeyInfo>", "SSLCA/k/info": "group: old\nodd line\n",
      "SSLCA/k/info.xml":
        "<FileInfo><Info owner='first'/><Group name='web'><Info owner='inner' secontext='s'/></Group></FileInfo>",
    ])
    for (compatibility, owner, group, mode) in [
      (Compatibility.v1_3, "inner", "old", "0644"), (.v1_4, "first", "root", "644"),
    ] {
      try await RepositoryFixture.run(files: files, settings: try Self.settings("", compatibility)) {
        fixture async throws in
        let entry = try #require(try await fixture.entry("/k"))
        #expect(entry["owner"] == owner && entry["group"] == group && entry["mode"] == mode, "\(compatibility)")
        #expect(unlink(fixture.repository.file("SSLCA/k/info")) == 0)
        #expect(try await fixture.entry("/k")?["group"] == "root")
      }
    }
  }

  @Test func keysAndCertificatesAreMadeAndMadeAgain() async throws {
    try await LoopDriver.withLoop { loop in
      let authority = try await TestAuthority(on: loop)
      let files = Self.files([
        "SSLCA/k/key.xml": "<KeyInfo><Key bits='1024'/></KeyInfo>",
        "SSLCA/c/cert.xml": """
        <CertInfo><Cert key='/k' ca='test' c='US' o='Example'/><subjectAltName>www.example.com</subjectAltName></CertInfo>
        """,
      ])
      try await RepositoryFixture.run(files: files, settings: try Self.settings(authority.settings)) {
        fixture async throws in
        // Both clients ask twice at once: each gets one key and one certificate.
        async let first = fixture.configuration(of: "one.example.com")
        async let second = fixture.configuration(of: "one.example.com")
        async let other = fixture.configuration(of: "two.example.com")
        let (a, b, c) = try await (first, second, other)
        @MainActor func text(_ configuration: Element, _ name: String) -> String {
          configuration.children[0].children.first { $0.name == name }?.text ?? "none"
        }
        #expect(text(a, "/k").contains("PRIVATE KEY") && text(a, "/k") == text(b, "/k"))
        #expect(text(a, "/c") == text(b, "/c") && text(a, "/k") != text(c, "/k"))
        #expect(text(a, "/c").contains("DNS:www.example.com, DNS:uno, DNS:one.example.com"), "\(text(a, "/c"))")
        let subject = text(a, "/c").replacing(" = ", with: "=")
        for field in ["C=US", "O=Example", "CN=one.example.com"] { #expect(subject.contains(field), "\(subject)") }
        #expect(try authority.serial() == "03\n")
        #expect(
          fixture.repository.names(in: "SSLCA/c") == ["c.H_one.example.com", "c.H_two.example.com", "cert.xml"])
        #expect(try await fixture.entry("/c")?.text == text(a, "/c"))
        // With another key the certificate no longer matches.
        #expect(unlink(fixture.repository.file("SSLCA/k/k.H_one.example.com")) == 0)
        let again = try await fixture.configuration(of: "one.example.com")
        #expect(text(again, "/c") != text(a, "/c") && text(again, "/c").contains("BEGIN CERTIFICATE"))
        #expect(try authority.serial() == "04\n")
      }
    }
  }

  @Test func whatCannotBeMadeFailsItsEntryAlone() async throws {
    let key = "<KeyInfo><Key/></KeyInfo>"
    let table: [(files: [String: String], entry: String, failure: String)] = [
      (["k/key.xml": "<KeyInfo><Key type='odd'/></KeyInfo>"], "/k", "unknown type of key odd"),
      (["k/key.xml": "<KeyInfo/>"], "/k", "No matching Key entry found for one.example.com in "),
      (["c/cert.xml": "<CertInfo/>", "c/c": "x"], "/c", "No matching Cert entry found"),
      (["c/cert.xml": "<CertInfo><Cert/></CertInfo>", "c/c": "x"], "/c", "No key defined for None"),
      (
        ["k/key.xml": key, "k/k": "x", "c/cert.xml": "<CertInfo><Cert key='/k'/></CertInfo>", "c/c": "x"], "/c",
        "No section [sslca_default]"
      ),
      (
        ["k/key.xml": key, "k/k": "x", "c/cert.xml": "<CertInfo><Cert key='/k' ca='bare'/></CertInfo>"], "/c",
        "[sslca_bare] section has no 'config' option"
      ),
      (["k/key.xml": key, "k/k": "\u{1}"], "/k", "Error in specification for /k"),
    ]
    for (own, name, failure) in table {
      let files = Self.files(Dictionary(uniqueKeysWithValues: own.map { ("SSLCA/" + $0.key, $0.value) }))
      let settings = try Self.settings("[sslca_bare]\nroot_ca = no\n")
      try await RepositoryFixture.run(files: files, settings: settings) { fixture async throws in
        let text = try await fixture.entry(name)?["failure"] ?? "none"
        #expect(text.contains(failure), "\(failure): \(text)")
      }
    }
  }
}
