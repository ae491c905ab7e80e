import EventLoop
package import Identity
import OrderedCollections
import Repository
package import XMLRPC

// Serves GetConfig at the price of a static file: the cached answer stays valid until something that it was made from
// changes.
extension ServerCore {
  /// Returns a client's configuration as bytes of an answer: the cached one if it is current, else a new one.
  ///
  /// - Throws: as `buildConfiguration`.
  func configurationBytes(_ client: ClientName) async throws -> ByteSegments {
    let start = MonotonicTime.now()
    var hasStarted = false
    if let cached = currentAnswer(.configuration(client)) {
      if let metadata = cached.metadata, interfaces.hasRunHooks { await clientRunHook(.start, metadata) }
      if isCurrent(cached) {
        if let metadata = cached.metadata, interfaces.hasRunHooks { await clientRunHook(.end, metadata) }
        recordGeneration(client, MonotonicTime.now() - start)
        return answerCache.serve(cached)
      }
      // A hook changed the state that the answer was made from.
      hasStarted = true
    }
    let (configuration, metadata) = try await makeConfiguration(client, hasStarted: hasStarted)
    guard let metadata, answerCache.limitBytes > 0 else {
      return WireWriter.configuration(configuration) { _ in nil }
    }
    let document = WireWriter.configuration(configuration) { answerCache.structure(like: $0) }
    // The revision may have changed while the configuration was built.
    if isCurrent(metadata), isRevisionKnown, configuration["revision"] == revision {
      answerCache.insert(
        AnswerCache.Answer(.configuration(client), document: document, metadata: metadata, revision: revision))
    } else {
      answerCache.remove(.configuration(client))
    }
    return document
  }

  /// Returns a client's cached configuration if it can be served without waiting.
  package func cachedConfiguration(_ client: ClientName) -> AnswerCache.Answer? {
    interfaces.hasRunHooks ? nil : currentAnswer(.configuration(client))
  }

  /// Returns a client's cached probes.
  func cachedProbes(_ client: ClientName) -> AnswerCache.Answer? {
    currentAnswer(.probes(client), hasRevision: false)
  }

  /// Returns a client's probes as bytes of an answer, and caches them if nothing else decides which they are.
  func cacheProbes(_ probes: Element, _ client: ClientName, _ metadata: ClientMetadata) -> ByteSegments {
    let isCacheable = !metadata.isUncacheable && plugins.values.allSatisfy { $0.allowsCaching(for: metadata) }
    guard isCacheable, answerCache.limitBytes > 0, isCurrent(metadata) else { return WireWriter.document(probes) }
    let document = WireWriter.configuration(probes) { answerCache.structure(like: $0) }
    answerCache.insert(
      AnswerCache.Answer(.probes(client), document: document, metadata: metadata, revision: revision))
    return document
  }

  /// Caches an answer that another process made. Clients' runs have no hooks then.
  ///
  /// - Parameter generation: this process's generation when it sent the request.
  package func cacheConfiguration(
    _ document: ByteSegments, _ client: ClientName, madeFrom generation: AnswerGeneration, revision made: String
  ) async {
    await updateRevisionIfNeeded()
    guard generation == self.generation(of: client), isRevisionKnown, made == revision else {
      return answerCache.remove(.configuration(client))
    }
    answerCache.insert(
      AnswerCache.Answer(configurationOf: client, document: document, generation: generation, revision: made))
  }

  private func isCurrent(_ answer: AnswerCache.Answer) -> Bool {
    answer.generation == generation(of: answer.hostname)
  }

  /// Returns the cached answer if a new one would equal it.
  private func currentAnswer(_ key: AnswerKey, hasRevision: Bool = true) -> AnswerCache.Answer? {
    guard let cached = answerCache[key], isCurrent(cached) else { return nil }
    if hasRevision, !interfaces.versions.isEmpty {
      guard isRevisionKnown, cached.revision == revision else { return nil }
    }
    return cached
  }
}
