import CoreSupport
import EventLoop
import Identity
import Networking
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins
@testable import Server

/// One attempt to authenticate.
private nonisolated struct Attempt: CustomTestStringConvertible {
  let name: String
  var certificate: String?
  /// nil, as the password, without an Authorization header.
  var user: String? = "root"
  var password: String? = "foobat"
  var ip = "127.0.0.1"
  var mode = "cert+password"
  /// `[communication] passwords`.
  var passwords = true
  /// The authenticated client; nil if refused.
  let client: ClientName?

  var testDescription: String { name }

  static let all: [Attempt] = [
    Attempt(name: "the address names the client", client: "one"),
    Attempt(name: "wrong password", password: "foobar", client: nil),
    Attempt(name: "empty password", password: "", client: nil),
    Attempt(name: "longer password", password: "foobatfoobat", client: nil),
    Attempt(name: "address of two clients", ip: "127.0.0.2", client: nil),
    Attempt(name: "address of two clients, by name", user: "two", ip: "127.0.0.2", client: "two"),
    Attempt(name: "name service", ip: "127.0.0.8", client: "named"),
    Attempt(name: "name service knows an alias", ip: "127.0.0.9", client: "one"),
    Attempt(name: "address that its client has twice", ip: "127.0.0.12", client: nil),
    Attempt(name: "nobody's address", ip: "127.0.0.99", client: nil),
    Attempt(name: "an unknown client by name", user: "new", ip: "127.0.0.99", client: "new"),
    Attempt(name: "this machine's name, from elsewhere", user: "localhost", ip: "192.0.2.7", client: nil),
    Attempt(
      name: "this machine's other name, from elsewhere", user: "LOCALHOST.localdomain", ip: "192.0.2.7", client: nil),
    Attempt(name: "this machine's name of IPv6, from elsewhere", user: "ip6-localhost", ip: "192.0.2.7", client: nil),
    Attempt(name: "a name below this machine's, from elsewhere", user: "x.localhost", ip: "192.0.2.7", client: nil),
    Attempt(name: "this machine's name, from there", user: "localhost", ip: "127.0.0.99", client: "localhost"),
    Attempt(name: "a name that ends like a file", user: "one.crypt", ip: "192.0.2.7", client: nil),
    Attempt(name: "uuid", user: "ffee-01", client: "id"),
    Attempt(name: "uuid and own password", user: "ffee-01", password: "idpass", client: "id"),
    Attempt(name: "another's password", user: "ffee-01", password: "safest", client: nil),
    Attempt(name: "secure, global password", user: "safe", client: nil),
    Attempt(name: "secure, own password", user: "safe", password: "safest", client: "safe"),
    Attempt(name: "secure, global password, another letter case", user: "SAFE", client: nil),
    Attempt(name: "secure, global password, by its alias", user: "vault", client: nil),
    Attempt(name: "secure without a password", user: "void", client: nil),
    Attempt(name: "secure without a password, empty one", user: "void", password: "", client: nil),
    Attempt(name: "auth=cert, password only", user: "cert", client: nil),
    Attempt(name: "auth=cert, by its address", ip: "127.0.0.4", client: nil),
    Attempt(name: "auth=cert, certificate", certificate: "cert", password: "", ip: "127.0.0.4", client: "cert"),
    Attempt(name: "auth=cert, wrong address", certificate: "cert", client: nil),
    Attempt(name: "certificate and password", certificate: "one", client: "one"),
    Attempt(name: "certificate and wrong password", certificate: "one", password: "x", client: nil),
    Attempt(name: "certificate of nobody known", certificate: "other", client: nil),
    Attempt(name: "certificate without a name", certificate: "", client: nil),
    Attempt(name: "floating, anywhere", certificate: "float", password: "x", ip: "127.0.0.77", client: "float"),
    Attempt(name: "bootstrap, password", user: "boot", client: "boot"),
    Attempt(name: "bootstrap, certificate", certificate: "boot", password: "x", ip: "127.0.0.6", client: "boot"),
    Attempt(name: "default cert, password", mode: "cert", client: nil),
    Attempt(name: "default cert, certificate", certificate: "one", password: "x", mode: "cert", client: "one"),
    Attempt(name: "a name with a slash", user: "../x", client: nil),
    Attempt(name: "a name that a shell expands", user: "*", client: nil),
    Attempt(name: "a name of two lines", user: "one\nCN = safe", client: nil),
    Attempt(name: "a name with a blank", user: "GetProbes one", client: nil),
    Attempt(name: "no name at all", user: "", client: nil),
    Attempt(name: "an option", user: "-rf", client: nil),
    Attempt(name: "a name that is too long", user: String(repeating: "a", count: 256), client: nil),
    Attempt(name: "letters beyond ASCII that clients.xml does not have", user: "stra\u{DF}e", client: nil),
    Attempt(name: "letters beyond ASCII as clients.xml has them", user: "caf\u{E9}", client: "caf\u{E9}"),
    Attempt(name: "the same letters in two scalars", user: "cafe\u{301}", client: nil),
    Attempt(name: "the same letters in another case", user: "CAF\u{C9}", client: nil),
    Attempt(name: "the spelling of clients.xml", user: "\u{C9}tage", client: "\u{E9}tage"),
    Attempt(name: "an alias as clients.xml has it", user: "\u{FC}ber", client: "two"),
    Attempt(name: "a sign that becomes an ASCII letter", user: "\u{212A}ey", client: nil),
    Attempt(name: "root in another letter case is a name", user: "ROOT", client: "ROOT"),
    Attempt(name: "a name that clients.xml has and no client may have", user: "a/b", client: nil),
    Attempt(name: "certificate of two lines", certificate: "one\nsafe", client: nil),
    Attempt(name: "certificate with a path", certificate: "../one", password: "x", ip: "127.0.0.77", client: nil),
    Attempt(name: "certificate, the letters in two scalars", certificate: "cafe\u{301}", client: nil),
    Attempt(name: "name service has a path", ip: "127.0.0.88", client: nil),
    Attempt(name: "default cert, client says both", user: "both", mode: "cert", client: "both"),
    alone("auth=cert", certificate: "cert", ip: "127.0.0.4", client: "cert"),
    alone("auth=cert, wrong address", certificate: "cert", client: nil),
    alone("auth=cert, another letter case", certificate: "CERT", ip: "127.0.0.4", client: nil),
    alone("floating, anywhere", certificate: "float", ip: "127.0.0.77", client: "float"),
    alone("bootstrap", certificate: "boot", ip: "127.0.0.6", client: "boot"),
    alone("cert+password by default", certificate: "one", client: nil),
    alone("cert+password of clients.xml", certificate: "both", mode: "cert", client: nil),
    alone("cert by default", certificate: "one", mode: "cert", client: "one"),
    alone("cert by default, from another client's address", certificate: "two", mode: "cert", client: nil),
    alone("cert by default, name service", certificate: "named", ip: "127.0.0.8", mode: "cert", client: "named"),
    alone(
      "cert by default, name service says otherwise", certificate: "one", ip: "127.0.0.8", mode: "cert", client: nil),
    alone("secure, cert by default", certificate: "safe", ip: "127.0.0.5", mode: "cert", client: nil),
    alone("this machine's name, from elsewhere", certificate: "localhost", ip: "192.0.2.7", mode: "cert", client: nil),
    alone("certificate without a name", certificate: "", mode: "cert", client: nil),
    alone("certificate with a path", certificate: "../one", mode: "cert", client: nil),
    alone("neither certificate nor header", certificate: nil, client: nil),
    Attempt(name: "no passwords, a right one", passwords: false, client: nil),
    Attempt(name: "no passwords, own one", user: "safe", password: "safest", passwords: false, client: nil),
    Attempt(name: "no passwords, bootstrap", user: "boot", passwords: false, client: nil),
    Attempt(name: "no passwords, certificate", certificate: "one", passwords: false, client: "one"),
    Attempt(
      name: "no passwords, certificate, a wrong one", certificate: "one", password: "x", passwords: false, client: "one"
    ),
    Attempt(
      name: "no passwords, certificate, another's user", certificate: "one", user: "safe", password: "safest",
      passwords: false, client: "one"),
    Attempt(name: "no passwords, certificate, wrong address", certificate: "cert", passwords: false, client: nil),
    alone("no passwords", certificate: "one", passwords: false, client: "one"),
    alone("no passwords, from another client's address", certificate: "both", passwords: false, client: nil),
    alone(
      "no passwords, cert+password, floating", certificate: "float", ip: "127.0.0.77", passwords: false, client: "float"
    ),
    alone("no passwords, nothing", certificate: nil, passwords: false, client: nil),
  ]
}

private nonisolated func alone(
  _ name: String, certificate: String?, ip: String = "127.0.0.1", mode: String = "cert+password",
  passwords: Bool = true,
  client: ClientName?
) -> Attempt {
  Attempt(
    name: "without a header, \(name)", certificate: certificate, user: nil, password: nil, ip: ip, mode: mode,
    passwords: passwords, client: client)
}

@Suite struct MetadataAuthenticationTests {
  private static let files = [
    "Metadata/groups.xml": "<Groups><Group name=\"base\" profile=\"true\" default=\"true\"/></Groups>",
    "Metadata/clients.xml": """
    <Clients>
      <Client name="one" profile="base" address="127.0.0.1"><Alias name="uno"/></Client>
      <Client name="two" profile="base" address="127.0.0.2"><Alias name="\u{FC}ber"/></Client>
      <Client name="caf\u{E9}" profile="base"/>
      <Client name="\u{C9}tage" profile="base"/>
      <Client name="key" profile="base"/>
      <Client name="a/b" profile="base"/>
      <Client name="three" profile="base" address="127.0.0.2"/>
      <Client name="twice" profile="base" address="127.0.0.12"><Alias name="again" address="127.0.0.12"/></Client>
      <Client name="cert" profile="base" address="127.0.0.4" auth="cert"/>
      <Client name="both" profile="base" auth="cert+password"/>
      <Client name="boot" profile="base" address="127.0.0.6" auth="bootstrap"/>
      <Client name="float" profile="base" auth="cert" location="floating"/>
      <Client name="id" profile="base" uuid="ffee-01" password="idpass"/>
      <Client name="safe" profile="base" password="safest" secure="TRUE"><Alias name="vault"/></Client>
      <Client name="void" profile="base" secure="true"/>
    </Clients>
    """,
  ]
  private static let names = [
    "127.0.0.8": "NAMED", "127.0.0.9": "uno", "127.0.0.77": "elsewhere", "127.0.0.88": "../one",
  ]

  @Test(arguments: Attempt.all)
  fileprivate func onlyTheRightOnesComeIn(_ attempt: Attempt) async throws {
    var settings = RepositoryFixture.settings
    settings.authentication = attempt.mode
    settings.acceptsPasswords = attempt.passwords
    settings.certificateAuthority = "ca.crt"
    try await RepositoryFixture.run(
      files: Self.files, names: Self.names, settings: settings,
      core: NetworkCore.init(settings:loop:fileMonitor:resolver:registry:)
    ) { fixture async throws in
      let address = ClientAddress(ip: attempt.ip, port: 4711)
      let decision = await fixture.network.authenticate(
        certificate: attempt.certificate, user: attempt.user, password: attempt.password, address: address
      ).value
      #expect(decision.caller?.client == attempt.client)
      #expect(decision.caller.map { $0.address == address } ?? true)
    }
  }

  /// The log says what a client lacks.
  @Test func theLogSaysWhatAClientLacks() async throws {
    for (passwords, authority, certificate, user, line) in [
      (
        true, "ca.crt", nil, nil,
        "No authentication data presented by 127.0.0.1: neither an Authorization header nor a client certificate"
      ),
      (true, nil, nil, nil, "No authentication data presented by 127.0.0.1"),
      (true, nil, "one", nil, "No authentication data presented by 127.0.0.1"),
      (
        true, "ca.crt", "one", nil,
        "Client one provides a cert and no password, but cert+password is demanded"
      ),
      (
        false, "ca.crt", nil, "root",
        "No authentication data presented by 127.0.0.1: it has no client certificate, and [communication] passwords = no"
      ),
      (
        false, nil, "one", "root",
        "No authentication data presented by 127.0.0.1: [communication] ca is not set, and [communication] passwords = no"
      ),
      (true, "ca.crt", nil, "cert", "Client cert does not provide a cert, but only cert auth is allowed"),
    ] as [(Bool, String?, String?, String?, String)] {
      var settings = RepositoryFixture.settings
      settings.acceptsPasswords = passwords
      settings.certificateAuthority = authority
      try await RepositoryFixture.run(
        files: Self.files, settings: settings, recordsPlugins: true,
        core: NetworkCore.init(settings:loop:fileMonitor:resolver:registry:)
      ) { fixture async throws in
        let decision = await fixture.network.authenticate(
          certificate: certificate, user: user, password: user.map { _ in "foobat" },
          address: ClientAddress(ip: "127.0.0.1", port: 1)
        ).value
        #expect(decision == .refused)
        #expect(fixture.log.lines.contains { $0 == "error \(line)" }, "\(line): \(fixture.log.lines)")
      }
    }
  }

  /// A header that cannot be read is refused, also with a certificate that needs none.
  @Test func aCertificateNeedsNoHeaderAndSavesNoBadOne() async throws {
    var settings = RepositoryFixture.settings
    settings.certificateAuthority = "ca.crt"
    try await RepositoryFixture.run(
      files: Self.files, settings: settings, core: NetworkCore.init(settings:loop:fileMonitor:resolver:registry:)
    ) { fixture async throws in
      let core = fixture.network
      let peer = PeerIdentity(address: .ipv4(0x7f00_0001, port: 1), certificateCommonName: "float")
      for (headers, isAdmitted) in [
        ([], true), ([HTTPField("Authorization", "Bearer x")], false),
        ([HTTPField("Authorization", "Basic Og==")], true),
      ] as [([HTTPField], Bool)] {
        let head = HTTPRequestHead(method: "POST", target: "/RPC2", headers: headers)
        switch core.authenticate(head, peer: peer) {
        case .now(.admitted(let caller)): #expect(isAdmitted && caller.client == "float")
        case .now(.refused(let response)): #expect(!isAdmitted && response.status == 401)
        case .later: Issue.record("name service is asked")
        }
      }
    }
  }

  /// An impossible name is refused with a line that says why, and leaves no file.
  @Test func aRefusedNameIsLoggedAndLeavesNothing() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let log = fixture.log
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let before = try fixture.text("Metadata/clients.xml")
      let known = await plugin.listClients()
      for (name, reason) in [
        ("../../etc/cron.d/x", "it has a /"), ("", "it is empty"), ("*", "it has a *"), ("a\nb", "it has the byte 0a"),
        (String(repeating: "a", count: 300), "it has 300 bytes, more than 255"),
        ("a..b", "it is a dot, or has two in a row"), ("one.", "it begins or ends with a dot"),
        (".one", "it begins or ends with a dot"), ("localhost.", "it begins or ends with a dot"),
        ("cafe\u{301}", "it has the byte cc"), ("-v", "it begins with -"),
      ] {
        let decision = await plugin.authenticateConnection(
          certificate: nil, user: name, password: "foobat", address: ClientAddress(ip: "127.0.0.1", port: 1)
        ).value
        #expect(decision == .refused)
        let said = log.lines.filter { $0.contains("no client's name: \(reason)") }
        #expect(said.count == 1 || reason.contains("begins or ends"), "\(reason)")
        #expect(said.contains { $0.hasSuffix(": \(name)") } || name.contains("\n"), "\(name)")
      }
      #expect(try fixture.text("Metadata/clients.xml") == before)
      #expect(await plugin.listClients() == known)
    }
  }

  /// The next client at an address and port is authenticated again, not taken for the first one.
  @Test func aPortThatIsUsedAgainIsItsNewOwners() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let address = ClientAddress(ip: "127.0.0.4", port: 4711)
      let first = await plugin.authenticateConnection(
        certificate: nil, user: "safe", password: "safest", address: address
      ).value
      #expect(first.caller?.client == "safe")
      let second = await plugin.authenticateConnection(
        certificate: "cert", user: "root", password: "", address: address
      ).value
      let caller = try #require(second.caller)
      #expect(caller.client == "cert")
      // The call is carried out as the second client.
      _ = try await fixture.core.declareVersion(caller, "1.4.0")
      #expect(plugin.clients.client(named: "cert")?.version == "1.4.0")
      #expect(plugin.clients.client(named: "safe")?.version == nil)
      guard case .value = await fixture.core.dispatch(MethodCall(method: "GetConfig", params: []), from: caller) else {
        Issue.record("no configuration")
        return
      }
      #expect(fixture.core.answerCache[.configuration("cert")] != nil)
      #expect(fixture.core.answerCache[.configuration("safe")] == nil)
    }
  }

  @Test func withoutAGlobalPasswordNoneFits() async throws {
    var settings = RepositoryFixture.settings
    settings.password = nil
    try await RepositoryFixture.run(files: Self.files, settings: settings) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      for password in ["", "foobat", "nil"] {
        let decision = await plugin.authenticateConnection(
          certificate: nil, user: "one", password: password, address: ClientAddress(ip: "127.0.0.1", port: 1)
        ).value
        #expect(decision == .refused)
      }
    }
  }

  @Test func passwordsAreComparedWhole() {
    let cases = [("", "", true), ("a", "", false), ("", "a", false), ("ab", "ab", true), ("ab", "aba", false)]
    for (given, expected, answer) in cases + [("abab", "ab", false), ("ac", "ab", false), ("é", "é", true)] {
      #expect(MetadataPlugin.isEqual(given, expected) == answer, "\(given) \(expected)")
    }
  }
}
