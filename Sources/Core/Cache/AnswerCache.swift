import Identity
package import Repository
package import XMLRPC

/// What an answer is to: a call of a client.
nonisolated enum AnswerKey: Hashable {
  /// GetConfig.
  case configuration(ClientName)
  /// GetProbes.
  case probes(ClientName)
}

/// Answers that may be given again, by call and client, the least recently used dropped first.
///
/// An answer is its structures; a structure that came out the same for several clients is held once, and file contents
/// are those of the repository. The bound counts what is held for answers alone.
package final class AnswerCache {
  /// One answer and what it was made from.
  package final class Answer {
    let key: AnswerKey
    let document: ByteSegments
    /// The XML-RPC response with the document, made when it is first given.
    fileprivate(set) lazy var response = MethodResponse.encode(.escaped(document))
    /// What it was made from, and whose generation that is: the canonical name.
    let generation: AnswerGeneration?
    let hostname: ClientName
    /// For the hooks of a client's run; nil where it was made elsewhere, and there are none.
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

    /// A configuration that another process has made, for a client by its canonical name.
    init(configurationOf client: ClientName, document: ByteSegments, generation: AnswerGeneration, revision: String) {
      key = .configuration(client)
      self.document = document
      self.generation = generation
      self.revision = revision
      hostname = client
      metadata = nil
    }
  }

  /// What an answer costs beside its structures: its list of them, metadata, table entries. Measured, rounded up.
  static let answerBytes = 2048

  /// The most bytes that are held; 0 keeps nothing.
  package var limitBytes: Int { didSet { shrink() } }
  /// Bytes that are held for answers alone.
  private(set) var heldBytes = 0
  /// How many times a kept answer was given.
  private(set) var given = 0
  private var answers: [AnswerKey: Answer] = [:]
  private var newest: Answer?
  private var oldest: Answer?
  private var structures = StructureTable()

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  var count: Int { answers.count }
  /// Different structures of all answers.
  var structureCount: Int { structures.count }

  /// The answer that was made last, whether or not it is still right.
  subscript(_ key: AnswerKey) -> Answer? { answers[key] }

  /// The structure with the same bytes that another answer holds; nil where there is none.
  package func structure(like draft: borrowing StructureDraft) -> SharedSegments? { structures.find(draft) }

  /// Keeps an answer in place of the older one to the same call.
  func insert(_ answer: Answer) {
    remove(answer.key)
    guard limitBytes > 0 else { return }
    answers[answer.key] = answer
    heldBytes += Self.cost(answer)
    for case .shared(let shared) in answer.document.parts { heldBytes += structures.hold(shared) }
    append(answer)
    shrink()
  }

  /// Forgets all answers to a client.
  func removeAll(of client: ClientName) {
    remove(.configuration(client))
    remove(.probes(client))
  }

  /// Forgets an answer.
  func remove(_ key: AnswerKey) {
    guard let answer = answers.removeValue(forKey: key) else { return }
    unlink(answer)
    heldBytes -= Self.cost(answer)
    for case .shared(let shared) in answer.document.parts { heldBytes -= structures.release(shared) }
  }

  /// Forgets everything.
  func removeAll() {
    while let oldest { remove(oldest.key) }
  }

  /// Gives an answer: it is now the last to be dropped.
  package func give(_ answer: Answer) -> ByteSegments {
    given += 1
    if newest !== answer {
      unlink(answer)
      append(answer)
    }
    return answer.document
  }

  /// As `give`, with what XML-RPC puts around the answer.
  func giveResponse(_ answer: Answer) -> ByteSegments {
    _ = give(answer)
    return answer.response
  }

  private func shrink() {
    while heldBytes > limitBytes, let oldest { remove(oldest.key) }
  }

  private static func cost(_ answer: Answer) -> Int {
    // Two lists of the same segments: the answer's and that of its response, which copies what is short.
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

/// The structures of kept answers by their bytes, with the number of answers that hold each.
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

  /// Returns the bytes that are held now and were not before.
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

  /// Returns the bytes that are not held any more.
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
