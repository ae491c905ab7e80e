public import Identity
import Logging
import ServerSettings
import XMLRPC

extension ServerCore {
  /// Returns a client's metadata: the Metadata plugin's, augmented by every Connector, or the cached object, of which
  /// there is a copy while a configuration is made with it: that one records all that is asked of it.
  ///
  /// - Throws: `Fault` if the client's metadata contradicts itself; `MetadataRuntimeError` if it was not read.
  public func buildMetadata(_ client: ClientName) async throws -> ClientMetadata {
    try await timed("build_metadata") {
      guard let source = self.metadata else { throw MetadataRuntimeError("Metadata not loaded yet") }
      if metadataCacheMode != .initial, let cached = metadataCache[client], isCurrent(cached) {
        metadataUses += 1
        logger.debug("Using cached metadata object for \(client)")
        return cached.isInUse ? cached.copy() : cached
      }
      metadataBuilds += 1
      let (common, clients) = (commonGeneration, clientsGeneration)
      logger.debug("Building metadata for \(client)")
      let metadata: ClientMetadata
      do {
        metadata = try await source.initialMetadata(client)
      } catch let error as MetadataConsistencyError {
        throw criticalError("Client metadata resolution error for \(client): \(error)", cause: error)
      }
      // Under the canonical name: the caller may have used an alias.
      metadata.generation = AnswerGeneration(
        repository: common, clients: clients, client: generation(of: metadata.hostname).client)
      for connector in interfaces.connectors {
        let groups = try await connector.additionalGroups(metadata)
        for case .defined(let group) in groups { define(group, by: connector.name) }
        source.mergeAdditionalGroups(metadata, groups.map(\.name))
      }
      for connector in interfaces.connectors {
        let data = try await connector.additionalData(metadata) ?? NoConnectorData()
        source.mergeAdditionalData(metadata, source: connector.name, data: data)
      }
      source.metadataIsComplete(metadata)
      if metadataCacheMode == .cautious || metadataCacheMode == .aggressive {
        metadataCache[client] = metadata
      }
      return metadata
    }
  }

  /// Whether nothing has changed that the metadata, or an answer made with it, depends on.
  package func isCurrent(_ metadata: ClientMetadata) -> Bool {
    metadata.generation == metadataGeneration(of: metadata.facts.hostname)
  }

  /// Whether nothing has changed that a configuration is made from.
  package func isCurrent(_ made: Composition) -> Bool {
    made.metadata.map { isCurrent($0) } ?? false && made.parts.allSatisfy(\.isCurrent)
  }

  /// Adds a group that a connector defines, unless groups.xml or another connector has one of that name.
  private func define(_ group: MetadataGroup, by connector: String) {
    if let owner = dynamicGroups[group.name] {
      if owner == connector {
        guard metadata.groups[group.name] != group else { return }
        metadata.groups[group.name] = group
        groupsChangedByAnswer()
      } else {
        logger.warning("Refusing to clobber dynamic group \(group.name) defined by \(owner)")
      }
    } else if metadata.groups[group.name] != nil {
      logger.warning("Refusing to clobber predefined group \(group.name)")
    } else {
      metadata.groups[group.name] = group
      dynamicGroups[group.name] = connector
      // Other clients may be in a group of that name, which has a category now.
      groupsChangedByAnswer()
    }
  }

  /// Returns the metadata of the calling client.
  ///
  /// - Throws: `Fault` if it cannot be built.
  public func metadata(of caller: Caller) async throws -> ClientMetadata {
    try await withConsistentRepository { try await metadataWithinAnswer(of: caller) }
  }

  /// As `metadata(of:)`, inside `withConsistentRepository`.
  func metadataWithinAnswer(of caller: Caller) async throws -> ClientMetadata {
    do {
      return try await buildMetadata(caller.client)
    } catch let error as MetadataConsistencyError {
      throw criticalError("Client metadata resolution error for \(caller.address.ip): \(error)", cause: error)
    } catch let error as MetadataRuntimeError {
      throw criticalError("Metadata system runtime failure for \(caller.address.ip): \(error)", cause: error)
    }
  }

  /// Refuses to issue keys or certificates to a client that registered itself under a name of another client, or under a
  /// number that is not its address: others trust it by that name.
  ///
  /// - Throws: `PluginExecutionError`.
  package func requireOwnName(_ client: ClientName) async throws {
    // Clients cannot register without a Metadata plugin.
    guard let source = metadata, !HostNames.isOwn(client, among: await source.listKnownClients()) else { return }
    throw PluginExecutionError(
      "\(client) registered itself under a name of another client, or an address: it gets no key or certificate")
  }
}
