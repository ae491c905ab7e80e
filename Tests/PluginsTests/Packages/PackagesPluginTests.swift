import Core
import CoreSupport
import Identity
import OrderedCollections
import PackageSources
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

private let debian =
  "<Source type='apt' url='http://d' version='sid'><Component>main</Component><Arch>amd64</Arch></Source>"
private let centos =
  "<Source type='yum' url='http://y' version='9'><Component>os</Component><Arch>x86_64</Arch>"
  + "<GPGKey>http://k/RPM-KEY</GPGKey></Source>"

@Suite struct PackagesPluginTests {
  private static let packages = [
    TestPackage(name: "app", needs: ["lib", "virtual"], recommends: ["extra"]), TestPackage(name: "lib"),
    TestPackage(name: "real", provides: ["virtual"]), TestPackage(name: "extra"),
    TestPackage(name: "base-files", flags: [.isEssential, .saysEssential]),
  ]

  @Test func clientsGetWhatTheirPackagesNeed() async throws {
    try await RepositoryFixture.runPackages(
      sources: debian, bundle: "<Package name='app'/><Package name='nosuch'/>"
    ) { fixture, plugin async throws in
      try fixture.writeIndex(plugin.file.sources[0].source, Self.packages)
      let added = try await fixture.configuration(of: "one.example.com").children.first { $0.tag == "Independent" }
      #expect(added?.name == "Packages")
      #expect(added?.children.map(\.name) == ["base-files", "lib", "real"])
      let entry = added?.children.first
      #expect(entry?.tag == "Package" && entry?["type"] == "deb" && entry?["version"] == "auto")
      #expect(entry?["origin"] == "Packages")
      let named = try await fixture.entry("nosuch")
      #expect(named?["type"] == "deb" && named?["version"] == "auto" && named?["failure"] == nil)
      #expect(fixture.log.has("info Packages: Got 1 unknown entries"))
      #expect(fixture.log.has("info Packages: ['nosuch']"))
    }
  }

  @Test func aClientWithoutSourcesGetsAnEmptyStructure() async throws {
    try await RepositoryFixture.runPackages(sources: debian, bundle: "<Package name='app'/>") {
      fixture, _ async throws in
      #expect(try await fixture.added(to: "two.example.com") == [])
      #expect(try await fixture.entry("app", of: "two.example.com")?["type"] == "unknown")
      #expect(fixture.log.has("error Packages: No sources found for two.example.com"))
    }
  }

  @Test func sourcesOfSeveralKindsGiveNoFile() async throws {
    try await RepositoryFixture.runPackages(
      sources: centos + debian, bundle: "<Package name='app'/><Path name='/etc/yum.repos.d/bcfg2.repo'/>"
    ) { fixture, plugin async throws in
      try fixture.writeIndex(plugin.file.sources[1].source, Self.packages)
      #expect(try await fixture.added() == ["Package:base-files", "Package:lib", "Package:real"])
      #expect(try await fixture.entry("app")?["type"] == "yum")
      let path = try await fixture.entry("/etc/yum.repos.d/bcfg2.repo")
      #expect(path?.text ?? "" == "" && path?["mode"] == "0644" && path?["failure"] == nil)
      #expect(
        fixture.log.has("warning Packages: Multiple source types found for one.example.com: AptSource,YumSource"))
      #expect(
        fixture.log.has(
          "error Packages: Cannot generate config for host one.example.com with no sources or multiple source types"))
    }
  }

  @Test func groupsAreReplacedByTheirPackages() async throws {
    try await RepositoryFixture.runPackages(
      sources: centos, bundle: "<Package group='@tools'/><Package group='nosuch' type='all'/><Package/>"
    ) { fixture, plugin async throws in
      try fixture.writeIndex(plugin.file.sources[0].source, Self.packages, groups: ["tools": ["app", "extra"]])
      #expect(
        try await fixture.added()?.filter { $0.hasPrefix("Package") } == [
          "Package:app", "Package:extra", "Package:lib", "Package:real",
        ])
      #expect(try await fixture.entries().filter { $0 == "Package:" || $0 == "Package:!" }.count == 1)
      #expect(fixture.log.has("warning Packages: 'nosuch' is not a valid group"))
      #expect(fixture.log.lines.contains { $0.contains("Packages: Malformed Package: <Package") })
    }
  }

  @Test func aptHasNoGroups() async throws {
    try await RepositoryFixture.runPackages(sources: debian, bundle: "<Package group='tools'/>") {
      fixture, plugin async throws in
      try fixture.writeIndex(plugin.file.sources[0].source, Self.packages)
      #expect(try await fixture.added() == ["Package:base-files"])
      #expect(fixture.log.has("error Packages: Package groups are not supported by AptCollection"))
    }
  }

  @Test func recommendedPackagesComeWhereTheEntrySaysSo() async throws {
    for (compatibility, expected) in [("1.4", true), ("1.3", false)] {
      try await RepositoryFixture.runPackages(
        sources: debian, bundle: "<Package name='app' recommended='True'/>",
        conf: "[server]\ncompatibility = \(compatibility)\n"
      ) { fixture, plugin async throws in
        try fixture.writeIndex(plugin.file.sources[0].source, Self.packages)
        #expect(try await fixture.added()?.contains("Package:extra") == expected)
        let structure = try await fixture.configuration(of: "one.example.com").children.first {
          $0.tag == "Independent"
        }
        #expect(structure?.name == (compatibility == "1.4" ? "Packages" : nil))
      }
    }
  }

  @Test func withoutResolverClientsChoose() async throws {
    try await RepositoryFixture.runPackages(
      sources: centos, bundle: "<Package name='app'/><Package group='tools' type='all'/>",
      conf: "[packages]\nresolver = disabled\nversion = any\n"
    ) { fixture, plugin async throws in
      try fixture.writeIndex(plugin.file.sources[0].source, Self.packages)
      #expect(try await fixture.added() == ["Path:/etc/pki/rpm-gpg/RPM-KEY"])
      let entries = try await fixture.configuration(of: "one.example.com").children.flatMap(\.children)
      #expect(entries.first { $0["group"] == "tools" }?["choose"] == "all")
      #expect(entries.first { $0.name == "app" }?["version"] == "any")
    }
  }

  @Test func keysOfYumSourcesAreFiles() async throws {
    try await RepositoryFixture.runPackages(
      sources: centos + centos, bundle: "<Package name='app'/>", conf: "[packages:yum]\ngpg_keypath = /srv/keys\n"
    ) { fixture, _ async throws in
      #expect(try await fixture.added() == ["Path:/srv/keys/RPM-KEY"])
      #expect(try await fixture.entry("/srv/keys/RPM-KEY")?.text ?? "" == "")
      #expect(fixture.log.lines.contains { $0.contains("There is no key for http://k/RPM-KEY") })
      fixture.edit("Packages/cache/keys/RPM-KEY", "the key\n")
      #expect(try await fixture.entry("/srv/keys/RPM-KEY")?.text == "the key\n")
      fixture.edit("Packages/cache/keys/RPM-KEY", "another\n")
      #expect(try await fixture.entry("/srv/keys/RPM-KEY")?.text == "another\n")
    }
  }

  @Test func bothPathsAreBoundWhateverTheSources() async throws {
    try await RepositoryFixture.runPackages(
      sources: debian,
      bundle: "<Path name='/srv/own.list'/><Path name='/etc/yum.repos.d/bcfg2.repo'/><Path name='/etc/other'/>",
      conf: "[packages]\napt_config = /srv/own.list\n"
    ) { fixture, _ async throws in
      for name in ["/srv/own.list", "/etc/yum.repos.d/bcfg2.repo"] {
        #expect(try await fixture.entry(name)?.text?.hasSuffix("deb http://d/ sid main\n") == true)
      }
      #expect(try await fixture.entry("/etc/other")?["failure"] != nil)
    }
  }

  @Test func magicGroupsDecideWith13Alone() async throws {
    for (group, compatibility, applies) in [
      ("", "1.3", false), ("debian", "1.3", true), ("redhat", "1.3", false), ("", "1.4", true),
    ] {
      let groups = """
        <Groups><Group name="base" profile="true"><Bundle name="entries"/><Group name="amd64"/>\
        \(group.isEmpty ? "" : "<Group name='\(group)'/>")</Group></Groups>
        """
      try await RepositoryFixture.runPackages(
        sources: debian, bundle: "<Package name='app'/>", files: ["Metadata/groups.xml": groups],
        conf: "[server]\ncompatibility = \(compatibility)\n[packages]\nmagic_groups = true\n"
      ) { fixture, plugin async throws in
        try fixture.writeIndex(plugin.file.sources[0].source, Self.packages)
        #expect((try await fixture.added()?.isEmpty == false) == applies, "\(group) \(compatibility)")
        #expect((try await fixture.entry("app")?["failure"] == nil) == applies)
      }
    }
  }

  @Test func itUnloadsPkgmgr() async throws {
    var settings = RepositoryFixture.settings("Pkgmgr", "Packages")
    settings.password = "foobat"
    try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: settings) { fixture async throws in
      #expect(fixture.core.plugins["Pkgmgr"] == nil && fixture.core.plugins["Packages"] != nil)
    }
  }

  // MARK: What is made again

  private static func parts(_ fixture: RepositoryFixture, _ client: ClientName) async throws -> (String, made: Int) {
    let before = fixture.core.answerCache.counts[.structures]?.made ?? 0
    let composed = try await fixture.core.composeConfiguration(client)
    let text = String(decoding: composed.document.bytes(), as: UTF8.self)
    let whole = try await fixture.core.buildConfiguration(client)
    #expect(text == String(decoding: WireWriter.document(whole).bytes(), as: UTF8.self))
    #expect(composed.isCacheable)
    return (text, (fixture.core.answerCache.counts[.structures]?.made ?? 0) - before)
  }

  private static func expect(
    _ count: Int, _ fixture: RepositoryFixture, _ client: ClientName, at place: SourceLocation = #_sourceLocation
  ) async throws {
    let made = try await parts(fixture, client).made
    #expect(made == count, sourceLocation: place)
  }

  @Test func editsMakeOnlyWhatDependsOnThem() async throws {
    let files = [
      "Metadata/groups.xml": """
      <Groups><Group name='base' profile='true'><Bundle name='entries'/><Bundle name='more'/><Group name='amd64'/>
      <Group name='web'/></Group><Group name='other' profile='true'><Bundle name='entries'/><Group name='amd64'/>
      <Bundle name='more'/></Group></Groups>
      """, "Bundler/more.xml": "<Bundle><BoundPath name='/a'/></Bundle>",
    ]
    try await RepositoryFixture.runPackages(
      sources: debian + "<Group name='web'>" + centos.replacing("yum", with: "apt").replacing("x86_64", with: "amd64")
        + "</Group>",
      bundle: "<Package name='app'/>", files: files
    ) { fixture, plugin async throws in
      try fixture.writeIndex(plugin.file.sources[0].source, Self.packages)
      try fixture.writeIndex(plugin.file.sources[1].source, [])
      let one: ClientName = "one.example.com"
      let two: ClientName = "two.example.com"
      try await Self.expect(3, fixture, one)
      try await Self.expect(0, fixture, one)
      // The sources of the other are not those of the first: types of packages and what is added depend on them.
      try await Self.expect(2, fixture, two)
      // An edit elsewhere.
      fixture.edit("Bundler/more.xml", "<Bundle><BoundPath name='/b'/></Bundle>")
      try await Self.expect(1, fixture, one)
      try await Self.expect(0, fixture, two)
      // An index of one client's sources.
      try fixture.writeIndex(plugin.file.sources[1].source, [TestPackage(name: "virtual")])
      try await Self.expect(1, fixture, one)
      try await Self.expect(0, fixture, two)
      // A new package.
      fixture.edit("Bundler/more.xml", "<Bundle><BoundPath name='/b'/><BoundPackage name='extra'/></Bundle>")
      let (text, made) = try await Self.parts(fixture, two)
      #expect(made == 2 && !text.contains("name=\"extra\" version"))
      // Sources.
      fixture.edit("Packages/sources.xml", "<Sources>\(debian.replacing("sid", with: "woody"))</Sources>")
      try fixture.writeIndex(
        plugin.file.sources[0].source, [TestPackage(name: "app", needs: ["woody"]), TestPackage(name: "woody")])
      #expect(try await Self.parts(fixture, two).0.contains("woody"))
      #expect(try await Self.parts(fixture, one).0.contains("woody"))
    }
  }

  @Test func damagedIndexesCountAsMissing() async throws {
    try await RepositoryFixture.runPackages(sources: debian, bundle: "<Package name='app'/>") {
      fixture, plugin async throws in
      let source = plugin.file.sources[0].source
      fixture.edit("Packages/cache/indexes/\(source.indexFileName)", "nonsense")
      #expect(try await fixture.added() == [])
      #expect(try await fixture.added() == [])
      #expect(
        fixture.log.lines.filter { $0.contains("The index of apt http://d/") && $0.contains(" cannot be used") }.count
          == 1)
      try fixture.writeIndex(source, Self.packages)
      #expect(try await fixture.added()?.count == 3)
      fixture.remove("Packages/cache/indexes/\(source.indexFileName)")
      #expect(try await fixture.added() == [])
    }
  }

  @Test func theCacheMayBeElsewhere() async throws {
    let elsewhere = TemporaryDirectory()
    try await RepositoryFixture.runPackages(
      sources: debian, bundle: "<Package name='app'/>", conf: "[packages]\ncache = \(elsewhere.path)\n"
    ) { fixture, plugin async throws in
      try fixture.writeIndex(plugin.file.sources[0].source, Self.packages, in: elsewhere.path)
      #expect(try await fixture.added()?.count == 3)
      var settings = fixture.core.settings
      settings[PackagesOptions.standard.cache] = fixture.repository.file("Packages/cache")
      fixture.core.settingsChanged(settings)
      #expect(try await fixture.added() == [])
      try fixture.writeIndex(
        plugin.file.sources[0].source, [TestPackage(name: "app", needs: ["app2"]), TestPackage(name: "app2")])
      #expect(try await fixture.added() == ["Package:app2"])
    }
  }

  @Test func whatCannotBeIsNamedOnce() async throws {
    try await RepositoryFixture.runPackages(sources: "", bundle: "") { fixture, _ async throws in
      var settings = fixture.core.settings
      settings[PackagesOptions.standard.usesYumLibraries] = true
      for _ in 0..<2 { fixture.core.settingsChanged(settings) }
      let line = "warning Packages: There are no yum libraries here; the built-in resolver is used"
      #expect(fixture.log.take().filter { $0 == line }.count == 1)
      fixture.edit(
        "Packages/sources.xml", "<Sources><Source type='yum' pulp_id='x'/><Source type='yum' pulp_id='y'/></Sources>")
      #expect(fixture.log.take().filter { $0.contains("pulp_id") }.count == 1)
    }
  }
}
