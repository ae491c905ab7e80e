import Core
import Identity
import Logging
import XMLRPC

/// The part of the known hosts file that all clients share: a line for each public key with all names of its hosts.
///
/// Kept in parts that change one by one: names of a client, and keys in their order. A new client or key costs its own part
/// only. Answers wait for name service only for the names that `HostLookups` has to look up first.
final class KnownHostsList {
  private unowned let core: ServerCore
  private let logger: Logger
  private let lookups: HostLookups
  private var names = HostNames()
  /// The clients as they were last listed, and the place of each in that list.
  private var clients: [KnownClient] = []
  private var places: [ClientName: Int] = [:]
  /// The client that has a name or an alias.
  private var owners: [ClientName: ClientName] = [:]
  private var keys: [Key] = []
  /// Groups of clients, filled where a key is for a group.
  private var groups: [ClientName: NameSet] = [:]
  private var text: String?
  /// Unknown hosts and groups that have a key; each is logged once.
  private var unknown: NameSet = []
  /// Names of clients that the list cannot contain; each is logged once.
  private var unreadable: NameSet = []

  /// A public key and its position: by kind, then those for all clients, then by host or group.
  private struct Key {
    let kind: String
    let data: HostKeyData

    static func isOrdered(_ one: Key, _ other: Key) -> Bool {
      (Name(one.kind), one.data.specificity.subject, Name(one.data.path))
        < (Name(other.kind), other.data.specificity.subject, Name(other.data.path))
    }
  }

  init(core: ServerCore, logger: Logger) {
    self.core = core
    self.logger = logger
    lookups = HostLookups(core: core, logger: logger)
    lookups.onAnswer = { [unowned self] name in
      guard let owner = owners[name], let place = places[owner] else { return lookups.forget(name) }
      add(clients[place], place)
      text = nil
    }
  }

  /// Forgets groups of clients, which may have changed when caches expire.
  func forget() {
    groups = [:]
    text = nil
  }

  /// A static file has changed.
  func staticLinesChanged() { text = nil }

  /// A file of a public key has changed.
  ///
  /// - Parameter key: what is there now; nil where it is gone.
  func keyChanged(_ path: String, of kind: String, _ key: HostKeyData?) {
    text = nil
    keys.removeAll { Name.areSame($0.data.path, path) }
    guard let key else { return }
    let new = Key(kind: kind, data: key)
    var (low, high) = (0, keys.count)
    while low < high {
      let middle = (low + high) / 2
      if Key.isOrdered(keys[middle], new) { low = middle + 1 } else { high = middle }
    }
    keys.insert(new, at: low)
  }

  /// The list for a client, each line with its line feed.
  func text(for client: ClientName, staticLines: NameTable<String>) async throws -> String {
    update(await core.metadata.listKnownClients())
    lookups.prefer(client)
    await lookups.wait { neededNames(for: client) }
    if keys.contains(where: \.data.specificity.isGroup) { await findGroups() }
    if let text { return text }
    let made = render(staticLines)
    text = made
    return made
  }

  /// Names without which an answer is not complete: the client's own, and those of the administrator's records. Never
  /// those of others that registered themselves, which may be names that nobody knows, be it before a restart.
  private func neededNames(for client: ClientName) -> Set<ClientName> {
    Set(clients.lazy.filter { !$0.isSelfRegistered || $0.name == client }.flatMap(\.allNames))
  }

  // MARK: Clients

  /// Updates names and positions from the list of clients.
  private func update(_ list: [KnownClient]) {
    for client in list { for name in client.allNames { wantIfNeeded(name, client) } }
    guard list != clients else { return }
    text = nil
    let old = clients
    let oldPlaces = places
    clients = list
    places = [:]
    owners = [:]
    for (place, client) in list.enumerated() {
      places[client.name] = place
      for name in client.allNames { owners[name] = client.name }
    }
    for client in old where places[client.name] == nil {
      names.remove(client.name)
      groups[client.name] = nil
    }
    for name in old.lazy.flatMap(\.allNames) where owners[name] == nil { lookups.forget(name) }
    // If the administrator has changed the order, which client has a name first is decided anew.
    let kept = list.compactMap { oldPlaces[$0.name] }
    let isReordered = zip(kept, kept.dropFirst()).contains { $0 > $1 }
    if isReordered { names = HostNames() }
    for (place, client) in list.enumerated() {
      if let oldPlace = oldPlaces[client.name], old[oldPlace] == client, !isReordered {
        names.move(client.name, to: place)
      } else {
        add(client, place)
      }
    }
  }

  private func add(_ client: KnownClient, _ place: Int) {
    names.set(client, order: place, lookedUp: client.allNames.flatMap { lookups.found($0) })
  }

  private func wantIfNeeded(_ name: ClientName, _ client: KnownClient) {
    // A numeric name resolves to itself, which proves nothing.
    if client.isSelfRegistered, HostNames.isNumber(name.text) { return }
    lookups.want(name, isSelfRegistered: client.isSelfRegistered)
  }

  private func findGroups() async {
    for client in clients where groups[client.name] == nil {
      text = nil
      do {
        groups[client.name] = try await core.buildMetadata(client.name).groups
      } catch {
        logger.error("\(client.name) is in no group for ssh_known_hosts: \(error)")
        groups[client.name] = []
      }
    }
  }

  // MARK: Text

  private func render(_ staticLines: NameTable<String>) -> String {
    var text = ""
    for line in staticLines.sorted() { text += "\(Self.trimmed(line.value))\n" }
    for key in keys {
      let hosts: [String]
      switch key.data.specificity {
      case .host(let name):
        guard let client = try? ClientName(recorded: name.text), places[client] != nil else {
          reportUnknown(key.data.specificity)
          continue
        }
        hosts = names(of: client)
      case .group(let name, _):
        hosts = clients.filter { groups[$0.name]?.contains(name.text) ?? false }.flatMap { names(of: $0.name) }
        if hosts.isEmpty { reportUnknown(key.data.specificity) }
      case .all: hosts = clients.flatMap { names(of: $0.name) }
      }
      if !hosts.isEmpty { text += "\(hosts.joined(separator: ",")) \(key.data.trimmedKey)\n" }
    }
    return text.isEmpty ? "\n" : text
  }

  private func names(of client: ClientName) -> [String] {
    names.names(of: client) { name in
      logger.info("\(name) of \(client) is left out of ssh_known_hosts: it is another client's")
    }.filter { name in
      if ForeignGrammar.isKnownHost(name) { return true }
      if unreadable.insert(name).inserted {
        logger.error("\(name) of \(client) is left out of ssh_known_hosts: it is neither a name nor an address")
      }
      return false
    }
  }

  private static func trimmed(_ text: String) -> String {
    var text = Substring(text)
    while let last = text.unicodeScalars.last, last.properties.isWhitespace { text.unicodeScalars.removeLast() }
    return String(text)
  }

  private func reportUnknown(_ specificity: Specificity) {
    switch specificity {
    case .host(let name):
      if unknown.insert(name.text).inserted { logger.info("Ignoring key for unknown host \(name)") }
    case .group(let name, _):
      if unknown.insert(name.text).inserted { logger.info("Ignoring key for unknown group \(name)") }
    case .all: break  // Without clients nobody misses it.
    }
  }
}

extension Specificity {
  fileprivate var isGroup: Bool { if case .group = self { true } else { false } }
}
