import Identity
package import Repository
import Templates
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
/// An answer is made of parts. Parts are kept for other answers too, also where no answer holds them any more: what was used
/// least recently goes first. Parts with identical structures share one copy; file contents belong to the repository. The
/// bound counts only bytes that the cache alone holds.
package final class AnswerCache {
  /// One answer and the generation it was made from.
  package final class Answer {
    let key: AnswerKey
    let document: ByteSegments
    /// What it is made of; none for an answer of another process.
    let parts: [Part]
    /// The XML-RPC response with the document, encoded at first use.
    fileprivate(set) lazy var response = MethodResponse.encode(.escaped(document))
    /// The generation of `hostname`, the canonical name.
    let generation: AnswerGeneration?
    let hostname: ClientName
    /// Passed to the hooks of a client's run; nil for an answer of another process, which has no hooks.
    let metadata: ClientMetadata?
    let revision: String
    /// When it was used last, as the cache counts.
    fileprivate(set) var usedAt: UInt64 = 0
    /// The clock of inputs when its parts were compared last.
    private var checkedAt: UInt64 = 0
    private var isOutdated = false
    // `answers` owns all of them.
    fileprivate unowned(unsafe) var newer: Answer?
    fileprivate unowned(unsafe) var older: Answer?

    init(_ key: AnswerKey, document: ByteSegments, parts: [Part], metadata: ClientMetadata, revision: String) {
      self.key = key
      self.document = document
      self.parts = parts
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
      parts = []
      hostname = client
      metadata = nil
    }

    /// Whether nothing has changed that its parts are made from.
    var hasCurrentParts: Bool {
      if checkedAt != BuildInput.clock {
        checkedAt = BuildInput.clock
        if !isOutdated { isOutdated = !parts.allSatisfy(\.isCurrent) }
      }
      return !isOutdated
    }
  }

  /// Bytes of an answer beside its structures: its list of them, metadata, table entries. Measured, rounded up.
  static let answerBytes = 2048

  /// The most bytes to hold; 0 caches nothing.
  package var limitBytes: Int { didSet { shrink() } }
  /// Bytes held for answers alone.
  package private(set) var heldBytes = 0
  /// Number of configurations and of probes served from the cache.
  package private(set) var configurationHits = 0
  package private(set) var probesHits = 0
  var hits: Int { configurationHits + probesHits }
  private var answers: [AnswerKey: Answer] = [:]
  private var newest: Answer?
  private var oldest: Answer?
  private var structures = StructureTable()
  private let parts = PartTable()
  /// Parts that no answer holds, in the order of their last use.
  private var newestIdle: Part?
  private var oldestIdle: Part?
  private var uses: UInt64 = 0
  /// Parts that were inserted since outdated ones were sought.
  private var insertions = 0
  /// The results of templates. Their contents are counted there as long as they are kept.
  weak var renderings: RenderingCache?
  /// Held parts by the kept results that they were made with.
  private var rendered: [ObjectIdentifier: [ObjectIdentifier: Part]] = [:]
  /// False: answers are not kept, their parts are.
  package var keepsAnswers = true
  /// What was made, used again and dropped since the start, by kind.
  package private(set) var counts: [Part.Kind: Counts] = [:]

  /// Numbers of parts.
  package struct Counts: Equatable {
    package var made = 0
    package var used = 0
    package var dropped = 0
  }

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  package var count: Int { answers.count }
  /// Number of different structures in all answers.
  var structureCount: Int { structures.count }
  /// Number of parts that can be used again.
  package var partCount: Int { parts.count }

  /// The answer made last, current or not.
  subscript(_ key: AnswerKey) -> Answer? { answers[key] }

  /// The structure with the same bytes in another answer; nil if there is none.
  package func structure(like draft: borrowing StructureDraft) -> SharedSegments? { structures.find(draft) }

  /// Stores an answer and replaces the older one to the same call.
  func insert(_ answer: Answer) {
    remove(answer.key)
    guard limitBytes > 0, keepsAnswers else { return }
    answers[answer.key] = answer
    heldBytes += Self.cost(answer)
    if answer.parts.isEmpty {
      for case .shared(let shared) in answer.document.parts { heldBytes += structures.hold(shared) }
    }
    for part in answer.parts {
      hold(part)
      part.holders += 1
      unlist(part)
    }
    append(answer)
    shrink()
  }

  // MARK: Parts

  /// Returns the part that stands for a client; nil if it has to be made.
  func part(
    _ key: PartKey, _ metadata: ClientMetadata, rendering: (RenderingCache.Key) async -> AnyObject?
  ) async -> Part? {
    guard let found = await parts.find(key, metadata, rendering: rendering, outdated: { drop($0) }) else { return nil }
    countUse(found)
    if found.holders == 0, found.isListed {
      unlist(found)
      list(found)
    }
    return found
  }

  /// Counts a part that is used again.
  func countUse(_ part: Part) { counts[part.key.kind, default: Counts()].used += 1 }

  /// Keeps a part with the questions that were asked for it.
  func insert(_ part: Part, _ recorder: PartRecorder) {
    // Nobody finds a part where the result of a template is gone.
    guard limitBytes > 0, hasKeptRenderings(part) else { return }
    parts.insert(part, recorder.trace) { discard($0) }
    part.keptBytes = part.ownBytes + recorder.trace.count * PartTable.questionBytes
    heldBytes += part.keptBytes
    hold(part)
    list(part)
    insertions += 1
    if insertions > max(64, parts.count / 2) { dropOutdatedIdleParts() }
    shrink()
  }

  /// Drops parts that nobody has and nobody can use: they may hold contents of files as they were before.
  private func dropOutdatedIdleParts() {
    insertions = 0
    var next = oldestIdle
    while let part = next {
      next = part.newer
      if !part.isCurrent { drop(part) }
    }
  }

  /// Counts a part that was made, to be kept or not.
  func countMade(_ key: PartKey) { counts[key.kind, default: Counts()].made += 1 }

  /// Counts the structures of a part, once, as long as the table or an answer has it.
  private func hold(_ part: Part) {
    guard !part.isHeld else { return }
    part.isHeld = true
    for structure in part.structures { heldBytes += structures.hold(structure.segments) }
    guard hasKeptRenderings(part) else { return countContents(of: part) }
    for value in part.renderings ?? [] { rendered[value, default: [:]][ObjectIdentifier(part)] = part }
  }

  private func hasKeptRenderings(_ part: Part) -> Bool {
    part.renderings?.allSatisfy { renderings?.holds($0) ?? true } ?? false
  }

  /// Counts contents that stay in memory for a part alone.
  private func countContents(of part: Part) {
    guard part.contentBytes == 0 else { return }
    part.contentBytes = part.structures.reduce(0) { $0 + $1.segments.count - $1.segments.ownBytes }
    heldBytes += part.contentBytes
  }

  /// The result of a template is not kept any more. Parts that were made with it are not found again, and where answers have
  /// them their contents are held for these answers alone.
  func renderingForgotten(_ value: ObjectIdentifier) {
    guard let concerned = rendered.removeValue(forKey: value) else { return }
    for part in concerned.values {
      countContents(of: part)
      if part.place != nil { drop(part) }
    }
    shrink()
  }

  private func releaseStructures(of part: Part) {
    guard part.isHeld, part.holders == 0, part.place == nil else { return }
    part.isHeld = false
    for structure in part.structures { heldBytes -= structures.release(structure.segments) }
    heldBytes -= part.contentBytes
    part.contentBytes = 0
    guard let made = part.renderings, !made.isEmpty else { return }
    part.renderings = nil
    for value in made {
      rendered[value]?[ObjectIdentifier(part)] = nil
      if rendered[value]?.isEmpty == true { rendered[value] = nil }
    }
  }

  /// Drops all parts. Answers keep theirs.
  func removeAllParts() { parts.removeAll { discard($0) } }

  private func drop(_ part: Part) {
    parts.remove(part)
    discard(part)
  }

  /// Accounts for a part that the table has no longer.
  private func discard(_ part: Part) {
    counts[part.key.kind, default: Counts()].dropped += 1
    unlist(part)
    heldBytes -= part.keptBytes
    part.keptBytes = 0
    releaseStructures(of: part)
  }

  private func release(_ part: Part, _ answer: Answer, isOldest: Bool) {
    part.holders -= 1
    guard part.holders == 0 else { return }
    guard part.place != nil else { return releaseStructures(of: part) }
    list(part, at: isOldest ? answer.usedAt : nil)
  }

  /// - Parameter time: of its last use, before that of all others in the list; nil: now.
  private func list(_ part: Part, at time: UInt64? = nil) {
    part.isListed = true
    if let time {
      part.usedAt = time
      part.older = nil
      part.newer = oldestIdle
      oldestIdle?.older = part
      oldestIdle = part
      if newestIdle == nil { newestIdle = part }
      return
    }
    uses += 1
    part.usedAt = uses
    part.newer = nil
    part.older = newestIdle
    newestIdle?.newer = part
    newestIdle = part
    if oldestIdle == nil { oldestIdle = part }
  }

  private func unlist(_ part: Part) {
    guard part.isListed else { return }
    part.isListed = false
    let (newer, older) = (part.newer, part.older)
    if let older { older.newer = newer } else { oldestIdle = newer }
    if let newer { newer.older = older } else { newestIdle = older }
    part.newer = nil
    part.older = nil
  }

  // MARK: Answers

  /// Removes all answers to a client.
  func removeAll(of client: ClientName) {
    remove(.configuration(client))
    remove(.probes(client))
  }

  /// Removes one answer.
  func remove(_ key: AnswerKey) { remove(key, isOldest: false) }

  private func remove(_ key: AnswerKey, isOldest: Bool) {
    guard let answer = answers.removeValue(forKey: key) else { return }
    unlink(answer)
    heldBytes -= Self.cost(answer)
    if answer.parts.isEmpty {
      for case .shared(let shared) in answer.document.parts { heldBytes -= structures.release(shared) }
    }
    for part in answer.parts { release(part, answer, isOldest: isOldest) }
  }

  /// Removes everything.
  func removeAll() {
    while let oldest { remove(oldest.key) }
    removeAllParts()
  }

  /// Returns the document of an answer and marks it most recently used.
  package func serve(_ answer: Answer) -> ByteSegments {
    switch answer.key {
    case .configuration: configurationHits += 1
    case .probes: probesHits += 1
    }
    uses += 1
    answer.usedAt = uses
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
    while heldBytes > limitBytes {
      if let idle = oldestIdle, oldest.map({ idle.usedAt <= $0.usedAt }) ?? true {
        drop(idle)
      } else if let oldest {
        remove(oldest.key, isOldest: true)
      } else {
        return
      }
    }
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
    uses += 1
    answer.usedAt = uses
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
