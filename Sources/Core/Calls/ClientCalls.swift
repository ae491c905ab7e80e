public import Identity
import Logging
import OrderedCollections
public import Repository
import ServerSettings
public import XMLRPC

// The calls of a client's run, in their order.
extension ServerCore {
  /// Records the client's version. It is on disk when this returns.
  public func declareVersion(_ caller: Caller, _ version: String) async throws -> Value {
    try await timed("DeclareVersion") {
      let client = caller.client
      logger.debug("\(client) is running Bcfg2 client version \(version.beginning(bytes: 64))")
      do {
        try settings.require(version.utf8.count, within: ClientCallOptions.standard.versionBytes)
        try await metadata.setVersion(client, version)
      } catch
        where error is MetadataConsistencyError || error is MetadataRuntimeError || error is LimitExceeded
      {
        throw criticalError("Unable to set version for \(client): \(error)", cause: error)
      }
      return .bool(true)
    }
  }

  /// The probes of every Probing plugin: `<probes>` with `<probe>` elements.
  public func getProbes(_ caller: Caller) async throws -> Value {
    try requireRepository()
    let client = caller.client
    return try await withConsistentRepository {
      let metadata = try await metadataWithinAnswer(of: caller)
      logger.debug("Getting probes for \(client)")
      do {
        let probes = try await probesBytes(metadata)
        logger.debug("Sending probe list to \(client)")
        return .escaped(probes)
      } catch {
        throw criticalError("Error determining probes for \(client): \(error)", cause: error)
      }
    }
  }

  /// Receives probe data and passes each plugin the elements whose `source` names it. They are on disk when this
  /// returns. What says the same as before outdates nothing.
  public func recvProbeData(_ caller: Caller, _ text: String) async throws -> Value {
    let client = caller.client
    let metadata = try await metadata(of: caller)
    logger.debug("Receiving probe data from \(client)")
    let document: Element
    do {
      document = try ClientDocument.parse(text)
    } catch {
      throw criticalError("Failed to parse probe data from client \(client): \(error)", cause: error)
    }
    var sources: [String] = []
    var seen = NameSet()
    var logBudget = RequestLogBudget()
    for item in document.children {
      let source = item["source"] ?? "None"
      guard seen.insert(source).inserted else { continue }
      guard plugins[source] != nil else {
        if logBudget.admit() {
          logger.warning("Failed to locate plugin \(source.beginning(bytes: RequestLogBudget.nameBytes))")
        }
        continue
      }
      sources.append(source)
    }
    if logBudget.suppressedCount > 0 { logger.warning("Failed to locate \(logBudget.suppressedCount) more plugins") }
    for source in sources {
      do {
        guard let plugin = plugins[source] as? any Probing else {
          throw PluginExecutionError("'\(source)' object has no attribute 'ReceiveData'")
        }
        try await plugin.receiveData(
          metadata, document.children.filter { Name.areSame($0["source"] ?? "None", source) })
        if !plugin.reportsChanges { expireMetadataCache(client) }
      } catch {
        throw criticalError("Failed to process probe data from client \(client): \(error)", cause: error)
      }
    }
    return .bool(true)
  }

  /// Sets the client's profile. It is on disk when this returns.
  public func assertProfile(_ caller: Caller, _ profile: String) async throws -> Value {
    let client = caller.client
    logger.debug("\(client) sets its profile to \(profile)")
    do {
      try await metadata.setProfile(
        client, profile, address: caller.gaveName ? caller.address : nil, requirePublic: true)
    } catch  where error is MetadataConsistencyError || error is MetadataRuntimeError {
      throw criticalError("Unable to assert profile for \(client): \(error)", cause: error)
    }
    return .bool(true)
  }

  /// The configuration of the client.
  public func getConfig(_ caller: Caller) async throws -> Value {
    try requireRepository()
    let client = caller.client
    for plugin in interfaces.fetching where plugin.isFetching {
      await CallCost.waiting(for: .packages) { await plugin.waitForData(of: client) }
    }
    do {
      return .escaped(try await renderConfiguration(client))
    } catch let error as MetadataConsistencyError {
      throw criticalError("Metadata consistency failure for \(client)", cause: error)
    } catch let error as MetadataRuntimeError {
      throw criticalError("Metadata system runtime failure for \(caller.address.ip): \(error)", cause: error)
    }
  }

  /// Receives the statistics of a run.
  public func recvStats(_ caller: Caller, _ text: String) async throws -> Value {
    _ = try await metadata(of: caller)
    try await processStatistics(caller.client, ClientDocument.parse(text))
    return .bool(true)
  }

  /// Passes statistics to every Statistics plugin, logs the state that the client reported, and runs the hooks.
  ///
  /// - Throws: a `Fault` if a plugin that keeps them could not bring them to disk (`StatisticsNotKept`).
  public func processStatistics(_ client: ClientName, _ document: Element) async throws {
    logger.debug("Processing statistics for \(client)")
    let metadata = try await buildMetadata(client)
    guard let state = document.descendants(tagged: "Statistics").first else {
      throw ParameterError("'NoneType' object has no attribute 'get'")
    }
    var lost: StatisticsNotKept?
    if let version = state["version"], version >= "2.0" {
      for plugin in interfaces.statistics {
        do {
          try await plugin.processStatistics(metadata, document)
        } catch let error as StatisticsNotKept {
          lost = error
        } catch {
          logger.error("Plugin \(plugin.name) failed to process stats from \(metadata.hostname): \(error)")
        }
      }
    }
    logger.info("Client \(client) reported state \((state["state"] ?? "None").beginning(bytes: 64))")
    await clientRunHook(.statistics, metadata)
    if let lost { throw criticalError("Statistics of \(client) are not kept: \(lost)", cause: lost) }
  }

  /// Returns the client's decision list: what it may (whitelist) or may not (blacklist) install.
  public func getDecisionList(_ caller: Caller, mode: String) async throws -> Value {
    try requireRepository()
    return try await withConsistentRepository {
      let metadata = try await metadataWithinAnswer(of: caller)
      return .array(
        await getDecisions(metadata, mode: mode).map { pair in
          .array([pair.tag, pair.name].map { $0.map { .string($0) } ?? .nil })
        })
    }
  }

  /// Returns the decisions of every Decision plugin, and logs those that fail.
  public func getDecisions(_ metadata: ClientMetadata, mode: String) async -> [(tag: String?, name: String?)] {
    logger.debug("Getting decision list for \(metadata.hostname)")
    var decisions: [(tag: String?, name: String?)] = []
    for plugin in interfaces.decisions {
      do {
        decisions += try await plugin.getDecisions(metadata, mode: mode)
      } catch {
        logger.error("Plugin: \(plugin.name) failed to generate decision list: \(error)")
      }
    }
    return decisions
  }
}
