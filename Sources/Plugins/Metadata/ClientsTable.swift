import Identity
import Repository
import XMLRPC

/// A view of one client in the table, valid as long as the table is.
struct ClientRecord {
  fileprivate let table: ClientsTable
  fileprivate let row: Int

  static func == (one: ClientRecord, other: ClientRecord) -> Bool {
    one.row == other.row && one.table === other.table
  }

  private var data: ClientsTable.Row { table.rows[row] }
  private var more: ClientsTable.More? { table.more[row] }

  /// The name in lower case, as it is used everywhere but in clients.xml.
  var name: ClientName { ClientName(unchecked: table.pool[data.name] ?? "") }
  /// The name as it is spelled in clients.xml.
  var spelling: String { table.pool[data.spelling] ?? "" }
  /// The profile of each of the client's elements, nil for one without.
  var profiles: [String?] {
    var profiles = [table.value(data.profile)]
    if let more { profiles += more.profiles }
    return profiles
  }
  var aliases: [ClientName] { more?.aliases ?? [] }
  var addresses: [String] {
    guard let first = table.pool[data.address] else { return [] }
    return [first] + (more?.addresses ?? [])
  }
  var uuid: String? { table.pool[data.uuid] }
  var password: String? { table.pool[data.password] }
  var version: String? { table.value(data.version) }
  /// The `auth` attribute; nil where the default of bcfg2.conf holds.
  var authentication: String? { table.value(data.authentication) }
  /// True: only the client's own password lets it in.
  var isSecure: Bool { data.isSecure }
  /// True: it may connect from any address.
  var isFloating: Bool { data.isFloating }
  /// Whether both say the same of a client.
  func isSame(as other: ClientRecord) -> Bool {
    func same(_ one: String?, _ two: String?) -> Bool { one.map { Name($0) } == two.map { Name($0) } }
    return Name.areSame(spelling, other.spelling) && same(uuid, other.uuid) && same(password, other.password)
      && same(version, other.version) && same(authentication, other.authentication) && isSecure == other.isSecure
      && isFloating == other.isFloating && aliases == other.aliases
      && profiles.elementsEqual(other.profiles, by: same)
      && addresses.elementsEqual(other.addresses, by: { Name.areSame($0, $1) })
  }

  /// Whether the file has one element of this client.
  var hasOneElement: Bool { more?.profiles.isEmpty ?? true }
}

/// The clients of clients.xml, by everything that a request may bring: name, alias, address, uuid.
///
/// Made by one reading of the file; only the server's own writes change it in place. No request walks the list. A client that is
/// merely known costs about a hundred bytes: a row, its texts in one pool, and a slot of each index; what few clients
/// have (a second address, aliases, a second element) is kept aside.
final class ClientsTable {
  fileprivate struct Row {
    var name: TextPool.Text
    var spelling: TextPool.Text
    var uuid = TextPool.Text.none
    var password = TextPool.Text.none
    /// The first address.
    var address = TextPool.Text.none
    /// Numbers of `values`; 0 where there is none.
    var profile: UInt32 = 0
    var version: UInt32 = 0
    var authentication: UInt32 = 0
    var isSecure = false
    var isFloating = false
    var isRemoved = false
  }

  /// Data that most clients do not have.
  fileprivate struct More {
    /// The profiles of further elements.
    var profiles: [String?] = []
    var addresses: [String] = []
    var aliases: [ClientName] = []
  }

  fileprivate private(set) var rows: [Row] = []
  fileprivate private(set) var more: [Int: More] = [:]
  fileprivate private(set) var pool = TextPool()
  private var names = TextIndex()
  private var uuids = TextIndex()
  private var addresses = TextIndex()
  private var aliases: [ClientName: Int] = [:]
  /// The rows of each address that was given more than once.
  private var sharedAddresses: [Name: [Int]] = [:]
  /// Profiles, versions and ways to authenticate: few different ones, each of many clients.
  private var values: [String] = [""]
  private var valueNumbers: [Name: UInt32] = [:]
  /// How many different profiles, versions and ways to authenticate are kept.
  var valueCount: Int { values.count - 1 }
  /// How many values there may be before those that no client has any more are dropped.
  private var valueLimit = valueLimitAtFirst
  private static let valueLimitAtFirst = 1024
  /// Rows of removed clients, since the file was read.
  private var removals = 0

  /// How many clients there are.
  var count: Int { rows.count - removals }

  init() {}

  /// Reads the clients of a document.
  /// - Parameter complain: told of elements that cannot be used, with their line.
  init(root: Element, complain: (_ line: Int32, _ message: String) -> Void) {
    reserve(for: root)
    root.forEachDescendant { element in
      guard element.tag == "Client" else { return }
      guard let name = element.name, !name.isEmpty else {
        complain(element.line, "Client without a name, ignored")
        return
      }
      do throws(ClientNameError) {
        _ = try ClientName(recorded: name)
      } catch {
        complain(element.line, "Client \(name) cannot be used, ignored: \(error)")
        return
      }
      for alias in element.children where alias.tag == "Alias" {
        guard let other = alias.name else { continue }
        do throws(ClientNameError) {
          _ = try ClientName(recorded: other)
        } catch {
          complain(alias.line, "Alias \(other) of \(name) cannot be used, ignored: \(error)")
        }
      }
      add(name: name, attributes: element.attributes, children: element.children)
    }
  }

  /// Reserves exactly the room that a document needs: arrays that grow take up to twice as much.
  private func reserve(for root: Element) {
    var clients = 0
    var withUUID = 0
    var withAddress = 0
    var bytes = 0
    root.forEachDescendant { element in
      guard element.tag == "Client" else { return }
      clients += 1
      for (name, value) in element.attributes {
        switch name {
        case "name": bytes += TextPool.size(of: value)
        case "uuid": withUUID += 1
        case "address": withAddress += 1
        case "password": break
        default: continue
        }
        bytes += TextPool.size(of: value)
      }
    }
    rows.reserveCapacity(clients)
    pool = TextPool(bytes: bytes)
    names = TextIndex(capacity: clients)
    uuids = TextIndex(capacity: withUUID)
    addresses = TextIndex(capacity: withAddress)
  }

  // MARK: Finding

  /// In document order.
  var ordered: some Sequence<ClientRecord> {
    rows.indices.lazy.filter { !self.rows[$0].isRemoved }.map { ClientRecord(table: self, row: $0) }
  }

  /// The client of a name in lower case.
  func client(named name: ClientName) -> ClientRecord? { names.row(of: name.text, in: pool).map(record) }

  func client(ofAlias alias: ClientName) -> ClientRecord? { aliases[alias].map(record) }

  /// Whether a text is byte for byte a client's name, as it is spelled or in lower case, or an alias.
  func hasName(_ text: String) -> Bool {
    if let record = names.row(of: text.lowercased(), in: pool).map(record) {
      if record.name.isSame(as: text) || Name.areSame(record.spelling, text) { return true }
    }
    return (try? ClientName(recorded: text)).map { aliases[$0] != nil } ?? false
  }

  func client(ofUUID uuid: String) -> ClientRecord? { uuids.row(of: uuid, in: pool).map(record) }

  /// Every client that has an address; one that has it twice is listed twice, as in Bcfg2.
  func clients(at address: String) -> [ClientRecord] {
    if let shared = sharedAddresses[Name(address)] { return shared.map(record) }
    return addresses.row(of: address, in: pool).map { [record($0)] } ?? []
  }

  /// The only client that has an address; nil if several clients or none have it.
  func onlyClient(at address: String) -> ClientRecord? {
    sharedAddresses[Name(address)] == nil ? addresses.row(of: address, in: pool).map(record) : nil
  }

  private func record(_ row: Int) -> ClientRecord { ClientRecord(table: self, row: row) }

  fileprivate func value(_ number: UInt32) -> String? { number == 0 ? nil : values[Int(number)] }

  /// Names of the clients of which this table and another one say different things.
  func differences(from other: ClientsTable) -> [ClientName] {
    let changed = ordered.lazy.filter { client in
      other.client(named: client.name).map { !client.isSame(as: $0) } ?? true
    }
    let removed = other.ordered.lazy.map(\.name).filter { self.client(named: $0) == nil }
    return changed.map(\.name) + removed
  }

  // MARK: Changing

  /// Adds one `<Client>` element: a new client, or more of a known one.
  func add(name spelling: String, attributes: Attributes, children: [Element] = []) {
    let name = spelling.lowercased()
    let profile = attributes["profile"]
    let row: Int
    if let known = names.row(of: name, in: pool) {
      row = known
      more[row, default: More()].profiles.append(profile)
    } else {
      row = rows.count
      let text = names.set(name, to: row, in: &pool)
      rows.append(Row(name: text, spelling: spelling == name ? text : pool.add(spelling)))
      rows[row].profile = number(of: profile)
    }
    apply(attributes, to: row)
    for alias in children where alias.tag == "Alias" {
      if let text = alias.name, let other = try? ClientName(recorded: text), aliases[other] != row {
        aliases[other] = row
        more[row, default: More()].aliases.append(other)
      }
      if let address = alias["address"] { assign(address, to: row) }
    }
  }

  /// Whether an attribute can be taken over by `update`; others need the file to be parsed.
  static func canUpdate(_ attribute: String) -> Bool { ["profile", "version", "auth"].contains(attribute) }

  /// Takes over attributes that were set in the first element of a client.
  func update(_ client: ClientRecord, _ attributes: Attributes) {
    apply(attributes, to: client.row)
    if let profile = attributes["profile"] { rows[client.row].profile = number(of: profile) }
  }

  /// Forgets a client.
  func remove(_ client: ClientRecord) {
    names.remove(client.name.text, in: pool)
    for alias in client.aliases where aliases[alias] == client.row { aliases[alias] = nil }
    if let uuid = client.uuid, uuids.row(of: uuid, in: pool) == client.row { uuids.remove(uuid, in: pool) }
    for address in client.addresses { unassign(address, from: client.row) }
    rows[client.row].isRemoved = true
    more[client.row] = nil
    removals += 1
  }

  /// Whether reading the file again would free much memory of removed clients.
  var isWorthReadingAgain: Bool { removals > max(1024, rows.count / 2) }

  private func apply(_ attributes: Attributes, to row: Int) {
    for (name, value) in attributes {
      switch name {
      case "address": assign(value, to: row)
      case "uuid": rows[row].uuid = uuids.set(value, to: row, in: &pool)
      case "password": rows[row].password = pool.add(value)
      case "version": rows[row].version = number(of: value)
      case "auth": rows[row].authentication = number(of: value)
      case "secure": if value.lowercased() == "true" { rows[row].isSecure = true }
      case "floating": if value.lowercased() == "true" { rows[row].isFloating = true }
      case "location": if value == "floating" { rows[row].isFloating = true }
      default: break
      }
    }
  }

  /// An address that is given to a client twice is one of several assignments too, as in Bcfg2.
  private func assign(_ address: String, to row: Int) {
    let owner = addresses.row(of: address, in: pool)
    let text = addresses.set(address, to: owner ?? row, in: &pool)
    if let owner { sharedAddresses[Name(address), default: [owner]].append(row) }
    if rows[row].address == .none {
      rows[row].address = text
    } else {
      more[row, default: More()].addresses.append(address)
    }
  }

  private func unassign(_ address: String, from row: Int) {
    let left = (sharedAddresses[Name(address)] ?? [row]).filter { $0 != row }
    sharedAddresses[Name(address)] = left.count > 1 ? left : nil
    if let owner = left.first {
      _ = addresses.set(address, to: owner, in: &pool)
    } else {
      addresses.remove(address, in: pool)
    }
  }

  /// The number of a profile, version or way to authenticate.
  private func number(of value: String?) -> UInt32 {
    guard let value else { return 0 }
    if let known = valueNumbers[Name(value)] { return known }
    if values.count >= valueLimit { dropUnusedValues() }
    let number = UInt32(values.count)
    values.append(value)
    valueNumbers[Name(value)] = number
    return number
  }

  /// Forgets profiles, versions and ways to authenticate that no client has, because clients may declare ever new versions.
  private func dropUnusedValues() {
    let old = values
    values = [""]
    valueNumbers = [:]
    func renumber(_ number: inout UInt32) {
      guard number != 0 else { return }
      let value = old[Int(number)]
      if let known = valueNumbers[Name(value)] {
        number = known
      } else {
        number = UInt32(values.count)
        values.append(value)
        valueNumbers[Name(value)] = number
      }
    }
    for row in rows.indices where !rows[row].isRemoved {
      renumber(&rows[row].profile)
      renumber(&rows[row].version)
      renumber(&rows[row].authentication)
    }
    valueLimit = max(Self.valueLimitAtFirst, 2 * values.count)
  }
}
