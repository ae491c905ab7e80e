import Administration
import ServerSettings
import Support
import Testing

@Suite struct MigrationTests {
  private let folder = TemporaryDirectory()

  /// - Parameter more: lines behind the usual sections.
  private func findings(plugins: String, server: String = "", more: String = "") throws -> [String] {
    folder.write("<Groups/>", to: "repo/Metadata/groups.xml")
    folder.write(
      """
      [server]
      repository = \(folder.file("repo"))
      plugins = \(plugins)
      \(server)
      [communication]
      password = x
      protocol = xmlrpc/ssl
      \(more)

      """, to: "bcfg2.conf")
    var options = CommandLineOptions()
    options.configurationFile = folder.file("bcfg2.conf")
    var migration = Migration()
    try migration.examine(options)
    return migration.findings.map { $0.line.replacing(folder.path, with: "") }
  }

  @Test func pluginsThatAreNotThereAreLost() throws {
    let lines = try findings(plugins: "Metadata,Ldap,Snapshots,Bundlr,Packages")
    let place = "/bcfg2.conf:3"
    #expect(lines.contains { $0.hasPrefix("\(place): differs: plugin Ldap: config.py runs in Python 3") }, "\(lines)")
    #expect(lines.contains("\(place): lost: plugin Snapshots exists no more: use Reporting"), "\(lines)")
    #expect(lines.contains { $0.hasPrefix("\(place): lost: unknown plugin Bundlr") && $0.contains("Bundler") })
    #expect(lines.contains { $0.hasPrefix("\(place): differs: plugin Packages: bcfg2-packages fetches") })
  }

  @Test func optionsAndValuesAreTold() throws {
    let lines = try findings(
      plugins: "Metadata,Reporting", server: "filemonitor = gamin\nlisten_al = true",
      more: "[reporting]\ntransport = RedisTransport\n[database]\nengine = ado_mssql")
    #expect(lines.contains("/bcfg2.conf:4: differs: filemonitor = gamin means inotify here"), "\(lines)")
    #expect(lines.contains { $0.hasPrefix("/bcfg2.conf:5: differs: unknown option listen_al") })
    #expect(lines.contains { $0.hasPrefix("/bcfg2.conf:10: lost: RedisTransport does not exist here") })
    #expect(lines.contains { $0.hasPrefix("/bcfg2.conf:12: lost: ") && $0.contains("ado_mssql") })
  }

  @Test func aCoreThatIsNotThereIsLost() throws {
    let lines = try findings(plugins: "Metadata", server: "backend = cherrypy")
    let text = "/bcfg2.conf:4: lost: the server does not start with backend = cherrypy"
    #expect(lines.contains { $0.hasPrefix(text) }, "\(lines)")
    let nio = try findings(plugins: "Metadata", server: "backend = nio")
    #expect(nio.contains { $0.hasPrefix("/bcfg2.conf:4: note: backend = nio needs a bcfg2-server") }, "\(nio)")
  }

  @Test func aFileThatStopsTheServerIsLost() throws {
    let lines = try findings(plugins: "Metadata", server: "children = many")
    #expect(lines.count == 1 && lines[0].contains("lost: the server does not start with it"), "\(lines)")
  }

  @Test func filesOf13AreLostWithoutCompatibility() throws {
    folder.write("+line\n", to: "repo/Cfg/etc/motd/motd.G10_web.cat")
    folder.write("owner: root\n", to: "repo/Cfg/etc/motd/:info")
    folder.write("", to: "repo/Decisions/whitelist")
    let lost = try findings(plugins: "Metadata,Cfg,Decisions").filter { $0.contains(": lost: ") }
    #expect(lost.count == 3 && lost.allSatisfy { $0.contains("compatibility = 1.3") }, "\(lost)")
    #expect(
      try findings(plugins: "Metadata,Cfg,Decisions").contains { $0.contains("this looks like a site of 1.3") })
    let with13 = try findings(plugins: "Metadata,Cfg,Decisions", server: "compatibility = 1.3")
    #expect(!with13.contains { $0.contains(": lost: ") || $0.contains("looks like") }, "\(with13)")
  }

  @Test func filesThatCannotBeUsedAreNamed() throws {
    folder.write("<Bundle name='a'>\n<Package></Bundle>", to: "repo/Bundler/a.xml")
    folder.write("<Clients><Client name='a..b'/>\n<Client name='fine'/></Clients>", to: "repo/Metadata/clients.xml")
    folder.write("{% python x %}", to: "repo/Cfg/f/f.genshi")
    let lines = try findings(plugins: "Metadata,Bundler,Cfg")
    #expect(lines.contains { $0.hasPrefix("/repo/Bundler/a.xml:2: lost: cannot be parsed") }, "\(lines)")
    #expect(lines.contains { $0.contains("1 template needs python3-genshi") }, "\(lines)")
    #expect(!lines.contains { $0.contains("client fine") })
  }

  @Test func placesThatTheUnitsDoNotLetItWriteAreTold() throws {
    let lines = try findings(
      plugins: "Metadata", more: "[logging]\npath = /var/log/bcfg2.log\n[database]\nname = /srv/db/bcfg2.sqlite"
    )
    .filter { $0.contains("ReadWritePaths=") }
    #expect(lines.count == 3, "\(lines)")
    #expect(lines.first?.hasPrefix("/bcfg2.conf:2: note: under systemd the server may write /repo only") == true)
    #expect(lines.contains { $0.hasPrefix("/bcfg2.conf:9: note: ") && $0.contains("ReadWritePaths=/var/log ") })
    #expect(lines.contains { $0.hasPrefix("/bcfg2.conf:11: note: ") && $0.contains("ReadWritePaths=/srv/db ") })
    let usual = try findings(plugins: "Metadata", more: "[logging]\npath = /var/log/bcfg2/server.log")
    #expect(usual.filter { $0.contains("ReadWritePaths=") }.count == 1, "its repository alone: \(usual)")
  }
}
