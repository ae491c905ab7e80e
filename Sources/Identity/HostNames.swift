import EventLoop
import Glibc
import XMLRPC

/// What each client is called: the names and addresses of its record, their first parts, and what name service has for
/// them.
///
/// Bcfg2 lists all of these in everybody's ssh_known_hosts. Here a client that registered itself cannot take over a name:
/// one that a record of the administrator claims, in any of these ways, belongs to that record; among clients that
/// registered themselves it belongs to the first in clients.xml; name service counts least. Records of the administrator
/// share a name, as in Bcfg2.
///
/// What a new client costs does not depend on the number of the others.
package struct HostNames {
  /// A name as it is claimed, in every spelling.
  private struct Claim: Equatable {
    var texts: NameSet
    var isLookedUp: Bool
  }

  private struct Host {
    var order: Int
    var isSelfRegistered: Bool
    var claims: [Name: Claim]
  }

  /// Who claims a name.
  private struct Claimants {
    var clients: Set<ClientName> = []
    /// How many of them the administrator recorded.
    var administrators = 0
    /// Of the others the one with the best claim.
    var first: ClientName?
  }

  private var hosts: [ClientName: Host] = [:]
  private var claimants: [Name: Claimants] = [:]
  /// Names by client, sorted, as far as they have been asked for since they changed.
  private var lists: [ClientName: [String]] = [:]

  package init() {}

  /// Names of a client, sorted by bytes.
  ///
  /// - Parameter withheld: told of each name that is another client's, where the list is made anew.
  package mutating func names(of client: ClientName, withheld: (_ name: String) -> Void) -> [String] {
    if let list = lists[client] { return list }
    guard let host = hosts[client] else { return [] }
    var found: NameSet = []
    for (key, claim) in host.claims {
      if isGiven(key, to: client, host) {
        found.formUnion(claim.texts)
      } else if let text = claim.texts.min() {
        withheld(text)
      }
    }
    let list = found.sorted()
    lists[client] = list
    return list
  }

  private func isGiven(_ key: Name, to client: ClientName, _ host: Host) -> Bool {
    guard host.isSelfRegistered, let others = claimants[key] else { return true }
    return others.administrators == 0 && others.first == client
  }

  // MARK: Clients

  /// Adds a client, or updates it.
  ///
  /// - Parameters:
  ///   - order: its place in clients.xml; those of the others stay as they are to each other.
  ///   - lookedUp: addresses of its names, and names of those.
  package mutating func set(_ client: KnownClient, order: Int, lookedUp: [String]) {
    let claims = Self.claims(of: client, lookedUp)
    if let old = hosts[client.name] {
      if old.isSelfRegistered == client.isSelfRegistered, old.claims == claims {
        hosts[client.name]?.order = order
        return
      }
      remove(client.name)
    }
    hosts[client.name] = Host(order: order, isSelfRegistered: client.isSelfRegistered, claims: claims)
    lists[client.name] = nil
    for key in claims.keys { add(client.name, client.isSelfRegistered, to: key) }
  }

  /// Updates the place of a client in clients.xml, which is still between the same clients.
  package mutating func move(_ client: ClientName, to order: Int) { hosts[client]?.order = order }

  package mutating func remove(_ client: ClientName) {
    guard let host = hosts.removeValue(forKey: client) else { return }
    lists[client] = nil
    for key in host.claims.keys { remove(client, host.isSelfRegistered, from: key) }
  }

  private mutating func add(_ client: ClientName, _ isSelfRegistered: Bool, to key: Name) {
    claimants[key, default: Claimants()].clients.insert(client)
    if isSelfRegistered {
      guard isBetter(client, than: claimants[key]?.first, key) else { return }
      if let old = claimants[key]?.first { lists[old] = nil }
      claimants[key]?.first = client
    } else {
      claimants[key]?.administrators += 1
      if claimants[key]?.administrators == 1 { forgetLists(key) }
    }
  }

  private mutating func remove(_ client: ClientName, _ isSelfRegistered: Bool, from key: Name) {
    claimants[key]?.clients.remove(client)
    guard let left = claimants[key], !left.clients.isEmpty else {
      claimants[key] = nil
      return
    }
    if !isSelfRegistered {
      claimants[key]?.administrators -= 1
      if left.administrators == 1 { forgetLists(key) }
    } else if left.first == client {
      var first: ClientName?
      for other in left.clients where hosts[other]?.isSelfRegistered == true {
        if isBetter(other, than: first, key) { first = other }
      }
      claimants[key]?.first = first
      if let first { lists[first] = nil }
    }
  }

  private mutating func forgetLists(_ key: Name) {
    for client in claimants[key]?.clients ?? [] { lists[client] = nil }
  }

  private func isBetter(_ client: ClientName, than other: ClientName?, _ key: Name) -> Bool {
    guard let other else { return true }
    guard let one = hosts[client], let two = hosts[other] else { return false }
    let (first, second) = (one.claims[key]?.isLookedUp ?? true, two.claims[key]?.isLookedUp ?? true)
    return first == second ? one.order < two.order : !first
  }

  /// Whether a client's name is its own, as far as records say: that of a client which registered itself is not where a
  /// record of the administrator, or one before it, has the name, and where it is a number.
  ///
  /// - Parameter all: every known client, in the order of clients.xml.
  package static func isOwn(_ client: ClientName, among all: [KnownClient]) -> Bool {
    guard let place = all.firstIndex(where: { $0.name == client }), all[place].isSelfRegistered else { return true }
    if isNumber(client.text) {
      let key = key(of: client.text)
      return all[place].addresses.contains { Self.key(of: $0) == key }
    }
    // Recorded names are in lower case.
    let own = withoutFinalDot(client.text)
    return !all.enumerated().contains { otherPlace, other in
      guard otherPlace != place, !other.isSelfRegistered || otherPlace < place else { return false }
      return other.allNames.contains {
        Name.areSame(withoutFinalDot($0.text), own) || Name.areSame(shortName(of: $0.text), own)
      }
    }
  }

  // MARK: Claims

  private static func claims(of client: KnownClient, _ lookedUp: [String]) -> [Name: Claim] {
    var claims: [Name: Claim] = [:]
    func claim(_ text: String, isLookedUp: Bool = false) {
      claims[key(of: text), default: Claim(texts: [], isLookedUp: isLookedUp)].texts.insert(text)
    }
    for address in client.addresses where !client.isSelfRegistered || !isAddressOfThisMachine(address) {
      claim(address)
    }
    let ownAddresses = Set(claims.keys)
    for name in client.allNames.map(\.text) {
      let short = shortName(of: name)
      guard client.isSelfRegistered else {
        claim(name)
        claim(short)
        continue
      }
      // Programs take a number for an address, and this machine's own name is nobody's.
      if isNumber(name) {
        if ownAddresses.contains(key(of: name)) { claim(name) }
      } else if !isThisMachine(name) {
        claim(name)
        if !isNumber(short), !isThisMachine(short) { claim(short) }
      }
    }
    for text in lookedUp where !client.isSelfRegistered || !isAnyOfThisMachine(text) { claim(text, isLookedUp: true) }
    return claims
  }

  /// The first part of a name.
  static func shortName(of name: String) -> String {
    String(Substring(name.utf8.prefix { $0 != UInt8(ascii: ".") }))
  }

  /// True for an address, and for what inet_aton(3) takes for one: what has a colon, or ends in a number.
  package static func isNumber(_ name: String) -> Bool {
    let bytes = Array(name.lowercased().utf8)
    if bytes.contains(UInt8(ascii: ":")) { return true }
    let parts = bytes.split(separator: UInt8(ascii: "."))
    guard let last = parts.last else { return false }
    return last.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } || last.starts(with: "0x".utf8)
  }

  /// Names that hosts files give the loopback addresses.
  private static let localNames: NameSet = [
    "localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6",
    "localhost6.localdomain6", "ip6-localhost", "ip6-loopback",
  ]

  /// True for the names that every machine has for itself, and what ends in `.localhost` (RFC 6761), in any spelling.
  package static func isThisMachine(_ name: String) -> Bool {
    let name = withoutFinalDot(name).lowercased()
    return localNames.contains(name) || name.hasSuffix(".localhost")
  }

  /// True for an address that reaches the machine that uses it: loopback, and the unspecified ones.
  private static func isAddressOfThisMachine(_ text: String) -> Bool {
    guard let address = address(text) else { return false }
    return switch address {
    case .ipv4(let number, _): address.isLoopback || number >> 24 == 0
    case .ipv6(let high, let low, _, _): address.isLoopback || high == 0 && low == 0
    case .unix: false
    }
  }

  /// The same for a name from name service, which may have a domain appended.
  private static func isAnyOfThisMachine(_ text: String) -> Bool {
    isThisMachine(text) || isThisMachine(shortName(of: text)) || isAddressOfThisMachine(text)
  }

  /// A name without the dot that may end it, which no program that compares names of hosts counts.
  package static func withoutFinalDot(_ name: String) -> String {
    name.utf8.count > 1 && name.utf8.last == UInt8(ascii: ".") ? String(name.dropLast()) : name
  }

  /// What two spellings of a name or an address have in common.
  private static func key(of text: String) -> Name {
    let text = withoutFinalDot(text)
    return Name(address(text)?.host ?? text.lowercased())
  }

  /// The address that a text is to getaddrinfo(3): also in octal, in hexadecimal, in fewer than four numbers, IPv4 as
  /// IPv6, with a zone, which is left out.
  private static func address(_ text: String) -> SocketAddress? {
    var four = in_addr()
    if inet_aton(text, &four) != 0 { return .ipv4(UInt32(bigEndian: four.s_addr), port: 0) }
    guard text.utf8.contains(UInt8(ascii: ":")) else { return nil }
    let end = text.utf8.firstIndex(of: UInt8(ascii: "%")) ?? text.utf8.endIndex
    return SocketAddress(host: String(text[..<end]), port: 0)?.unmapped
  }
}
