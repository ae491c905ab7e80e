import Core
import CoreSupport
import Glibc
import Identity
import Repository
import ServerSettings
import Support
import Testing

@testable import Plugins

/// Bounds how often a change to clients.xml reads the file, and what the server stores to keep that constant.
@Suite struct ClientsCostTests {
  private static let groups = """
    <Groups><Group name="base" profile="true" public="true" default="true"/>
    <Group name="open" profile="true" public="true"/></Groups>
    """

  private static func clients(_ count: Int) -> String {
    let clients = (0..<count).map { "  <Client name=\"Client\($0)\" profile=\"base\"/>\n" }.joined()
    return "<Clients>\n\(clients)</Clients>\n"
  }

  private static func files(_ clients: String) -> [String: String] {
    ["Metadata/groups.xml": groups, "Metadata/clients.xml": clients]
  }

  private static func settings(_ conf: String) throws -> Settings {
    var settings = try Settings(conf: conf, path: "test.conf")
    settings.plugins = ["Metadata"]
    settings.password = "foobat"
    return settings
  }

  /// The text after an edit of the whole file.
  private static func edited(_ text: String, _ edit: (inout XMLSourceEditor) throws -> Void) throws -> String {
    var editor = try XMLSourceEditor(Array(text.utf8), path: "clients.xml")
    try edit(&editor)
    return String(decoding: try editor.contents(), as: UTF8.self)
  }

  @Test func aChangeReadsNothingButWhatItConcerns() async throws {
    try await RepositoryFixture.run(files: Self.files(Self.clients(500))) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let readings = plugin.clientsFile.readings
      for number in 0..<20 {
        try await plugin.setVersion("client\(number)", "1.4.\(number)")
        try await plugin.setProfile("client\(number + 20)", "open", address: nil, requirePublic: true)
        try await plugin.setProfile("new\(number)", "open", address: nil, requirePublic: true)
        _ = try await fixture.core.buildMetadata("newer\(number)")
        // The events of the server's own writes.
        fixture.monitor.processPending()
      }
      #expect(plugin.clientsFile.readings == readings)
      #expect(plugin.writer.places.walks == 1 && plugin.writer.wholeEdits == 0)
      let text = try Self.edited(Self.clients(500)) { editor in
        for number in 0..<20 {
          try editor.setAttribute("version", to: "1.4.\(number)", of: "Client", where: "name", is: "Client\(number)")
          try editor.setAttribute("profile", to: "open", of: "Client", where: "name", is: "Client\(number + 20)")
          try editor.appendChild(Element("Client", ["name": "new\(number)", "profile": "open"]))
          try editor.appendChild(Element("Client", ["name": "newer\(number)", "profile": "base"]))
        }
      }
      #expect(try fixture.text("Metadata/clients.xml") == text)
      // An administrator's edit is read once; then work continues.
      fixture.edit("Metadata/clients.xml", text.replacing("Client499", with: "another"))
      try await plugin.setVersion("another", "2")
      try await plugin.setVersion("new3", "2")
      fixture.monitor.processPending()
      #expect(plugin.clientsFile.readings == readings + 1)
      #expect(plugin.writer.places.walks == 2 && plugin.writer.wholeEdits == 0)
      #expect(
        try fixture.text("Metadata/clients.xml").contains("<Client name=\"another\" profile=\"base\" version=\"2\"/>"))
    }
  }

  @Test(arguments: 0..<6) func whateverChangesTheFileIsWhatAnEditorOfTheWholeMakes(seed: UInt64) async throws {
    let start = """
      <?xml version='1.0' encoding='UTF-8'?>
      <!-- <Client name="c0"/> -->
      <Clients version="3.0">
      \t<Client name='c0' profile='base'/><Client name="c1" profile="base"><Alias name="d1"/></Client>
        <Client version="&lt;1>"
                name="c2"  profile="base">
        </Client > <![CDATA[]]>
        <Group><Client   name="c3" profile="base" /></Group>
        <Client name="c1" profile="open"/>
        <Client name="c4" profile="base" note='a > b "c"'/>  <!-- end -->

      </Clients>

      """
    var random = Seeded(state: seed)
    try await RepositoryFixture.run(files: Self.files(start)) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      var expected = start
      var count = 5
      for step in 0..<40 {
        var edits: [ClientsEdit] = []
        for _ in 0...Int.random(in: 0..<4, using: &random) {
          let name = ClientName("c\(Int.random(in: 0..<count, using: &random))")
          switch Int.random(in: 0..<5, using: &random) {
          case 0:
            edits.append(.add(name: ClientName("c\(count)"), ["profile": "base", "uuid": "u'\"<&\(count)"]))
            count += 1
          case 1: edits.append(.update(name: name, ["profile": step % 2 == 0 ? "open" : "base"]))
          case 2: edits.append(.update(name: name, ["auth": "cert"]))
          default: edits.append(.update(name: name, ["version": String(repeating: "<é>", count: step)]))
          }
        }
        let tasks = edits.map { edit in Task { try await plugin.writer.commit(edit) } }
        for task in tasks { try await task.value }
        expected = try Self.edited(expected) { editor in
          for edit in edits {
            switch edit {
            case .add(let name, let attributes):
              try editor.appendChild(Element("Client", ClientsEdit.attributes(of: name, attributes)))
            case .update(let name, let attributes):
              for (key, value) in attributes {
                try editor.setAttribute(key, to: value, of: "Client", where: "name", is: name.text)
              }
            case .remove: break
            }
          }
        }
        let text = try fixture.text("Metadata/clients.xml")
        try #require(text == expected, "\(text)\nand not\n\(expected)")
        if step % 10 == 5 {
          expected = expected.replacing("<Client name=\"c4\"", with: "<!-- \(step) --><Client name=\"c4\"")
          fixture.edit("Metadata/clients.xml", expected)
        }
      }
      #expect(plugin.writer.wholeEdits == 0)
      // The table equals one read from the file.
      let names = await plugin.listClients()
      let versions = names.map { plugin.record(of: $0)?.version }
      let profiles = names.map { plugin.record(of: $0)?.profiles }
      plugin.clientsFile.invalidate()
      plugin.refreshClients()
      #expect(await plugin.listClients() == names)
      #expect(names.map { plugin.record(of: $0)?.version } == versions)
      #expect(names.map { plugin.record(of: $0)?.profiles } == profiles)
    }
  }

  @Test(arguments: [
    "<!DOCTYPE Clients [<!ENTITY p 'base'>]><Clients>\n <Client name=\"one\" profile=\"&p;\"/>\n</Clients>",
    "<Clients><x xmlns=\"urn:x\"/><Client name=\"one\" profile=\"base\"/></Clients>",
    "<Clients xmlns:n=\"urn:x\"><Client n:note=\"\" name=\"one\" profile=\"base\"/></Clients>",
  ]) func whatPlacesDoNotSayAllAboutIsEditedAsAWhole(text: String) async throws {
    try await RepositoryFixture.run(files: Self.files(text)) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      try await plugin.setVersion("one", "1")
      #expect(plugin.writer.wholeEdits == 1)
      #expect(
        try fixture.text("Metadata/clients.xml")
          == text.replacing("\"/></C", with: "\" version=\"1\"/></C")
          .replacing("\"/>\n</C", with: "\" version=\"1\"/>\n</C"))
    }
  }

  @Test func manyVersionsLeaveNothingBehind() throws {
    let table = ClientsTable()
    for number in 0..<10 { table.add(name: "c\(number)", attributes: ["profile": "base"]) }
    for number in 0..<5000 {
      table.update(try #require(table.client(named: ClientName("c\(number % 10)"))), ["version": "1.\(number)"])
    }
    #expect(table.valueCount <= 1024 + 1)
    for number in 0..<10 {
      let client = table.client(named: ClientName("c\(number)"))
      #expect(client?.version == "1.\(4990 + number)" && client?.profiles == ["base"])
    }
  }

  @Test func clientsAddThemselvesUpToALimit() async throws {
    let settings = try Self.settings("[metadata]\nclients = 4\n")
    try await RepositoryFixture.run(files: Self.files(Self.clients(2)), settings: settings) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      // Of clients that come together, as many as fit are added.
      let tasks = (0..<4).map { number in Task { try await plugin.setVersion("new\(number)", "1") } }
      var refused = 0
      for task in tasks {
        do {
          try await task.value
        } catch let error as MetadataConsistencyError {
          refused += 1
          #expect(error.description.hasSuffix(": more than [metadata] clients (4) allows"))
        }
      }
      #expect(refused == 2)
      #expect(await plugin.listClients().count == 4)
      let error = await #expect(throws: MetadataConsistencyError.self) {
        try await plugin.setProfile("more", "open", address: nil, requirePublic: true)
      }
      #expect(error?.description == "Cannot add new client more: more than [metadata] clients (4) allows")
      // Existing clients continue, and an administrator may add more.
      try await plugin.setVersion("client1", "2")
      let text = try fixture.text("Metadata/clients.xml")
      fixture.edit("Metadata/clients.xml", text.replacing("</Clients>", with: "<Client name=\"mine\"/></Clients>"))
      #expect(await plugin.listClients().count == 5)
      try await plugin.setVersion("mine", "2")
      #expect(plugin.record(of: "mine")?.version == "2")
    }
  }

  @Test func anotherClientsAddressIsNotRecorded() async throws {
    let clients =
      "<Clients>\n  <Client name=\"one\" profile=\"base\" address=\"192.0.2.5\"/>\n"
      + "  <Client name=\"two.example.com\" profile=\"base\"/>\n</Clients>\n"
    let names = ["192.0.2.6": "two.example.com", "192.0.2.7": "dhcp-7.example.com", "192.0.2.8": "eight.example.com"]
    try await RepositoryFixture.run(files: Self.files(clients), names: names) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      @MainActor func attributes(_ name: ClientName, from ip: String) async throws -> [String]? {
        try await plugin.setProfile(name, "open", address: ClientAddress(ip: ip, port: 1), requirePublic: true)
        return plugin.record(of: name)?.addresses
      }
      // An address that a record has, and one whose name is a client's.
      #expect(try await attributes("evil1", from: "192.0.2.5") == [])
      #expect(try await attributes("evil2", from: "192.0.2.6") == [])
      #expect(try await plugin.resolveClient(ClientAddress(ip: "192.0.2.5", port: 1)) == "one")
      #expect(try await plugin.resolveClient(ClientAddress(ip: "192.0.2.6", port: 1)) == "two.example.com")
      // As in Bcfg2: an address of no client, whatever its name is, and the client's own.
      #expect(try await attributes("new1", from: "192.0.2.7") == ["192.0.2.7"])
      #expect(try await attributes("eight.example.com", from: "192.0.2.8") == ["192.0.2.8"])
      #expect(try await attributes("new2", from: "192.0.2.9") == ["192.0.2.9"])
      #expect(plugin.record(of: "evil1")?.uuid == "evil1")
      // A tunnel carries many clients.
      #expect(try await attributes("tunnelled1", from: "127.0.0.1") == ["127.0.0.1"])
      #expect(try await attributes("tunnelled2", from: "127.0.0.1") == ["127.0.0.1"])
      // Two clients come at the same time from one address.
      let tasks = ["three", "four"].map { name in
        Task {
          try await plugin.setProfile(
            ClientName(name), "open", address: ClientAddress(ip: "192.0.2.10", port: 1), requirePublic: true)
        }
      }
      for task in tasks { try await task.value }
      #expect(try await plugin.resolveClient(ClientAddress(ip: "192.0.2.10", port: 1)) == "three")
      // The table equals the file.
      let text = try fixture.text("Metadata/clients.xml")
      #expect(text.ranges(of: "192.0.2.5").count == 1 && text.ranges(of: "192.0.2.10").count == 1)
    }
  }
}
