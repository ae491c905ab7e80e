public import Core
public import Identity
public import XMLRPC

/// Questions about all clients, as templates ask them by `metadata.query`: nothing can be changed through it.
///
/// `names(inAll:)` wants every group, `names(withProfiles:)` any of the profiles. Both build the metadata of every
/// client, so that groups of connectors count: their time grows with the number of clients.
///
/// Source of the questions: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Metadata.py, MetadataQuery.
public struct MetadataQuery {
  unowned let metadata: MetadataPlugin

  /// `by_name`: the metadata of one client, with what connectors add.
  public func client(_ name: ClientName) async throws -> ClientMetadata { try await metadata.core.buildMetadata(name) }

  /// `all_clients`: names of all clients, in the order of clients.xml.
  public func allClients() async -> [ClientName] { await metadata.listClients() }

  /// `all_groups`: names of all groups that groups.xml, clients.xml or a connector speaks of.
  public func allGroups() -> NameSet {
    var names = NameSet(metadata.groups.keys)
    names.formUnion(metadata.rules.memberships.positions.keys)
    names.formUnion(metadata.rules.removals.positions.keys)
    for client in metadata.clients.ordered { names.formUnion(client.profiles.lazy.compactMap { $0 }) }
    return names
  }

  /// `all_groups_in_category`.
  public func allGroups(inCategory category: String) -> NameSet {
    NameSet(
      metadata.groups.values.lazy.filter { $0.category.map { Name.areSame($0, category) } ?? false }.map(\.name))
  }

  /// `names_by_groups`: clients that are in every one of the groups.
  public func names(inAll groups: some Collection<String>) async throws -> [ClientName] {
    try await clients { $0.groups.isSuperset(of: groups) }.map(\.hostname)
  }

  /// `names_by_profiles`: clients whose profile is one of these.
  public func names(withProfiles profiles: some Collection<String>) async throws -> [ClientName] {
    let profiles = NameSet(profiles)
    return try await clients { $0.profile.map(profiles.contains) ?? false }.map(\.hostname)
  }

  /// `by_groups`: metadata of the clients that are in every one of the groups.
  public func clients(inAll groups: some Collection<String>) async throws -> [ClientMetadata] {
    try await clients { $0.groups.isSuperset(of: groups) }
  }

  /// `by_profiles`: metadata of the clients whose profile is one of these.
  public func clients(withProfiles profiles: some Collection<String>) async throws -> [ClientMetadata] {
    let profiles = NameSet(profiles)
    return try await clients { $0.profile.map(profiles.contains) ?? false }
  }

  /// `all`: metadata of all clients.
  public func all() async throws -> [ClientMetadata] { try await clients { _ in true } }

  /// `metadata.group_in_category`: the client's group of a category; empty where it has none.
  public func group(of client: ClientMetadata, inCategory category: String) -> String {
    allGroups(inCategory: category).intersection(client.groups).min() ?? ""
  }

  private func clients(where isWanted: (ClientMetadata) -> Bool) async throws -> [ClientMetadata] {
    var found: [ClientMetadata] = []
    for name in await metadata.listClients() {
      let client = try await metadata.core.buildMetadata(name)
      if isWanted(client) { found.append(client) }
    }
    return found
  }
}
