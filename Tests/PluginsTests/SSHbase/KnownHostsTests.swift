import Core
import CoreSupport
import EventLoop
import Identity
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

/// A name service that counts questions, and holds some answers until the test releases them.
private final class CountedResolver: AddressResolver {
  /// Addresses by name, and names by address.
  var table: [String: [String]] = [:]
  /// Names whose answers wait for `release`.
  var held: (String) -> Bool = { _ in false }
  private(set) var asked: [String] = []
  private(set) var waiting: [(name: String, continuation: CheckedContinuation<Void, Never>)] = []

  func name(of address: String) async -> String? { table[address]?.first }

  func addresses(of name: String) async -> [String] {
    asked.append(name)
    if held(name) { await withCheckedContinuation { waiting.append((name, $0)) } }
    return table[name] ?? []
  }

  /// Answers the held questions.
  func release() {
    let ending = waiting
    waiting = []
    for (_, continuation) in ending { continuation.resume() }
  }
}

@Suite struct KnownHostsTests {
  private static let path = "/etc/ssh/ssh_known_hosts"
  private static let groups = """
    <Groups><Group name="base" profile="true" public="true" default="true"><Bundle name="all"/></Group></Groups>
    """
  private static let clients = """
    <Clients>
      <Client name="db.example.com" profile="base" address="10.0.0.5"><Alias name="store.example.com"/></Client>
      <Client name="web.example.com" profile="base"/>
      <Client name="10.0.0.7" profile="base" address="10.0.0.7" uuid="10.0.0.7"/>
    </Clients>
    """
  private static let files = [
    "Metadata/clients.xml": clients, "Metadata/groups.xml": groups,
    "Bundler/all.xml": "<Bundle><Path name=\"\(path)\"/></Bundle>",
    "SSHbase/ssh_host_rsa_key.pub.H_db.example.com": "ssh-rsa DB",
    "SSHbase/ssh_host_rsa_key.pub.H_web.example.com": "ssh-rsa WEB",
    "SSHbase/ssh_host_rsa_key.pub.H_10.0.0.7": "ssh-rsa SEVEN",
  ]

  private static var settings: Settings {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Bundler", "Metadata", "SSHbase"]
    return settings
  }

  /// Names by key, of the lines for all clients.
  private func lines(_ fixture: RepositoryFixture, of client: ClientName = "db.example.com") async throws -> [String:
    String]
  {
    let text = try #require(try await fixture.entry(Self.path, of: client)?.text)
    var found: [String: String] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("localhost,") {
      let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
      found[parts[1]] = parts[0]
    }
    return found
  }

  /// A host with the common password may register free names, but not those of other hosts.
  @Test func aNameOfItsOwnChoiceGivesNobodyTheNameOfAnotherHost() async throws {
    let hostile: [(name: ClientName, listed: [String])] = [
      ("10.0.0.5", []), ("10.5", []), ("167772165", []), ("0x0a000005", []), ("::ffff:10.0.0.5", []), ("::5", []),
      ("0:0:0:0:0:ffff:a00:5", []), ("012.0.0.5", []), ("10.0.0.5.", []), ("10.0.0.99", []), ("db", []),
      ("db.example.com.", []), ("db.", []), ("store.example.com.", []), ("web.", []), ("localhost", []),
      ("localhost.", []), ("localhost.localdomain.", []), ("ip6-loopback", []), ("localhost6", []), ("x.localhost", []),
      ("store", []), ("web", []),
      ("db.evil.example", ["db.evil.example"]), ("store.evil.example", ["store.evil.example"]),
      ("web.evil.example", ["web.evil.example"]), ("localhost.evil.example", ["localhost.evil.example"]),
      ("10.evil.example", ["10.evil.example"]), ("mallory.evil.example", ["mallory", "mallory.evil.example"]),
      ("loop.evil.example", ["loop", "loop.evil.example"]),
      ("other.example", ["192.0.2.9", "other", "other.example"]),
    ]
    let resolver = CountedResolver()
    resolver.table = [
      "mallory.evil.example": ["10.0.0.5", "192.0.2.8"], "10.0.0.5": ["db.example.com"], "192.0.2.8": ["10.0.0.99"],
      "db": ["10.0.0.5"], "web": ["192.0.2.7"], "web.example.com": ["192.0.2.7"], "192.0.2.7": ["localhost"],
      "other.example": ["192.0.2.9"],
      "loop.evil.example": ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "::ffff:10.0.0.5"],
    ]
    try await RepositoryFixture.run(files: Self.files, resolver: resolver, settings: Self.settings) {
      fixture async throws in
      let honest = [
        "ssh-rsa DB": "10.0.0.5,db,db.example.com,store,store.example.com", "ssh-rsa SEVEN": "10.0.0.7",
        "ssh-rsa WEB": "192.0.2.7,web,web.example.com",
      ]
      #expect(try await lines(fixture) == honest)
      for (number, row) in hostile.enumerated() {
        let caller = Caller(row.name, at: ClientAddress(ip: "10.0.1.\(number)", port: 9), gaveName: true)
        #expect(try await fixture.core.assertProfile(caller, "base") == .bool(true))
        fixture.edit("SSHbase/ssh_host_rsa_key.pub.H_\(row.name)", "ssh-rsa EVIL\(number)")
        // A client's answer waits for its own names.
        _ = try await lines(fixture, of: row.name)
      }
      var found = try await lines(fixture)
      for (key, names) in honest { #expect(found.removeValue(forKey: key) == names, "\(key)") }
      #expect(found.count == hostile.count)
      for (number, row) in hostile.enumerated() {
        let names = try #require(found["ssh-rsa EVIL\(number)"]).split(separator: ",").map(String.init)
        var expected = ["10.0.1.\(number)"] + row.listed
        if row.name == "mallory.evil.example" { expected.append("192.0.2.8") }
        #expect(names == expected.sorted(), "\(row.name)")
      }
      // As after a restart, when all clients are in clients.xml.
      try fixture.plugin(SSHbasePlugin.self).expireCache(key: nil)
      #expect(try await lines(fixture)["ssh-rsa DB"] == honest["ssh-rsa DB"])
    }
  }

  /// Unknown names do not delay answers after a restart either, when clients.xml has them from the start:
  /// one is looked up at a time, those of waiting clients first.
  @Test func namesOfStrangersHoldUpNobodyAfterARestart() async throws {
    let strangers = (0..<50).map { "<Client name=\"new\($0)\" profile=\"base\" uuid=\"new\($0)\"/>" }.joined()
    let files = Self.files.merging([
      "Metadata/clients.xml": Self.clients.replacing("</Clients>", with: "\(strangers)</Clients>")
    ]) { $1 }
    let resolver = CountedResolver()
    resolver.held = { $0.hasPrefix("new") }
    try await RepositoryFixture.run(files: files, resolver: resolver, settings: Self.settings) { fixture async throws in
      #expect(try await lines(fixture)["ssh-rsa DB"] == "10.0.0.5,db,db.example.com,store,store.example.com")
      let others = ["db.example.com", "store.example.com", "web.example.com"]
      while resolver.asked.count < 4 { await Task.yield() }
      #expect(Set(resolver.asked) == Set(others + ["new0"]) && resolver.waiting.count == 1)
      // The client that asks is next.
      let own = Task { try await lines(fixture, of: "new40") }
      for _ in 0..<100 { await Task.yield() }
      resolver.release()
      while resolver.waiting.isEmpty { await Task.yield() }
      #expect(resolver.asked.count == 5 && resolver.asked.last == "new40")
      resolver.held = { _ in false }
      resolver.release()
      _ = try await own.value
      // In the end all are looked up.
      while resolver.asked.count < 53 { await Task.yield() }
      _ = try await lines(fixture, of: ClientName(stringLiteral: resolver.asked[52]))
    }
  }

  /// A new name costs one look-up, and other clients do not wait for it.
  @Test func namesOfStrangersHoldUpNobody() async throws {
    let resolver = CountedResolver()
    resolver.held = { $0.hasPrefix("new") }
    resolver.table = ["web.example.com": ["192.0.2.7"]]
    try await RepositoryFixture.run(files: Self.files, resolver: resolver, settings: Self.settings) {
      fixture async throws in
      #expect(try await lines(fixture).count == 3)
      // A client registered under a number is not looked up.
      #expect(resolver.asked.sorted() == ["db.example.com", "store.example.com", "web.example.com"])
      for number in 0..<50 {
        _ = try await fixture.core.assertProfile(Caller("new\(number)", ip: "10.0.1.\(number)"), "base")
        fixture.edit("SSHbase/ssh_host_rsa_key.pub.H_new\(number)", "ssh-rsa NEW\(number)")
      }
      for client: ClientName in ["db.example.com", "web.example.com"] {
        let found = try await lines(fixture, of: client)
        #expect(found["ssh-rsa WEB"] == "192.0.2.7,web,web.example.com" && found["ssh-rsa NEW7"] == "new7")
      }
      while resolver.waiting.isEmpty { await Task.yield() }
      #expect(resolver.asked.count == 4 && resolver.waiting.count == 1)
      for number in 0..<50 {
        resolver.table["new\(number)"] = number < 25 ? ["192.0.3.\(number)"] : []
        while resolver.waiting.isEmpty { await Task.yield() }
        resolver.release()
      }
      while try await lines(fixture)["ssh-rsa NEW24"] != "192.0.3.24,new24" { await Task.yield() }
      // Each was looked up once, and names that were not found are not looked up again.
      for _ in 0..<3 { _ = try await lines(fixture) }
      #expect(resolver.asked.count == 53 && Set(resolver.asked).count == 53)
      // Answers wait for an administrator's record: its line is complete when first sent.
      resolver.held = { _ in false }
      resolver.table["late.example.com"] = ["192.0.2.20"]
      fixture.edit("SSHbase/ssh_host_rsa_key.pub.H_late.example.com", "ssh-rsa LATE")
      let clients = try fixture.text("Metadata/clients.xml")
      fixture.edit(
        "Metadata/clients.xml",
        clients.replacing(
          "</Clients>", with: "<Client name=\"late.example.com\" profile=\"base\" address=\"10.0.0.20\"/></Clients>"))
      #expect(try await lines(fixture)["ssh-rsa LATE"] == "10.0.0.20,192.0.2.20,late,late.example.com")
      #expect(resolver.asked.count == 54)
    }
  }

  /// A client whose metadata cannot be built, and one that is gone, cost their own lines.
  @Test func aKeyOfAGroupHasItsMembers() async throws {
    let files = Self.files.merging([
      "Metadata/groups.xml": """
      <Groups><Group name="base" profile="true" public="true" default="true"><Bundle name="all"/></Group>
      <Client name="db.example.com"><Group name="red"/></Client><Client name="new"><Group name="red"/></Client></Groups>
      """, "SSHbase/ssh_host_rsa_key.pub.G10_red": "ssh-rsa RED", "SSHbase/ssh_host_rsa_key.pub.G10_blue": "ssh-rsa B",
    ]) { $1 }
    try await RepositoryFixture.run(files: files, settings: Self.settings) { fixture async throws in
      let db = "10.0.0.5,db,db.example.com,store,store.example.com"
      #expect(try await lines(fixture)["ssh-rsa RED"] == db)
      _ = try await fixture.core.assertProfile(Caller("new", ip: "10.0.1.1"), "base")
      #expect(try await lines(fixture)["ssh-rsa RED"] == "\(db),new")
      try await fixture.plugin(MetadataPlugin.self).removeClient("new")
      let found = try await lines(fixture)
      #expect(found["ssh-rsa RED"] == db && found["ssh-rsa B"] == nil)
    }
  }

  @Test func aNameHasOneOwnerAmongThoseWhoRegisteredThemselves() {
    var hosts = HostNames()
    func names(_ client: ClientName) -> String { hosts.names(of: client) { _ in }.joined(separator: ",") }
    func own(_ name: ClientName) -> KnownClient { KnownClient(name, isSelfRegistered: true) }
    hosts.set(own("www.b"), order: 2, lookedUp: ["192.0.2.1"])
    hosts.set(own("www.c"), order: 3, lookedUp: ["192.0.2.1", "x.a"])
    #expect(names("www.b") == "192.0.2.1,www,www.b" && names("www.c") == "www.c,x.a")
    // The first record in clients.xml owns a name, whenever it was read; looked up names count least.
    hosts.set(own("www.a"), order: 1, lookedUp: [])
    hosts.set(own("x.a"), order: 4, lookedUp: [])
    #expect(names("www.a") == "www,www.a" && names("www.b") == "192.0.2.1,www.b")
    #expect(names("x.a") == "x,x.a" && names("www.c") == "www.c")
    // Records of the administrator share a name; the others get the rest.
    hosts.set(KnownClient("www.d"), order: 5, lookedUp: ["192.0.2.1"])
    hosts.set(KnownClient("www.e", addresses: ["192.0.2.1"]), order: 6, lookedUp: ["localhost"])
    #expect(names("www.d") == "192.0.2.1,www,www.d" && names("www.e") == "192.0.2.1,localhost,www,www.e")
    #expect(names("www.a") == "www.a" && names("www.b") == "www.b")
    // Without them the first one owns it again, and without that the next.
    hosts.remove("www.d")
    #expect(names("www.a") == "www.a")
    hosts.remove("www.e")
    #expect(names("www.a") == "www,www.a" && names("www.b") == "192.0.2.1,www.b")
    hosts.remove("www.a")
    #expect(names("www.b") == "192.0.2.1,www,www.b" && names("www.a") == "")
  }

  /// No client gets a certificate for another client's name, which everyone who trusts the authority would accept.
  @Test func noCertificateVouchesForTheNameOfAnotherHost() async throws {
    let (db, web) = (KnownClient("db.example.com", aliases: ["mail.example.com"]), own("web.example.com"))
    let table: [(client: KnownClient, isOwn: Bool)] = [
      (own("db"), false), (own("mail"), false), (own("web"), false), (own("db.evil.example"), true), (own("x"), true),
      (own("db."), false), (own("db.example.com."), false), (own("mail.example.com."), false),
      (own("web.example.com."), false),
      (own("10.0.0.5."), false), (own("::ffff:a00:5"), false), (own("db.example.org"), true),
      (KnownClient("0:0::ffff:a00:5", addresses: ["10.0.0.5"], isSelfRegistered: true), true),
      (own("10.0.0.5"), false), (own("10.5"), false), (KnownClient("db"), true), (KnownClient("10.0.0.5"), true),
      (KnownClient("10.0.0.5", addresses: ["10.0.0.5"], isSelfRegistered: true), true),
    ]
    for (client, isOwn) in table {
      #expect(HostNames.isOwn(client.name, among: [db, web, client]) == isOwn, "\(client)")
      #expect(HostNames.isOwn("db.example.com", among: [client, db]) && HostNames.isOwn("unknown", among: [db]))
    }
    // The first of two self-registered clients owns the name.
    #expect(HostNames.isOwn("web", among: [own("web"), web]))

    var settings = try Settings(conf: "[sslca_default]\nroot_ca = no\n", path: "test.conf")
    settings.plugins = ["Bundler", "Cfg", "Metadata", "SSLCA"]
    settings.password = "foobat"
    let files = Self.files.merging([
      "Bundler/all.xml": "<Bundle><Path name='/c'/><Path name='/d'/></Bundle>",
      "SSLCA/k/k": "x", "SSLCA/k/key.xml": "<KeyInfo><Key/></KeyInfo>",
      "SSLCA/c/cert.xml":
        "<CertInfo><Cert key='/k' ca='default'/></CertInfo>",
      "Cfg/d/sslcert.xml": "<CertInfo><Cert key='/l' ca='default'/></CertInfo>",
    ]) { $1 }
    try await RepositoryFixture.run(files: files, settings: settings) { fixture async throws in
      for client: ClientName in ["db", "fresh"] {
        _ = try await fixture.core.assertProfile(Caller(client), "base")
        let failures = try await fixture.configuration(of: client).children.flatMap(\.children).map {
          $0["failure"] ?? ""
        }
        #expect(failures.count { $0.contains("registered itself under a name of another") } == (client == "db" ? 2 : 0))
      }
      #expect(fixture.repository.names(in: "SSLCA/c") == ["cert.xml"])
    }
  }

  private func own(_ name: ClientName) -> KnownClient { KnownClient(name, isSelfRegistered: true) }

  /// Creating keys for one client does not invalidate the others' cached answers.
  @Test func aKeyThatIsMadeConcernsItsClientAlone() async throws {
    let files = Self.files.merging([
      "Bundler/all.xml": "<Bundle><Path name='/etc/ssh/ssh_host_ed25519_key'/></Bundle>"
    ]) { $1 }
    try await RepositoryFixture.run(files: files, settings: Self.settings) { fixture async throws in
      _ = try await fixture.configuration(of: "db.example.com")
      fixture.monitor.processPending()
      let generation = fixture.core.generation(of: "db.example.com")
      for number in 0..<3 {
        _ = try await fixture.configuration(of: "new\(number)")
        fixture.monitor.processPending()
        #expect(fileExists(fixture.repository.file("SSHbase/ssh_host_ed25519_key.H_new\(number)")))
      }
      #expect(fixture.core.generation(of: "db.example.com") == generation)
      fixture.edit("SSHbase/ssh_host_ed25519_key.pub.H_new1", "ssh-ed25519 EDITED\n")
      #expect(fixture.core.generation(of: "db.example.com") != generation)
    }
  }

  /// The server distinguishes its records of self-registered clients from the administrator's.
  @Test func recordsTellWhoMadeThem() async throws {
    let clients = """
      <Clients><Client name="a" profile="base"/><Client name="b" profile="base" uuid="b" address="10.0.0.1"/>
      <Client name="C" profile="base" uuid="C" address="10.0.0.3" version="1.4"/>
      <Client name="d" profile="base" address="10.0.0.2"/><Client name="e" profile="base" uuid="other"/>
      <Client name="f" profile="base" password="x"/><Client name="g" profile="base" auth="cert"/>
      <Client name="h" profile="base" secure="true"/><Client name="i" profile="base" location="floating"/>
      <Client name="j" profile="base"><Alias name="k"/></Client><Client name="l" profile="base" uuid="l"/></Clients>
      """
    try await RepositoryFixture.run(files: Self.files.merging(["Metadata/clients.xml": clients]) { $1 }) {
      fixture async throws in
      let known = await fixture.core.metadata.listKnownClients()
      // The last one may come from another client's address.
      #expect(known.filter(\.isSelfRegistered).map(\.name) == ["a", "b", "c", "l"])
      let caller = Caller("m", at: ClientAddress(ip: "10.0.0.4", port: 9), gaveName: true)
      _ = try await fixture.core.assertProfile(caller, "base")
      _ = try await fixture.core.buildMetadata("n")
      _ = try await fixture.core.declareVersion(Caller("n"), "1.4.0")
      let new = await fixture.core.metadata.listKnownClients().suffix(2)
      #expect(new.map(\.name) == ["m", "n"] && new.allSatisfy { $0.isSelfRegistered })
      #expect(new.first?.addresses == ["10.0.0.4"])
    }
  }
}
