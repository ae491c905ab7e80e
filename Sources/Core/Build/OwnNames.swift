package import Identity

extension ServerCore {
  /// Refuses to make what others trust a client for by its name, such as a certificate, where the client registered itself
  /// under a name of another client, or under a number that is not its address.
  ///
  /// - Throws: `PluginExecutionError`.
  package func requireOwnName(_ client: ClientName) async throws {
    // Without a Metadata plugin nobody registers.
    guard let source = metadata, !HostNames.isOwn(client, among: await source.listKnownClients()) else { return }
    throw PluginExecutionError(
      "\(client) registered itself under a name of another client, or an address: what vouches for it is not made")
  }
}
