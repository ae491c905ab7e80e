import CoreSupport
import EventLoop
import Glibc
import Identity
import OrderedCollections
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins

/// Names that clients.xml may have and that a shell, ssh, Nagios or openssl
/// would interpret.
private let hostileNames: [ClientName] = [
  "*", "?", "!one", "$(touch${ifs}x)", "`id`", "a;b", "a,b", "-rf", "@cert-authority", "#comment", "|1|a|b", "a'b",
  "a=b", "%n", "caf\u{E9}", "cafe\u{301}", ".x", "x.",
]

/// Whether Nagios reads a name literally.
private let isNagiosName = { (name: ClientName) in (try? ForeignGrammar.nagiosName(name.text)) != nil }

/// Every file below a folder of a test, by path.
private func repositoryFiles(_ folder: TemporaryDirectory, below path: String = "") -> Set<Name> {
  var found: Set<Name> = []
  for name in folder.names(in: path) {
    let below = path.isEmpty ? name : "\(path)/\(name)"
    if isFolder(folder.file(below)) {
      found.formUnion(repositoryFiles(folder, below: below))
    } else {
      found.insert(Name(below))
    }
  }
  return found
}

@Suite struct HostileNameTests {
  private static func clients(_ names: [ClientName]) -> String {
    "<Clients>"
      + names.enumerated().map { number, name in
        let text = String(
          decoding: XMLEscape.escaped(Array(name.text.utf8), as: .attribute, encoding: .utf8), as: UTF8.self)
        return "<Client name=\"\(text)\" profile=\"base\" address=\"10.0.0.\(number + 1)\"/>"
      }.joined() + "</Clients>"
  }

  private static let groups = """
    <Groups><Group name="base" profile="true" public="true"><Bundle name="all"/></Group></Groups>
    """
  private static let bundle = """
    <Bundle><Path name="/etc/ssh/ssh_host_ed25519_key"/><Path name="/etc/ssh/ssh_known_hosts"/>
    <Path name="/etc/nagiosgen.status"/><Path name="/etc/probed"/></Bundle>
    """

  private static var settings: Settings {
    var settings = RepositoryFixture.settings
    settings.plugins = [
      "Bundler", "Cfg", "FileProbes", "Metadata", "NagiosGen", "Ohai", "Probes", "SSHbase",
    ]
    return settings
  }

  /// Files that the server writes for a client carry its name and stay in their plugin's folder; no other file
  /// appears.
  @Test func whateverAPluginMakesFromANameStaysInItsFolder() async throws {
    let files = [
      "Metadata/clients.xml": Self.clients(hostileNames + ["good.example.com"]), "Metadata/groups.xml": Self.groups,
      "Bundler/all.xml": Self.bundle,
      "FileProbes/config.xml": "<FileProbes><FileProbe name=\"/etc/probed\" update=\"true\"/></FileProbes>",
    ]
    let addresses = Dictionary(
      uniqueKeysWithValues: hostileNames.enumerated().map { ("192.0.2.\($0 + 1)", $1.text) }
        + [("192.0.2.99", "good.example.com")])
    try await RepositoryFixture.run(files: files, names: addresses, settings: Self.settings) { fixture async throws in
      let before = repositoryFiles(fixture.repository)
      let contents = String(decoding: Base64.encode(Array("probed\n".utf8)), as: UTF8.self)
      let report = """
        <probe-data><probe-data name="Ohai" source="Ohai">{"a": 1}</probe-data><probe-data name="/etc/probed" \
        source="FileProbes">&lt;ProbedFileData name='/etc/probed' owner='o' group='g' mode='0640'&gt;\(contents)\
        &lt;/ProbedFileData&gt;</probe-data></probe-data>
        """
      var expected = before.union(["Cfg/etc/probed/info.xml", "Probes/probed.xml"])
      for client in hostileNames + ["good.example.com"] {
        let caller = Caller(client)
        #expect(try await fixture.core.recvProbeData(caller, report) == .bool(true))
        let configuration = try await fixture.configuration(of: client)
        let failed = configuration.children.flatMap(\.children).filter { $0["failure"] != nil }.compactMap(\.name)
        #expect(failed == (isNagiosName(client) ? [] : ["/etc/nagiosgen.status"]), "\(client)")
        expected.formUnion([
          "Ohai/\(client).json", "Cfg/etc/probed/probed.H_\(client)", "SSHbase/ssh_host_ed25519_key.H_\(client)",
          "SSHbase/ssh_host_ed25519_key.pub.H_\(client)",
        ])
        if isNagiosName(client) { expected.insert("NagiosGen/\(client)-host.cfg") }
      }
      // The other layout of probe data has different file names, in the folder of Probes.
      let isOfOthers = { (file: Name) in !file.text.hasPrefix("Probes/") }
      let after = repositoryFiles(fixture.repository).filter(isOfOthers)
      expected = expected.filter(isOfOthers)
      let (strange, missing) = (after.subtracting(expected), expected.subtracting(after))
      #expect(strange.isEmpty && missing.isEmpty, "\(strange.sorted()) \(missing.sorted())")
      // Each line of the known hosts has only names that ssh accepts.
      let hosts = try #require(try await fixture.entry("/etc/ssh/ssh_known_hosts", of: "good.example.com")?.text)
      let lines = hosts.split(separator: "\n")
      #expect(lines.contains { $0.contains("192.0.2.99,good,good.example.com ssh-ed25519 ") }, "\(hosts)")
      for line in lines {
        let names = line.prefix { $0 != " " }.split(separator: ",", omittingEmptySubsequences: false)
        #expect(names.allSatisfy { ForeignGrammar.isKnownHost(String($0)) }, "\(line)")
        #expect(line.contains(" ssh-ed25519 "), "\(line)")
      }
    }
  }

  /// Probes add groups that clients choose.
  @Test func aProbedGroupIsPartOfNoPathAndOfNoLine() async throws {
    let files = [
      "Metadata/clients.xml": Self.clients(["one"]), "Metadata/groups.xml": Self.groups,
      "Bundler/all.xml": "<Bundle><Path name=\"/etc/nagiosgen.status\"/></Bundle>",
      "NagiosGen/good-group.cfg": "good\n", "NagiosGen/a;b-group.cfg": "bad\n", "NagiosGen/a,b-group.cfg": "bad\n",
      "outside-group.cfg": "outside\n",
    ]
    try await RepositoryFixture.run(files: files, names: ["192.0.2.1": "one"], settings: Self.settings) {
      fixture async throws in
      let groups = ["good", "a;b", "a,b", "../outside", "..", "/etc/passwd", String(repeating: "x", count: 300)]
      let output = groups.map { "group:\($0)" }.joined(separator: "\n")
      _ = try await fixture.core.recvProbeData(
        Caller("one"), "<p><probe-data name=\"p\" source=\"Probes\">\(output)</probe-data></p>")
      #expect(try await fixture.metadata("one").groups.isSuperset(of: groups))
      let text = try #require(try await fixture.entry("/etc/nagiosgen.status", of: "one")?.text)
      let line = text.split(separator: "\n").first { $0.contains("hostgroups") }
      #expect(line?.split(whereSeparator: { $0 == " " || $0 == "\t" }) == ["hostgroups", "good"], "\(text)")
    }
  }

  /// The same letters in other bytes name another group, bundle, file and client.
  @Test func namesInOtherBytesAreOtherNames() async throws {
    let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
    let files = [
      "Metadata/clients.xml": Self.clients([ClientName(stringLiteral: composed), ClientName(stringLiteral: decomposed)]
      ),
      "Metadata/groups.xml": """
      <Groups><Group name="base" profile="true"><Bundle name="all"/></Group>
      <Group name="\(composed)" category="c"><Bundle name="\(composed)"/></Group>
      <Group name="\(decomposed)"><Bundle name="\(decomposed)"/></Group></Groups>
      """,
      "Bundler/all.xml": """
      <Bundle><Path name="/etc/x"/><Group name="\(composed)"><Service name="composed"/></Group>
      <Client name="\(composed)"><Service name="own"/></Client></Bundle>
      """,
      "Bundler/\(composed).xml": "<Bundle><Service name=\"bundle\"/></Bundle>",
      "Cfg/etc/x/x": "all", "Cfg/etc/x/x.H_\(composed)": "composed",
    ]
    var settings = RepositoryFixture.settings
    settings.plugins = ["Bundler", "Cfg", "Metadata", "Probes"]
    try await RepositoryFixture.run(files: files, settings: settings) { fixture async throws in
      // The other files: their paths are equal as strings.
      fixture.edit("Bundler/\(decomposed).xml", "<Bundle><Service name=\"other\"/></Bundle>")
      fixture.edit("Cfg/etc/x/x.H_\(decomposed)", "decomposed")
      for (client, group) in [(composed, decomposed), (decomposed, composed)] {
        let name = ClientName(stringLiteral: client)
        _ = try await fixture.core.recvProbeData(
          Caller(name), "<p><probe-data name=\"p\" source=\"Probes\">group:\(group)</probe-data></p>")
        let metadata = try await fixture.metadata(name)
        #expect(metadata.groups == ["base", group] && metadata.groups != ["base", client])
        #expect(metadata.bundles.contains(Name(group)) && !metadata.bundles.contains(Name(client)))
        let entries = try await fixture.configuration(of: name).children.flatMap(\.children)
        #expect(
          entries.first { $0.tag == "Path" }?.text == (Name.areSame(client, composed) ? "composed" : "decomposed"))
      }
      let own = try await fixture.entries(of: ClientName(stringLiteral: composed))
      #expect(own == ["Path:/etc/x", "Service:other!", "Service:own!"])
      let other = try await fixture.entries(of: ClientName(stringLiteral: decomposed))
      #expect(other == ["Path:/etc/x", "Service:bundle!", "Service:composed!"])
    }
  }

  @Test func noPathIsMadeOfWhatIsNoName() throws {
    let folder = TemporaryDirectory()
    folder.write("x", to: "inside/file")
    #expect(symlink("/etc", folder.file("inside/link")) == 0 && symlink("file", folder.file("inside/near")) == 0)
    let inside = folder.file("inside")
    for name in ["file", "new", "a b", "*", "caf\u{E9}", String(repeating: "a", count: 255), "...", ".x"] {
      #expect(try NamedFile.path(name, in: inside) == "\(inside)/\(name)")
    }
    for name in [
      "", ".", "..", "../file", "a/b", "/etc/passwd", "a\u{0}b", "a\nb", "link", "near",
      String(repeating: "a", count: 256),
    ] {
      #expect(throws: NamedFileError.self, "\(name.debugDescription)") { try NamedFile.path(name, in: inside) }
    }
    #expect(try NamedFile.path("x", in: folder.file("missing")) == folder.file("missing/x"))
    #expect(try NamedFile.folder("/etc//motd/", below: inside) == "\(inside)/etc/motd")
    for path in ["../x", "/etc/../../x", "a/./b", "/..", "a/\u{1}/b"] {
      #expect(throws: NamedFileError.self, "\(path)") { try NamedFile.folder(path, below: inside) }
    }
    let handlers = CfgHandler.all(.v1_4)
    for specificity in [Specificity.group("../x", priority: 5), .group("a/b", priority: 50), .host("../x")] {
      #expect(throws: NamedFileError.self) {
        try CfgCreator.createdPath(in: inside, specificity, handlers: handlers)
      }
    }
    #expect(
      try CfgCreator.createdPath(in: inside, .group("g", priority: 5), handlers: handlers) == "\(inside)/inside.G05_g")
  }

  /// Names that end like files of Cfg, which an administrator may use. A client's file is never read as another's:
  /// the entry fails with that reason, and the other entries are sent.
  @Test func namesThatEndLikeFilesAreReadAsWhatTheyAre() async throws {
    let endings = ["crypt", "genshi", "cheetah", "jinja2", "cat", "diff"]
    let clients = endings.map { ClientName(stringLiteral: "victim.\($0)") }
    let files = [
      "Metadata/clients.xml": Self.clients(clients + ["victim"]),
      "Metadata/groups.xml": Self.groups,
      "Bundler/all.xml": """
      <Bundle><Path name="/etc/ssh/ssh_host_ed25519_key"/><Path name="/etc/key"/><Path name="/etc/key.pub"/>
      <Path name="/etc/probed"/></Bundle>
      """, "FileProbes/config.xml": "<FileProbes><FileProbe name=\"/etc/probed\" update=\"true\"/></FileProbes>",
      "Cfg/etc/key/privkey.xml": "<PrivateKey><Params type=\"ed25519\"/></PrivateKey>",
      "Cfg/etc/key.pub/pubkey.xml": "<PublicKey/>",
    ]
    var settings = RepositoryFixture.settings
    settings.plugins = ["Bundler", "Cfg", "FileProbes", "Metadata", "SSHbase"]
    try await RepositoryFixture.run(files: files, settings: settings) { fixture async throws in
      for client in clients {
        let upload = """
          <p><probe-data name="/etc/probed" source="FileProbes">&lt;ProbedFileData name='/etc/probed'&gt;eAo=\
          &lt;/ProbedFileData&gt;</probe-data></p>
          """
        let isMisread = !["cat", "diff"].contains { client.text.hasSuffix($0) }
        let outcome = try? await fixture.core.recvProbeData(Caller(client), upload)
        #expect((outcome == nil) == isMisread, "\(client)")
        let entries = try await fixture.configuration(of: client).children.flatMap(\.children)
        let failures = entries.compactMap { $0["failure"] }
        let own = client.text.hasSuffix(".crypt")
        #expect(failures.count == (isMisread ? own ? 4 : 3 : 0), "\(client) \(failures)")
        #expect(failures.count { $0.contains("read it as that of") } == (isMisread ? own ? 3 : 2 : 0), "\(failures)")
      }
      // No file of the victim changes.
      for entry in try await fixture.configuration(of: "victim").children.flatMap(\.children) {
        if entry.name == "/etc/probed" { #expect(entry["failure"] != nil) } else { #expect(entry["failure"] == nil) }
      }
      let made = repositoryFiles(fixture.repository).map(\.text).filter { $0.contains("H_victim.") }
      #expect(made.allSatisfy { !$0.hasSuffix(".crypt") && !$0.contains("Cfg/etc/probed/probed.H_victim.genshi") })
    }
  }

  /// Checks of certificates treat a name with a final dot like the name without it.
  @Test func aCertificateHasNamesWithoutAFinalDot() throws {
    let subject = TLSCredentials.Subject(name: "db.", alternativeNames: ["mail.", "*.x.", "y"], fields: [])
    let lines = try subject.requestConfiguration().split(separator: "\n")
    #expect(
      lines.filter { $0.hasPrefix("CN") || $0.hasPrefix("DNS") } == [
        "CN = db", "DNS.1 = mail", "DNS.2 = *.x", "DNS.3 = y",
      ])
    for name in ["", ".", "..", "a..", ".a", "*.", "*.."] {
      #expect(throws: PluginExecutionError.self, "\(name)") { try ForeignGrammar.certificateHost(name) }
    }
  }

  @Test func whatNagiosAndSSHReadIsCheckedWhereItIsWritten() throws {
    for name in ["a", "one.example.com", "10.0.0.1", "fe80::1", "::1"] {
      #expect(ForeignGrammar.isKnownHost(name) && (try? ForeignGrammar.nagiosName(name)) == name)
    }
    for name in ["", "*", "a,b", "a b", "!a", "a?", "@a", "#a", "|1|a", "a\nb", "caf\u{E9}"] {
      #expect(!ForeignGrammar.isKnownHost(name), "\(name)")
    }
    for name in ["", "a;b", "a,b", "a b", "a\nb", "a{", "a}", "a'b", "a=b", "a(b)"] {
      #expect(throws: PluginExecutionError.self) { try ForeignGrammar.nagiosName(name) }
    }
    #expect(try ForeignGrammar.nagiosValue("check!a b;c", of: "o") == "check!a b;c")
    #expect(throws: PluginExecutionError.self) { try ForeignGrammar.nagiosValue("a\n}\ndefine command {", of: "o") }
  }

  /// openssl reads a field's characters literally, and no further line.
  @Test func opensslReadsTheVeryCharacters() async throws {
    let odd = "O'Reilly \"& Sons\" #1, $ENV::HOME \\n `x` $(y)"
    let subject = TLSCredentials.Subject(
      name: "one.example.com", alternativeNames: ["*.example.com", "uno"],
      fields: [("O", odd), ("OU", " padded "), ("L", "")])
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      folder.write(try subject.requestConfiguration(), to: "request.cnf")
      let output = try await ChildProcess.run(
        [
          "openssl", "req", "-new", "-config", folder.file("request.cnf"), "-newkey", "ec", "-pkeyopt",
          "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder.file("key"), "-noout", "-subject", "-text", "-nameopt",
          "multiline,utf8,-esc_msb,-esc_ctrl",
        ], timeout: .seconds(60), outputLimitBytes: 1 << 20, on: loop)
      let text = output.outputText
      #expect(output.status.isSuccess, "\(output.errorText)")
      #expect(text.contains("organizationName          = \(odd)\n"), "\(text)")
      #expect(text.contains("organizationalUnitName    = padded\n"), "\(text)")
      #expect(text.contains("commonName                = one.example.com\n"), "\(text)")
      #expect(text.contains("DNS:*.example.com, DNS:uno"), "\(text)")
    }
    for name in ["a\nDNS.9 = root", "a b", "caf\u{E9}", "", "a*", "DNS:x,y"] {
      #expect(throws: PluginExecutionError.self, "\(name)") { try ForeignGrammar.certificateHost(name) }
    }
    let second = TLSCredentials.Subject(name: "a", alternativeNames: [], fields: [("O", "x\nCN = root")])
    #expect(throws: PluginExecutionError.self) { try second.requestConfiguration() }
  }
}
