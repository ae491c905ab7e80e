import Core
import CoreSupport
import Formats
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

@Suite struct PropertiesTests {
  private static let files = [
    "Metadata/groups.xml": "<Groups><Group name=\"web\" profile=\"true\"/></Groups>",
    "Metadata/clients.xml": "<Clients><Client name=\"one\" profile=\"web\"/></Clients>",
    "Properties/a.xml": "<P><x/><Group name=\"web\"><y/></Group><Group name=\"db\"><z/></Group></P>",
    "Properties/b.xml": "<P automatch=\"TRUE\"><Group name=\"web\"><y/></Group></P>",
    "Properties/c.json": "{\"a\": [1, 2.5, null]}",
    "Properties/d.yaml": "a: 1\n",
    "Properties/a.xsd": "<schema/>",
  ]
  private static var settings: Settings {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Metadata", "Properties"]
    return settings
  }

  private func tags(_ fixture: RepositoryFixture, _ name: String) async throws -> [String] {
    let metadata = try await fixture.core.buildMetadata("one")
    guard case .xml(let xml)? = (metadata[connector: "Properties"] as? PropertiesData)?[name] else { return [] }
    return xml.element(for: metadata).children.map(\.tag)
  }

  @Test func filesAreDataOfTheClient() async throws {
    try await RepositoryFixture.run(files: Self.files, settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in
      #expect(try await tags(fixture, "a.xml") == ["x", "Group", "Group"])
      #expect(try await tags(fixture, "b.xml") == ["y"])
      let data = try await fixture.core.buildMetadata("one")[connector: "Properties"] as? PropertiesData
      #expect(data?.files.keys.sorted() == ["a.xml", "b.xml", "c.json", "d.yaml"])
      guard case .json(let json)? = data?["c.json"], case .yaml(let yaml)? = data?["d.yaml"] else {
        Issue.record("no JSON or YAML")
        return
      }
      #expect(json["a"] == .array([.integer(1), .number(2.5), .null]))
      #expect(yaml == "a: 1\n")
    }
  }

  @Test func automatchIsTheDefaultWhereItIsSet() async throws {
    var settings = Self.settings
    settings[PropertiesOptions.standard.matchesAll] = true
    try await RepositoryFixture.run(files: Self.files, settings: settings) {
      (fixture: RepositoryFixture) async throws in
      #expect(try await tags(fixture, "a.xml") == ["x", "y"])
    }
  }

  @Test func brokenFilesKeepTheLastGoodVersion() async throws {
    try await RepositoryFixture.run(files: Self.files, settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in
      fixture.edit("Properties/b.xml", "<P")
      fixture.edit("Properties/c.json", "{\"a\": ")
      fixture.edit("Properties/d.yaml", "a: [1\n")
      #expect(try await tags(fixture, "b.xml") == ["y"])
      fixture.edit("Properties/b.xml", "<P><n/></P>")
      #expect(try await tags(fixture, "b.xml") == ["n"])
      let data = try await fixture.core.buildMetadata("one")[connector: "Properties"] as? PropertiesData
      guard case .json? = data?["c.json"], case .yaml(let yaml)? = data?["d.yaml"] else {
        Issue.record("no JSON or YAML")
        return
      }
      #expect(yaml == "a: 1\n")
    }
  }

  @Test func writesGoToTheFileWhereTheyAreEnabled() async throws {
    try await RepositoryFixture.run(files: Self.files, settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in
      let root = Element("P", ["a": "1"])
      root.append("new")
      try await fixture.plugin(PropertiesPlugin.self).write(root, to: "a.xml")
      fixture.monitor.processPending()
      #expect(try await tags(fixture, "a.xml") == ["new"])
      await #expect(throws: PluginExecutionError.self) {
        try await fixture.plugin(PropertiesPlugin.self).write(root, to: "../Metadata/clients.xml")
      }
    }
    var settings = Self.settings
    settings[TemplateOptions.standard.writesProperties] = false
    try await RepositoryFixture.run(files: Self.files, settings: settings) {
      (fixture: RepositoryFixture) async throws in
      await #expect(throws: PluginExecutionError.self) {
        try await fixture.plugin(PropertiesPlugin.self).write(Element("P"), to: "a.xml")
      }
    }
  }

  @Test func encryptedElementsAreReadWithTheirPassphrase() async throws {
    var settings = Self.settings
    settings.set(EncryptionOptions.standard.passphrases, named: "one", to: "sesame")
    let crypted = String(
      decoding: try Encryption(passphrases: ["one": "sesame"]).encrypt(Array("secret".utf8), with: "sesame"),
      as: UTF8.self)
    var files = Self.files
    files["Properties/e.xml"] = "<P><pw encrypted=\"one\">\(crypted)</pw></P>"
    try await RepositoryFixture.run(files: files, settings: settings) { (fixture: RepositoryFixture) async throws in
      let metadata = try await fixture.core.buildMetadata("one")
      let data = metadata[connector: "Properties"] as? PropertiesData
      guard case .xml(let property)? = data?["e.xml"] else {
        Issue.record("no e.xml")
        return
      }
      #expect(property.element(for: metadata).firstChild(tagged: "pw")?.text == "secret")
    }
  }
}
