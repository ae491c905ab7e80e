import Identity
import Repository
import Support
import Testing

@testable import Plugins

/// Compares the compact table with a plain one.
@Suite struct ClientsTableTests {
  /// The contents of clients.xml as dictionaries.
  private struct Model {
    var profiles: [String: [String?]] = [:]
    var versions: [String: String] = [:]
    var order: [String] = []
    var uuids: [String: String] = [:]
    var uuidOf: [String: String] = [:]
    var aliases: [String: String] = [:]
    var owners: [String: [String]] = [:]
    var addressesOf: [String: [String]] = [:]
  }

  @Test(arguments: 0..<8) func aCompactTableAnswersAsDictionariesDo(seed: UInt64) throws {
    var random = Seeded(state: seed)
    let table = ClientsTable()
    var model = Model()
    for step in 0..<600 {
      let number = Int.random(in: 0..<80, using: &random)
      // The length of a name over 127 bytes takes two bytes.
      let spelling = (number % 7 == 0 ? "Host-\(number)-" + String(repeating: "x", count: 150) : "host-\(number)")
      let name = spelling.lowercased()
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        let address = "10.0.0.\(Int.random(in: 0..<60, using: &random))"
        let uuid = "uuid-\(Int.random(in: 0..<70, using: &random))"
        let alias = Element(
          "Alias", ["name": "alias-\(Int.random(in: 0..<40, using: &random))", "address": "10.1.\(number).1"])
        let profile = step % 3 == 0 ? nil : "profile-\(step % 5)"
        var attributes: Attributes = ["address": address, "uuid": uuid]
        attributes["profile"] = profile
        table.add(name: spelling, attributes: attributes, children: step % 4 == 0 ? [alias] : [])
        if model.profiles[name] == nil { model.order.append(name) }
        model.profiles[name, default: []].append(profile)
        model.uuids[uuid] = name
        model.uuidOf[name] = uuid
        model.owners[address, default: []].append(name)
        model.addressesOf[name, default: []].append(address)
        guard step % 4 == 0, let other = alias.name, let at = alias["address"] else { continue }
        model.aliases[other] = name
        model.owners[at, default: []].append(name)
        model.addressesOf[name, default: []].append(at)
      case 6, 7:
        guard let client = table.client(named: "\(name)") else { continue }
        table.update(client, ["version": "1.\(step)", "profile": "changed"])
        model.versions[name] = "1.\(step)"
        model.profiles[name]?[0] = "changed"
      default:
        guard let client = table.client(named: "\(name)") else { continue }
        // As in the server: other clients are removed by reading the file again.
        guard client.hasOneElement else { continue }
        table.remove(client)
        model.order.removeAll { $0 == name }
        model.profiles[name] = nil
        model.versions[name] = nil
        if let uuid = model.uuidOf.removeValue(forKey: name), model.uuids[uuid] == name { model.uuids[uuid] = nil }
        model.aliases = model.aliases.filter { $0.value != name }
        model.addressesOf[name] = nil
        for (address, owners) in model.owners {
          let left = owners.filter { $0 != name }
          model.owners[address] = left.isEmpty ? nil : left
        }
      }
    }
    #expect(model.order.count > 20)
    #expect(table.ordered.map(\.name.text) == model.order)
    for number in 0..<80 {
      for name in ["host-\(number)", "host-\(number)-" + String(repeating: "x", count: 150)] {
        let client = table.client(named: "\(name)")
        #expect(client?.profiles == model.profiles[name])
        #expect(client?.version == model.versions[name])
        #expect(client?.uuid == model.uuidOf[name])
        #expect(client?.addresses ?? [] == model.addressesOf[name] ?? [])
        #expect(table.client(ofUUID: "uuid-\(number)")?.name.text == model.uuids["uuid-\(number)"])
        #expect(table.client(ofAlias: "alias-\(number)")?.name.text == model.aliases["alias-\(number)"])
        for address in ["10.0.0.\(number)", "10.1.\(number).1"] {
          let owners = model.owners[address] ?? []
          #expect(table.clients(at: address).map(\.name.text) == owners)
          #expect(table.onlyClient(at: address)?.name.text == (owners.count == 1 ? owners[0] : nil))
        }
      }
    }
  }

  @Test func aSpellingIsKeptBesideTheName() {
    let table = ClientsTable()
    table.add(name: "UPPER.example", attributes: ["password": "p", "secure": "TRUE", "auth": "cert"])
    let client = table.client(named: "upper.example")
    #expect(client?.spelling == "UPPER.example" && client?.name == "upper.example" && client?.password == "p")
    #expect(client?.isSecure == true && client?.isFloating == false && client?.authentication == "cert")
    #expect(table.client(named: "UPPER.example") == nil && client?.version == nil && client?.addresses == [])
  }

  @Test func aRecordThatIsNoNameIsLeftOut() throws {
    var complaints: [String] = []
    let root = try tree(
      """
      <Clients>
        <Client name="one"><Alias name="a b"/><Alias name="uno"/></Client>
        <Client name="../x"/><Client name="a b"/><Client name=""/><Client name="two"/>
      </Clients>
      """)
    let table = ClientsTable(root: root) { complaints.append("\($0): \($1)") }
    #expect(table.ordered.map(\.name) == ["one", "two"])
    #expect(table.client(named: "one")?.aliases == ["uno"])
    #expect(complaints.count == 4 && complaints.contains("3: Client ../x cannot be used, ignored: it has a /"))
  }
}
