/// What clients.xml says of one client.
final class ClientRecord {
  /// The name, in lower case: what the client is called everywhere but in clients.xml.
  let name: String
  /// The name as it is spelled in clients.xml.
  let spelling: String
  /// The profile of each of the client's elements, nil for one without.
  var profiles: [String?] = []
  var aliases: [String] = []
  var addresses: [String] = []
  var uuid: String?
  var password: String?
  var version: String?
  /// The `auth` attribute; nil where the default of bcfg2.conf holds.
  var authentication: String?
  /// True: only the client's own password lets it in.
  var isSecure = false
  /// True: it may come from any address.
  var isFloating = false

  init(name: String, spelling: String) {
    self.name = name
    self.spelling = spelling
  }
}

/// The clients of clients.xml, by everything that a request may bring: name, alias, address, uuid.
///
/// A value of one reading of the file, changed in place only by the server's own writes. No request walks the list.
struct ClientsTable {
  private(set) var byName: [String: ClientRecord] = [:]
  /// In document order.
  private(set) var ordered: [ClientRecord] = []
  private(set) var byAlias: [String: ClientRecord] = [:]
  private(set) var byUUID: [String: ClientRecord] = [:]
  /// Every client that an address is given to.
  private(set) var byAddress: [String: [ClientRecord]] = [:]

  init() {}

  /// Reads the clients of a document.
  /// - Parameter complain: told of elements that cannot be used, with their line.
  init(root: Element, complain: (_ line: Int32, _ message: String) -> Void) {
    root.forEachDescendant { element in
      guard element.tag == "Client" else { return }
      guard let name = element.name, !name.isEmpty else {
        complain(element.line, "Client without a name, ignored")
        return
      }
      add(name: name, attributes: element.attributes, children: element.children)
    }
  }

  /// Adds one `<Client>` element: a new client, or more of a known one.
  mutating func add(name spelling: String, attributes: Attributes, children: [Element] = []) {
    let name = spelling.lowercased()
    let record: ClientRecord
    if let known = byName[name] {
      record = known
    } else {
      record = ClientRecord(name: name, spelling: spelling)
      byName[name] = record
      ordered.append(record)
    }
    record.profiles.append(attributes["profile"])
    apply(attributes, to: record)
    for alias in children where alias.tag == "Alias" {
      if let other = alias.name, byAlias[other] !== record {
        byAlias[other] = record
        record.aliases.append(other)
      }
      if let address = alias["address"] { give(address, to: record) }
    }
  }

  /// Whether an attribute can be taken over by `update`; others need the file to be parsed.
  static func canUpdate(_ attribute: String) -> Bool { ["profile", "version", "auth"].contains(attribute) }

  /// Takes over attributes that were set in the first element of a client.
  mutating func update(_ record: ClientRecord, _ attributes: Attributes) {
    apply(attributes, to: record)
    if let profile = attributes["profile"], !record.profiles.isEmpty { record.profiles[0] = profile }
  }

  /// Forgets a client.
  mutating func remove(_ record: ClientRecord) {
    byName[record.name] = nil
    ordered.removeAll { $0 === record }
    for alias in record.aliases where byAlias[alias] === record { byAlias[alias] = nil }
    if let uuid = record.uuid, byUUID[uuid] === record { byUUID[uuid] = nil }
    for address in record.addresses {
      byAddress[address]?.removeAll { $0 === record }
      if byAddress[address]?.isEmpty == true { byAddress[address] = nil }
    }
  }

  private mutating func apply(_ attributes: Attributes, to record: ClientRecord) {
    for (name, value) in attributes {
      switch name {
      case "address": give(value, to: record)
      case "uuid":
        record.uuid = value
        byUUID[value] = record
      case "password": record.password = value
      case "version": record.version = value
      case "auth": record.authentication = value
      case "secure": if value.lowercased() == "true" { record.isSecure = true }
      case "floating": if value.lowercased() == "true" { record.isFloating = true }
      case "location": if value == "floating" { record.isFloating = true }
      default: break
      }
    }
  }

  /// An address that is given to a client twice is one of several assignments too, as in Bcfg2.
  private mutating func give(_ address: String, to record: ClientRecord) {
    record.addresses.append(address)
    byAddress[address, default: []].append(record)
  }
}
