import EventLoop
import Logging

/// The part of the known hosts file that all clients share: a line for each public key with all names of its hosts.
///
/// Put together when it is first asked for, and kept until a key changes or the list of clients does. Answers of name
/// servers are kept for the life of the server, failures too, as in Bcfg2.
final class KnownHostsList {
  /// Lookups under way at a time.
  private static let concurrentLookups = 16

  private unowned let core: ServerCore
  private let logger: Logger
  private var cached: (clients: [ClientName], text: String)?
  /// Grows with each change, so that what was begun before it is not kept.
  private var version = 0
  private var underway: Task<String, any Error>?
  /// Addresses by name, and names by address; empty where there are none.
  private var addresses: [ClientName: [String]] = [:]
  private var names: NameTable<[String]> = [:]
  /// Hosts and groups that have a key and are not known, each told once.
  private var unknown: NameSet = []
  /// Names of clients that the list cannot have, each told once.
  private var unreadable: NameSet = []

  init(core: ServerCore, logger: Logger) {
    self.core = core
    self.logger = logger
  }

  /// Something that the list is made of has changed.
  func forget() {
    version += 1
    cached = nil
    underway = nil
  }

  /// The list, each line with its line feed.
  func text(publicSets: [HostKeySet], staticLines: NameTable<String>) async throws -> String {
    let clients = await core.metadata.listClients()
    if let cached, cached.clients == clients { return cached.text }
    if let underway { return try await underway.value }
    let began = version
    let task = Task { try await make(clients, publicSets, staticLines) }
    underway = task
    let result = await task.result
    if version == began {
      underway = nil
      if case .success(let text) = result { cached = (clients, text) }
    }
    return try result.get()
  }

  private func make(
    _ clients: [ClientName], _ publicSets: [HostKeySet], _ staticLines: NameTable<String>
  ) async throws -> String {
    var all: [ClientMetadata] = []
    for client in clients { all.append(try await core.buildMetadata(client)) }
    await lookUp(all)
    var namesOfClients: [ClientName: [String]] = [:]
    for client in all { namesOfClients[client.hostname] = self.names(of: client) }
    var lines = staticLines.sorted().map { Self.trimmed($0.value) }
    for key in publicSets.lazy.flatMap(\.inListOrder) {
      let hosts: [String]
      switch key.specificity {
      case .host(let name): hosts = (try? ClientName(recorded: name.text)).flatMap { namesOfClients[$0] } ?? []
      case .group(let name, _):
        hosts = all.lazy.filter { $0.groups.contains(name.text) }.flatMap { namesOfClients[$0.hostname] ?? [] }
      case .all: hosts = all.flatMap { namesOfClients[$0.hostname] ?? [] }
      }
      if hosts.isEmpty {
        tellUnknown(key.specificity)
      } else {
        lines.append("\(hosts.joined(separator: ",")) \(key.trimmedKey)")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func trimmed(_ text: String) -> String {
    var text = Substring(text)
    while let last = text.unicodeScalars.last, last.properties.isWhitespace { text.unicodeScalars.removeLast() }
    return String(text)
  }

  private func tellUnknown(_ specificity: Specificity) {
    switch specificity {
    case .host(let name):
      if unknown.insert(name.text).inserted { logger.info("Ignoring key for unknown host \(name)") }
    case .group(let name, _):
      if unknown.insert(name.text).inserted { logger.info("Ignoring key for unknown group \(name)") }
    case .all: break  // Without clients nobody misses it.
    }
  }

  // MARK: Names and addresses

  /// Names that clients.xml gives to a client.
  private static func ownNames(_ client: ClientMetadata) -> Set<ClientName> { client.aliases.union([client.hostname]) }

  /// Everything that a client is called: names, their first parts, addresses, and what those resolve to.
  private func names(of client: ClientMetadata) -> [String] {
    var found: NameSet = []
    for name in Self.ownNames(client) {
      found.insert(name.text)
      found.insert(String(Substring(name.text.utf8.prefix { $0 != UInt8(ascii: ".") })))
      for address in addresses[name] ?? [] {
        found.insert(address)
        found.formUnion(names[address] ?? [])
      }
    }
    return found.union(client.addresses).filter { name in
      if ForeignGrammar.isKnownHost(name) { return true }
      if unreadable.insert(name).inserted {
        logger.error(
          "\(name) of \(client.hostname) is left out of ssh_known_hosts: it is neither a name nor an address")
      }
      return false
    }.sorted()
  }

  /// Asks for what is not known yet.
  private func lookUp(_ clients: [ClientMetadata]) async {
    let resolver = core.resolver
    let newNames = Set(clients.flatMap { Self.ownNames($0) }).filter { addresses[$0] == nil }.sorted()
    for (name, found) in await Self.each(newNames, { await resolver.addresses(of: $0.text) }) {
      addresses[name] = found
      if found.isEmpty { logger.error("Failed to find IP address for \(name)") }
    }
    let newAddresses = Set(newNames.flatMap { addresses[$0] ?? [] }).filter { names[$0] == nil }.sorted()
    for (address, found) in await Self.each(newAddresses, { await resolver.name(of: $0).map { [$0] } ?? [] }) {
      names[address] = found
      if found.isEmpty { logger.error("Failed to find any names associated with IP address \(address)") }
    }
  }

  /// Runs lookups, some at a time. Answers come in the order of the keys.
  private static func each<Key: Sendable>(
    _ keys: [Key], _ lookUp: @escaping @MainActor @Sendable (Key) async -> [String]
  ) async -> [(Key, [String])] {
    await withTaskGroup(of: (Int, [String]).self) { group in
      var answers = [[String]](repeating: [], count: keys.count)
      for (index, key) in keys.enumerated() {
        if index >= concurrentLookups, let (done, found) = await group.next() { answers[done] = found }
        group.addTask { (index, await lookUp(key)) }
      }
      for await (done, found) in group { answers[done] = found }
      return Array(zip(keys, answers))
    }
  }
}
