import Identity
package import Repository
package import XMLRPC

/// Identifies a cached answer: the call and its client.
nonisolated enum AnswerKey: Hashable {
  /// GetConfig.
  case configuration(ClientName)
  /// GetProbes.
  case probes(ClientName)
}

/// Caches answers by call and client and drops the least recently used first.
///
/// An answer is a list of structures. Clients with identical structures share one copy; file contents belong to the
/// repository. The bound counts only bytes that the cache alone holds.
package final class AnswerCache {
  /// One answer and the generation it was made from.
  package final class Answer {
    let key: AnswerKey
    let document: ByteSegments
    /// The XML-RPC response with the document, encoded at first use.
    fileprivate(set) lazy var response = MethodResponse.encode(.escaped(document))
    /// The generation of `hostname`, the canonical name.
    let generation: AnswerGeneration?
    let hostname: ClientName
    /// Passed to the hooks of a client's run; nil for an answer of another process, which has no hooks.
    let metadata: ClientMetadata?
    let revision: String
    // `answers` owns all of them.
    fileprivate unowned(unsafe) var newer: Answer?
    fileprivate unowned(unsafe) var older: Answer?

    init(_ key: AnswerKey, document: ByteSegments, metadata: ClientMetadata, revision: String) {
      self.key = key
      self.document = document
      self.metadata = metadata
      generation = metadata.generation
      hostname = metadata.hostname
      self.revision = revision
    }

    /// A configuration made by another process, for a client by its canonical name.
    init(configurationOf client: ClientName, document: ByteSegments, generation: AnswerGeneration, revision: String) {
      key = .configuration(client)
      self.document = document
      self.generation = generation
      self.revision = revision
      hostname = client
      metadata = nil
    }
  }

  /// Bytes of an answer beside its structures: its list of them, metadata, table entries. Measured, rounded up.
  static let answerBytes = 2048

  /// The most bytes to hold; 0 caches nothing.
  package var limitBytes: Int { didSet { shrink() } }
  /// Bytes held for answers alone.
  private(set) var heldBytes = 0
  /// Number of answers served from the cache.
  private(set) var hits = 0
  private var answers: [AnswerKey: Answer] = [:]
  private var newest: Answer?
  private var oldest: Answer?
  private var structures = StructureTable()

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  var count: Int { answers.count }
  /// Number of different structures in all answers.
  var structureCount: Int { structures.count }

  /// The answer made last, current or not.
  subscript(_ key: AnswerKey) -> Answer? { answers[key] }

  /// The structure with the same bytes in another answer; nil if there is none.
  package func structure(like draft: borrowing StructureDraft) -> SharedSegments? { structures.find(draft) }

  /// Stores an answer and replaces the older one to the same call.
  func insert(_ answer: Answer) {
    remove(answer.key)
    guard limitBytes > 0 else { return }
    answers[answer.key] = answer
    heldBytes += Self.cost(answer)
    for case .shared(let shared) in answer.document.parts { heldBytes += structures.hold(shared) }
    append(answer)
    shrink()
  }

  /// Removes all answers to a client.
  func removeAll(of client: ClientName) {
    remove(.configuration(client))
    remove(.probes(client))
  }

  /// Removes one answer.
  func remove(_ key: AnswerKey) {
    guard let answer = answers.removeValue(forKey: key) else { return }
    unlink(answer)
    heldBytes -= Self.cost(answer)
    for case .shared(let shared) in answer.document.parts { heldBytes -= structures.release(shared) }
  }

  /// Removes everything.
  func removeAll() {
    while let oldest { remove(oldest.key) }
  }

  /// Returns the document of an answer and marks it most recently used.
  package func serve(_ answer: Answer) -> ByteSegments {
    hits += 1
    if newest !== answer {
      unlink(answer)
      append(answer)
    }
    return answer.document
  }

  /// As `serve`, wrapped as an XML-RPC response.
  func serveResponse(_ answer: Answer) -> ByteSegments {
    _ = serve(answer)
    return answer.response
  }

  private func shrink() {
    while heldBytes > limitBytes, let oldest { remove(oldest.key) }
  }

  private static func cost(_ answer: Answer) -> Int {
    // Two lists of the same segments: the answer's, and its response's, which copies short ones.
    answer.document.parts.reduce(answerBytes + 32 * answer.document.parts.count) { sum, part in
      if case .bytes(let bytes) = part { return sum + 2 * (bytes.count + 32) }
      return sum
    }
  }

  // MARK: Order of use

  private func append(_ answer: Answer) {
    answer.older = newest
    answer.newer = nil
    newest?.newer = answer
    newest = answer
    if oldest == nil { oldest = answer }
  }

  private func unlink(_ answer: Answer) {
    if let older = answer.older { older.newer = answer.newer } else { oldest = answer.newer }
    if let newer = answer.newer { newer.older = answer.older } else { newest = answer.older }
    answer.newer = nil
    answer.older = nil
  }
}

/// The structures of cached answers by their bytes, with the number of answers that hold each.
private struct StructureTable {
  private struct Entry {
    let bytes: Int
    var holders: Int
  }

  private var byHash: [UInt64: [SharedSegments]] = [:]
  private var entries: [ObjectIdentifier: Entry] = [:]

  var count: Int { entries.count }

  func find(_ draft: borrowing StructureDraft) -> SharedSegments? {
    guard let known = byHash[draft.hash] else { return nil }
    for shared in known where draft.isEqual(to: shared) { return shared }
    return nil
  }

  /// Returns the bytes newly held.
  mutating func hold(_ shared: SharedSegments) -> Int {
    let key = ObjectIdentifier(shared)
    if entries[key] != nil {
      entries[key]?.holders += 1
      return 0
    }
    // An array's header and a reference for each segment.
    let bytes = shared.ownBytes + 40 * shared.segments.count
    entries[key] = Entry(bytes: bytes, holders: 1)
    byHash[shared.hash, default: []].append(shared)
    return bytes
  }

  /// Returns the bytes no longer held.
  mutating func release(_ shared: SharedSegments) -> Int {
    let key = ObjectIdentifier(shared)
    guard let entry = entries[key] else { return 0 }
    if entry.holders > 1 {
      entries[key]?.holders -= 1
      return 0
    }
    entries[key] = nil
    byHash[shared.hash]?.removeAll { $0 === shared }
    if byHash[shared.hash]?.isEmpty == true { byHash[shared.hash] = nil }
    return entry.bytes
  }
}
