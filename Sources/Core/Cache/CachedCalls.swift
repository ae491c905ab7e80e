import EventLoop
package import Identity
import OrderedCollections
import Repository
package import XMLRPC

// GetConfig at the price of a static file: the answer that was made for a client is given again as long as nothing that
// it was made from has changed.
extension ServerCore {
  /// The configuration of a client as it stands in an answer: the kept one where it is still right, else a new one.
  ///
  /// - Throws: as `buildConfiguration`.
  func configurationBytes(_ client: ClientName) async throws -> ByteSegments {
    let start = MonotonicTime.now()
    var hasStarted = false
    if let kept = currentAnswer(.configuration(client)) {
      if let metadata = kept.metadata, interfaces.hasRunHooks { await clientRunHook(.start, metadata) }
      if isCurrent(kept) {
        if let metadata = kept.metadata, interfaces.hasRunHooks { await clientRunHook(.end, metadata) }
        noteGenerated(client, MonotonicTime.now() - start)
        return answerCache.give(kept)
      }
      // A hook has changed what the answer is made from.
      hasStarted = true
    }
    let (configuration, metadata) = try await makeConfiguration(client, hasStarted: hasStarted)
    guard let metadata, answerCache.limitBytes > 0 else {
      return WireWriter.configuration(configuration) { _ in nil }
    }
    let document = WireWriter.configuration(configuration) { answerCache.structure(like: $0) }
    // The revision that it was made with may be another by now, too.
    if isCurrent(metadata), isRevisionKnown, configuration["revision"] == revision {
      answerCache.insert(
        AnswerCache.Answer(.configuration(client), document: document, metadata: metadata, revision: revision))
    } else {
      answerCache.remove(.configuration(client))
    }
    return document
  }

  /// The kept configuration of a client, where it can be had without waiting for anything.
  package func configurationNow(_ client: ClientName) -> AnswerCache.Answer? {
    interfaces.hasRunHooks ? nil : currentAnswer(.configuration(client))
  }

  /// The kept probes of a client.
  func probesNow(_ client: ClientName) -> AnswerCache.Answer? {
    currentAnswer(.probes(client), hasRevision: false)
  }

  /// The probes of a client as they stand in an answer, to be given again where nothing else decides which they are.
  func keepProbes(_ probes: Element, _ client: ClientName, _ metadata: ClientMetadata) -> ByteSegments {
    let isCacheable = !metadata.isUncacheable && plugins.values.allSatisfy { $0.allowsCaching(for: metadata) }
    guard isCacheable, answerCache.limitBytes > 0, isCurrent(metadata) else { return WireWriter.document(probes) }
    let document = WireWriter.configuration(probes) { answerCache.structure(like: $0) }
    answerCache.insert(
      AnswerCache.Answer(.probes(client), document: document, metadata: metadata, revision: revision))
    return document
  }

  /// Keeps an answer that another process has made. There are no hooks of a client's run.
  ///
  /// - Parameter generation: this process's when that one was asked.
  package func keep(
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

  /// The kept answer, if it is what would be made now.
  private func currentAnswer(_ key: AnswerKey, hasRevision: Bool = true) -> AnswerCache.Answer? {
    guard let kept = answerCache[key], isCurrent(kept) else { return nil }
    if hasRevision, !interfaces.versions.isEmpty {
      guard isRevisionKnown, kept.revision == revision else { return nil }
    }
    return kept
  }
}
