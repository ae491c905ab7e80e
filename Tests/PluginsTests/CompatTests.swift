import Core
import CoreSupport
import OrderedCollections
import Plugins
import Repository
import Support
import Testing
import XMLRPC

@Test(
  arguments: [
    (nil, true), ("1.2.4", true), ("1.3.0pre1", false), ("1.3.0", false), ("1.4.0", false), ("odd", true),
    ("1.3", true),
    ("1.3.0a1", false), ("1.2.345", true), ("1.10.0", false), ("1.3.0rc12", false), ("1.3.0dev", true),
    ("2.0.0.1", true),
  ] as [(String?, Bool)])
func olderClientsGetOlderAttributes(_ version: String?, isOld: Bool) async throws {
  try await RepositoryFixture.run(
    files: RepositoryFixture.files(), settings: RepositoryFixture.settings("POSIXCompat", "ServiceCompat")
  ) { fixture async throws in
    let metadata = ClientMetadata(
      hostname: "h", profile: nil, groups: [], bundles: [], aliases: [], addresses: [], categories: [:], uuid: nil,
      password: nil, version: version)
    let configuration = Element("Configuration")
    let bundle = configuration.append("Bundle")
    let path = bundle.append("Path", ["mode": "0644"])
    let services: [(attributes: Attributes, mode: String)] = [
      ([:], "default"), (["restart": "Interactive"], "interactive_only"),
      (["restart": "false", "install": "FALSE"], "manual"), (["restart": "interactive", "install": "false"], "manual"),
    ]
    let entries = services.map { bundle.append("Service", $0.attributes) }
    try await fixture.core.validateGoals(metadata, configuration)
    #expect(path["perms"] == (isOld ? "0644" : nil))
    for (entry, service) in zip(entries, services) { #expect(entry["mode"] == (isOld ? service.mode : nil)) }
  }
}

@Test func modulesAreFoundWithAndWithoutTheirEnding() async throws {
  let files = RepositoryFixture.files(
    bundle: "<SEModule name=\"plain\"/><SEModule name=\"with.pp\"/><SEModule name=\"none\"/>",
    [
      "SEModules/plain.pp/plain.pp": "all", "SEModules/plain.pp/plain.pp.G5_web": "web",
      "SEModules/with.pp/with.pp": "with", "SEModules/with.pp/info.xml": "<FileInfo><Info mode=\"0600\"/></FileInfo>",
    ])
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("SEModules")) {
    fixture async throws in
    #expect(try await fixture.entry("plain")?.text == "d2Vi")
    #expect(try await fixture.entry("plain", of: "two.example.com")?.text == "YWxs")
    let with = try #require(try await fixture.entry("with"))
    #expect(with["mode"] == "0600" && with["owner"] == "root" && with["encoding"] == "base64")
    #expect(try await fixture.entry("none")?["failure"] != nil)
  }
}

@Test func aNameThatIsGoneKeepsNoOtherPluginFromLoading() async throws {
  let files = RepositoryFixture.files([
    "Base/a.xml": "<Base><BoundPackage name=\"all\"/><Group name=\"web\"><BoundPackage name=\"web\"/></Group></Base>"
  ])
  // A plugin name that no longer exists must not prevent the others from loading.
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Hostbase", "Nonsense", "Base")) {
    fixture async throws in
    #expect(fixture.core.plugins.keys == ["Bundler", "Metadata", "Base", "DefaultACL"])
    #expect(try await fixture.entries() == ["Package:all", "Package:web"])
    #expect(try await fixture.entries(of: "two.example.com") == ["Package:all"])
    #expect(try await fixture.configuration(of: "one.example.com").children.first?["version"] == "2.0")
  }
  let registry = PluginRegistry.standard
  for name in registry.retired.keys { #expect(registry.type(named: name) == nil, "\(name)") }
}
