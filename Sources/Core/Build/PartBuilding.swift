import EventLoop
package import Identity
import Logging
import OrderedCollections
import Repository
import ServerSettings
import Templates
package import XMLRPC

/// A configuration as it goes on the wire, and what it is made of.
package struct Composition {
  package let document: ByteSegments
  let parts: [Part]
  /// What it was made with; nil for an `<error>`.
  let metadata: ClientMetadata?
  package let revision: String
  /// Whether all of it can be kept.
  package let isCacheable: Bool

  /// Whether it is that of a client, by its canonical name.
  package func isMade(for client: ClientName) -> Bool { metadata?.facts.hostname == client }
}

/// A part of the configuration under construction: one that was found, or one that is being made.
private final class PartDraft {
  let key: PartKey
  let recorder = PartRecorder()
  var structures: [Element] = []
  var required: [Name] = []
  var bundles: [Name] = []
  var alternatives: [Part.Alternative] = []
  /// As those of `Part`.
  var notes: [[StructureNote]] = []
  /// The place among the validators of the first that has not seen it.
  var firstValidator = 0
  var part: Part?

  init(_ key: PartKey) { self.key = key }
}

// A configuration is made of parts. A part that stands for the client is used again, the others are made as a whole
// configuration is: structures, validators, binding, goals, order. `buildConfiguration` makes everything anew.
extension ServerCore {
  /// Makes a client's configuration from parts, those that can be used again and new ones.
  ///
  /// - Parameter hasStarted: the start hooks have run already.
  /// - Throws: as `buildConfiguration`.
  package func composeConfiguration(_ client: ClientName, hasStarted: Bool = false) async throws -> Composition {
    guard answerCache.limitBytes > 0 else {
      let (document, metadata) = try await makeConfiguration(client, hasStarted: hasStarted)
      return Composition(
        document: WireWriter.configuration(document) { _ in nil }, parts: [], metadata: metadata,
        revision: document["revision"] ?? "", isCacheable: metadata != nil)
    }
    logger.debug("Building configuration for \(client)")
    let start = MonotonicTime.now()
    var hasStarted = hasStarted
    let made = try await withConsistentRepository { try await composeOnce(client, &hasStarted) }
    guard let metadata = made.metadata else { return made }
    await clientRunHook(.end, metadata)
    configurationBuilds += 1
    let duration = MonotonicTime.now() - start
    CallCost.current?.addBuild(duration)
    recordGeneration(client, duration)
    return made
  }

  private func composeOnce(_ client: ClientName, _ hasStarted: inout Bool) async throws -> Composition {
    let metadata: ClientMetadata
    do {
      metadata = try await metadataForParts(client)
    } catch is MetadataConsistencyError {
      logger.error("Metadata consistency error for client \(client)")
      return failed("metadata error")
    }
    defer { metadata.isInUse = false }
    await updateRevisionIfNeeded()
    let root = Element("Configuration", ["version": "2.0", "revision": revision])
    if !hasStarted { await clientRunHook(.start, metadata) }
    hasStarted = true
    let generation = dropOutdatedParts()
    metadata.usesParts = plugins.values.allSatisfy { $0.allowsCaching(for: metadata) }
    var drafts: [PartDraft]
    do {
      drafts = try await findParts(metadata)
    } catch {
      logger.error("Error in GetStructures: \(error)")
      return failed("structure error")
    }
    for draft in drafts where draft.part == nil { try await validate(draft, metadata) }
    if interfaces.namedStructures != nil, !interfaces.addedStructures.isEmpty {
      try await addStructures(to: &drafts, metadata)
    }
    checkAlternatives(drafts.flatMap { $0.part?.alternatives ?? $0.alternatives })
    await bind(drafts.filter { $0.part == nil }, metadata)
    for draft in drafts where draft.part == nil {
      let goals = Element("Configuration", root.attributes)
      goals.children = draft.structures
      try await record(draft, metadata) { try await validateGoals(metadata, goals) }
      sortXML(goals)
      draft.structures = goals.children
    }
    if !isRevisionKnown {
      // A commit may have changed files that the answer is made from.
      await updateRevisionIfNeeded()
      root["revision"] = revision
    }
    let usedCount = drafts.count { $0.part != nil }
    CallCost.current?.addParts(made: drafts.count - usedCount, used: usedCount)
    let parts = drafts.map { draft in
      if let part = draft.part { return part }
      let part = finish(draft)
      // Where the generation differs it is outdated already.
      if draft.recorder.isKeepable, generation == commonGeneration { answerCache.insert(part, draft.recorder) }
      return part
    }
    return Composition(
      document: WireWriter.configuration(root, Self.inOrder(parts)), parts: parts, metadata: metadata,
      revision: revision, isCacheable: !metadata.isUncacheable && drafts.allSatisfy { $0.recorder.isKeepable })
  }

  private func failed(_ type: String) -> Composition {
    Composition(
      document: WireWriter.document(Element("error", ["type": type])), parts: [], metadata: nil, revision: revision,
      isCacheable: false)
  }

  /// The metadata of the client's last answer, if nothing has changed that it was made from, else new metadata. It is in
  /// use from now on: nobody else builds with it, even while hooks of the run and version control are waited for.
  private func metadataForParts(_ client: ClientName) async throws -> ClientMetadata {
    if let kept = answerCache[.configuration(client)]?.metadata, !kept.isInUse, isCurrent(kept) {
      metadataUses += 1
      kept.removeAttachments()
      kept.isInUse = true
      return kept
    }
    let metadata = try await buildMetadata(client)
    metadata.isInUse = true
    return metadata
  }

  /// Drops all parts after a change that concerns them all. Returns the generation of the others.
  func dropOutdatedParts() -> UInt64 {
    if partsGeneration != commonGeneration {
      answerCache.removeAllParts()
      partsGeneration = commonGeneration
    }
    return partsGeneration
  }

  /// Structures in the order of a configuration: as `sortXML`.
  static func inOrder(_ parts: [Part]) -> [SharedSegments] {
    let structures = parts.flatMap(\.structures)
    func isBefore(_ one: Int, _ other: Int) -> Bool {
      switch (structures[one].name, structures[other].name) {
      case (nil, nil): one < other
      case (nil, _): true
      case (_, nil): false
      case (let first?, let second?): first < second || (one < other && first == second)
      }
    }
    if structures.indices.dropFirst().allSatisfy({ isBefore($0 - 1, $0) }) { return structures.map(\.segments) }
    return structures.indices.sorted(by: isBefore).map { structures[$0].segments }
  }

  // MARK: Stages

  /// Runs `body` while what is asked of the client is recorded for a part.
  private func record<Result>(
    _ draft: PartDraft, _ metadata: ClientMetadata, _ body: () async throws -> Result
  ) async rethrows -> Result {
    metadata.recorder = draft.recorder
    if !metadata.usesParts { draft.recorder.markUnkeepable() }
    defer { metadata.recorder = nil }
    return try await body()
  }

  /// Finds the parts that stand for a client, and makes the structures of the others.
  private func findParts(_ metadata: ClientMetadata) async throws -> [PartDraft] {
    guard let plugins = interfaces.namedStructures else {
      let draft = PartDraft(.configuration)
      draft.part = await part(.configuration, metadata)
      if draft.part == nil {
        draft.structures = try await record(draft, metadata) { try await getStructures(metadata) }
      }
      return [draft]
    }
    logger.debug("Getting structures for \(metadata.facts.hostname)")
    return await timed("GetStructures") {
      // Discard templates rendered for an earlier configuration with the same metadata.
      metadata.templateState?.ahead = nil
      var drafts: [PartDraft] = []
      let answer = answerCache[.configuration(metadata.facts.hostname)]
      var previous = (answer?.metadata === metadata ? answer?.parts ?? [] : [])[...]
      for plugin in plugins { drafts += await findParts(of: plugin, metadata, &previous) }
      reportMissingBundles(metadata, found: drafts.flatMap(\.bundles))
      return drafts
    }
  }

  private func findParts(
    of plugin: any NamedStructures, _ metadata: ClientMetadata, _ previous: inout ArraySlice<Part>
  ) async -> [PartDraft] {
    var drafts: [PartDraft] = []
    var names = OrderedSet<Name>()
    func find(_ name: Name) async {
      guard names.append(name).inserted else { return }
      let draft = PartDraft(.structure(ObjectIdentifier(plugin), name))
      if let known = previous.first, known.key == draft.key {
        previous.removeFirst()
        // The answers to its questions are those of the same metadata.
        if known.isCurrent {
          draft.part = known
          answerCache.countUse(known)
        }
      }
      if draft.part == nil { draft.part = await part(draft.key, metadata) }
      drafts.append(draft)
    }
    for name in plugin.structureNames(metadata) { await find(name) }
    plugin.prepareStructures(zip(names, drafts).filter { $1.part == nil }.map(\.0), metadata)
    var index = 0
    var made: [PartDraft] = []
    while index < drafts.count {
      let (draft, name) = (drafts[index], names[index])
      index += 1
      if let part = draft.part {
        draft.bundles = part.bundles
        for name in part.required { await find(name) }
        made.append(draft)
        continue
      }
      guard let new = await record(draft, metadata, { await plugin.buildStructure(name, metadata) }) else {
        // It may be there the next time.
        metadata.markUncacheable()
        continue
      }
      draft.structures = [new.structure]
      draft.required = new.required
      draft.bundles = bundles(in: draft.structures)
      for name in new.required { await find(name) }
      made.append(draft)
    }
    return made
  }

  /// Runs the validators over a new part.
  private func validate(_ draft: PartDraft, _ metadata: ClientMetadata) async throws {
    try await record(draft, metadata) {
      var structures = draft.structures
      if interfaces.namedStructures == nil || interfaces.addedStructures.isEmpty {
        try await validateStructures(metadata, &structures)
      } else {
        draft.notes = try await validateApart(metadata, &structures, from: draft.firstValidator)
      }
      draft.structures = structures
    }
    draft.alternatives = alternatives(in: draft.structures)
  }

  /// Has plugins add structures to a configuration of parts, as parts of their own.
  private func addStructures(to drafts: inout [PartDraft], _ metadata: ClientMetadata) async throws {
    for (place, plugin) in interfaces.addedStructures.enumerated() {
      let notes = drafts.flatMap { draft in
        let notes = draft.part?.notes ?? draft.notes
        return place < notes.count ? notes[place] : []
      }
      let draft = PartDraft(.added(ObjectIdentifier(plugin), notes))
      draft.part = await part(draft.key, metadata)
      drafts.append(draft)
      guard draft.part == nil else { continue }
      let position = interfaces.structureValidators.firstIndex { $0 === plugin } ?? 0
      draft.firstValidator = position + 1
      try await record(draft, metadata) {
        try await validating(plugin, metadata) {
          draft.structures = try await plugin.addedStructures(notes, metadata)
        }
      }
      try await validate(draft, metadata)
    }
  }

  private func part(_ key: PartKey, _ metadata: ClientMetadata) async -> Part? {
    guard metadata.usesParts else { return nil }
    return await answerCache.part(key, metadata) { await templates.keptResult($0, metadata) }
  }

  /// Binds the entries of new parts.
  private func bind(_ drafts: [PartDraft], _ metadata: ClientMetadata) async {
    guard !drafts.isEmpty else { return }
    logger.debug("Binding structures for \(metadata.facts.hostname)")
    await timed("BindStructures") {
      let all = drafts.flatMap(\.structures)
      let templates = interfaces.templateGenerators.contains(where: \.hasTemplates) ? metadata.templates : nil
      templates?.ahead = nil
      // The first template to be rendered takes the following ones along.
      templates?.structures = all[...]
      defer { templates?.structures = nil }
      var index = 0
      for draft in drafts {
        var bound: [Element] = []
        for structure in draft.structures {
          if templates?.structures != nil { templates?.structures = all[index...] }
          index += 1
          await record(draft, metadata) {
            do {
              try await bindStructure(structure, metadata)
              bound.append(structure)
            } catch {
              metadata.markUncacheable()
              logger.error("error in BindStructure: \(error)")
            }
          }
        }
        draft.structures = bound
      }
    }
  }

  private func finish(_ draft: PartDraft) -> Part {
    let structures = draft.structures.map { structure in
      Part.Structure(
        name: structure.name.map { Name($0) },
        segments: WireWriter.structure(structure) { answerCache.structure(like: $0) })
    }
    answerCache.countMade(draft.key)
    return Part(
      draft.key, structures, required: draft.required, bundles: draft.bundles, alternatives: draft.alternatives,
      notes: draft.notes, madeWith: draft.recorder)
  }
}
