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
    if !interfaces.versions.isEmpty, let known = answerCache[.configuration(client)], isCurrent(known) {
      await updateRevisionIfNeeded()
    }
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
    let made = try await composeConfiguration(client, hasStarted: hasStarted)
    guard let metadata = made.metadata, made.isCacheable, answerCache.limitBytes > 0 else {
      answerCache.remove(.configuration(client))
      return made.document
    }
    // The revision may have changed while the configuration was built.
    if isCurrent(metadata), isRevisionKnown, made.revision == revision {
      answerCache.insert(
        AnswerCache.Answer(
          .configuration(client), document: made.document, parts: made.parts, metadata: metadata, revision: revision))
    } else {
      answerCache.remove(.configuration(client))
    }
    return made.document
  }

  /// Returns a client's cached configuration if it can be served without waiting.
  package func cachedConfiguration(_ client: ClientName) -> AnswerCache.Answer? {
    interfaces.hasRunHooks ? nil : currentAnswer(.configuration(client))
  }

  /// Returns a client's cached probes.
  func cachedProbes(_ client: ClientName) -> AnswerCache.Answer? {
    currentAnswer(.probes(client), hasRevision: false)
  }

  /// Returns a client's probes as bytes of an answer: those of a part that stands for the client, or new ones.
  ///
  /// - Throws: what the plugins throw.
  func probesBytes(_ metadata: ClientMetadata) async throws -> ByteSegments {
    let root = Element("probes")
    let isKeepable =
      answerCache.limitBytes > 0 && !metadata.isInUse && plugins.values.allSatisfy { $0.allowsCaching(for: metadata) }
    let generation = dropOutdatedParts()
    if isKeepable, let part = await answerCache.part(.probes, metadata, rendering: { _ in nil }) {
      return cacheProbes(WireWriter.configuration(root, ServerCore.inOrder([part])), part, metadata)
    }
    let recorder = isKeepable ? PartRecorder() : nil
    if isKeepable { metadata.isInUse = true }
    metadata.recorder = recorder ?? metadata.recorder
    defer {
      if isKeepable {
        metadata.recorder = nil
        metadata.isInUse = false
      }
    }
    for plugin in interfaces.probing { root.children += try await plugin.getProbes(metadata) }
    guard let recorder, recorder.isKeepable, generation == commonGeneration else { return WireWriter.document(root) }
    // In the order of the plugins: structures are sorted by name, probes are not.
    let structures = root.children.map { probe in
      Part.Structure(name: nil, segments: WireWriter.structure(probe) { answerCache.structure(like: $0) })
    }
    let part = Part(.probes, structures, madeWith: recorder)
    answerCache.countMade(.probes)
    answerCache.insert(part, recorder)
    return cacheProbes(WireWriter.configuration(root, ServerCore.inOrder([part])), part, metadata)
  }

  private func cacheProbes(_ document: ByteSegments, _ part: Part, _ metadata: ClientMetadata) -> ByteSegments {
    guard !metadata.isUncacheable, isCurrent(metadata) else { return document }
    answerCache.insert(
      AnswerCache.Answer(
        .probes(metadata.facts.hostname), document: document, parts: [part], metadata: metadata, revision: revision))
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
    guard answer.metadata != nil else { return answer.generation == generation(of: answer.hostname) }
    return answer.generation == metadataGeneration(of: answer.hostname) && answer.hasCurrentParts
  }

  /// Returns the cached answer if a new one would equal it. After a commit that changed nothing else it gets the new
  /// revision, which stands in a segment of its own.
  private func currentAnswer(_ key: AnswerKey, hasRevision: Bool = true) -> AnswerCache.Answer? {
    guard let cached = answerCache[key], isCurrent(cached) else { return nil }
    guard hasRevision, !interfaces.versions.isEmpty else { return cached }
    guard isRevisionKnown else { return nil }
    if cached.revision == revision { return cached }
    guard let metadata = cached.metadata else { return nil }
    let root = Element("Configuration", ["version": "2.0", "revision": revision])
    let answer = AnswerCache.Answer(
      key, document: WireWriter.configuration(root, ServerCore.inOrder(cached.parts)), parts: cached.parts,
      metadata: metadata, revision: revision)
    answerCache.insert(answer)
    return answer
  }
}
