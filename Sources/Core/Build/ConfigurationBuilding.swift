import EventLoop
import Glibc
public import Identity
import Logging
import OrderedCollections
public import Repository
import XMLRPC

/// The stages at which ClientRunHooks plugins are called.
public enum ClientRunStage: String, Sendable {
  case start = "start_client_run"
  case end = "end_client_run"
  case statistics = "end_statistics"

  var statisticName: String {
    switch self {
    case .start: "client_run_hook:start_client_run"
    case .end: "client_run_hook:end_client_run"
    case .statistics: "client_run_hook:end_statistics"
    }
  }
}

extension ServerCore {
  /// Builds a client's literal configuration: `<Configuration version revision>` with its bound structures.
  ///
  /// A failing entry carries `failure`; a failing structure is left out. Returns `<error type>` if metadata or
  /// structures fail as a whole.
  ///
  /// - Throws: `Fault` from building the metadata; `ValidationError` of a validator that refuses.
  public func buildConfiguration(_ client: ClientName) async throws -> Element {
    try await makeConfiguration(client).document
  }

  /// As `buildConfiguration`, with the metadata it was made from; nil metadata if the configuration must not be cached.
  /// - Parameter hasStarted: the start hooks have run already.
  package func makeConfiguration(
    _ client: ClientName, hasStarted: Bool = false
  ) async throws -> (document: Element, cacheableFor: ClientMetadata?) {
    logger.debug("Building configuration for \(client)")
    let start = MonotonicTime.now()
    var hasStarted = hasStarted
    let built = try await withConsistentRepository { try await buildOnce(client, &hasStarted) }
    guard let metadata = built.metadata else { return (built.document, nil) }
    await clientRunHook(.end, metadata)
    sortXML(built.document)
    configurationBuilds += 1
    let duration = MonotonicTime.now() - start
    CallCost.current?.addBuild(duration)
    recordGeneration(client, duration)
    return (built.document, built.isCacheable ? metadata : nil)
  }

  /// A configuration and the metadata it was made from; nil metadata for an `<error>`.
  private struct BuiltConfiguration {
    let document: Element
    var metadata: ClientMetadata?
    /// Whether only files, settings and the client's own data decide its contents.
    var isCacheable = false
  }

  private func buildOnce(_ client: ClientName, _ hasStarted: inout Bool) async throws -> BuiltConfiguration {
    let metadata: ClientMetadata
    do {
      metadata = try await buildMetadata(client)
    } catch is MetadataConsistencyError {
      logger.error("Metadata consistency error for client \(client)")
      return BuiltConfiguration(document: Element("error", ["type": "metadata error"]))
    }
    await updateRevisionIfNeeded()
    let configuration = Element("Configuration", ["version": "2.0", "revision": revision])
    if !hasStarted { await clientRunHook(.start, metadata) }
    hasStarted = true
    var structures: [Element]
    do {
      structures = try await getStructures(metadata)
    } catch {
      logger.error("Error in GetStructures: \(error)")
      return BuiltConfiguration(document: Element("error", ["type": "structure error"]))
    }
    try await validateStructures(metadata, &structures)
    checkAlternatives(alternatives(in: structures))
    await bindStructures(structures, metadata, configuration)
    try await validateGoals(metadata, configuration)
    if !isRevisionKnown {
      // A commit may have changed files that the answer is made from.
      await updateRevisionIfNeeded()
      configuration["revision"] = revision
    }
    // Later changes outdate this result.
    let isCacheable = !metadata.isUncacheable && plugins.values.allSatisfy { $0.allowsCaching(for: metadata) }
    return BuiltConfiguration(document: configuration, metadata: metadata, isCacheable: isCacheable)
  }

  package func recordGeneration(_ client: ClientName, _ duration: Duration) {
    logger.info(Logger.Message(stringLiteral: Self.generatedLine(client.text, duration)))
  }

  /// `Generated config for NAME in 0.012 seconds`. Built from bytes: every request logs it.
  static func generatedLine(_ client: String, _ duration: Duration) -> String {
    let time = duration.threeDecimals
    let parts = ("Generated config for " as StaticString, " in " as StaticString, " seconds" as StaticString)
    let count = client.utf8.count + time.utf8.count + parts.0.utf8CodeUnitCount + parts.1.utf8CodeUnitCount
    return String(unsafeUninitializedCapacity: count + parts.2.utf8CodeUnitCount) { buffer in
      var end = 0
      func add(_ text: StaticString) {
        end += UnsafeMutableBufferPointer(rebasing: buffer[end...]).update(
          fromContentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
      }
      func add(_ text: String) {
        var text = text
        end += text.withUTF8 { UnsafeMutableBufferPointer(rebasing: buffer[end...]).update(fromContentsOf: $0) }
      }
      add(parts.0)
      add(client)
      add(parts.1)
      add(time)
      add(parts.2)
      return end
    }
  }

  /// Returns the structures of every Structure plugin for a client, and logs bundles that no plugin has.
  public func getStructures(_ metadata: ClientMetadata) async throws -> [Element] {
    logger.debug("Getting structures for \(metadata.facts.hostname)")
    return try await timed("GetStructures") {
      // Discard templates rendered for an earlier configuration with the same metadata.
      metadata.templateState?.ahead = nil
      var structures: [Element] = []
      for plugin in interfaces.structures { structures += try await plugin.buildStructures(metadata) }
      reportMissingBundles(metadata, found: bundles(in: structures))
      return structures
    }
  }

  /// Names of the bundles among structures.
  func bundles(in structures: [Element]) -> [Name] {
    structures.filter { $0.tag == "Bundle" || $0.tag == "Independent" }.compactMap { $0.name.map { Name($0) } }
  }

  /// Logs bundles that the client should have and no plugin has.
  func reportMissingBundles(_ metadata: ClientMetadata, found: [Name]) {
    var missing = metadata.bundles
    for name in found { missing.remove(name) }
    guard !missing.isEmpty else { return }
    metadata.markUncacheable()
    let names = missing.map(\.text).joined(separator: ":")
    logger.error("Client \(metadata.facts.hostname) configuration missing bundles: \(names)")
  }

  /// Runs the StructureValidator plugins over the abstract configuration.
  public func validateStructures(_ metadata: ClientMetadata, _ structures: inout [Element]) async throws {
    logger.debug("Validating structures for \(metadata.facts.hostname)")
    let start = MonotonicTime.now()
    defer { recordTime("validate_structures", since: start) }
    for plugin in interfaces.structureValidators {
      try await validating(plugin, metadata) { try await plugin.validateStructures(metadata, &structures) }
    }
  }

  /// Runs the StructureValidator plugins over structures that are a part of their own, those from a place on.
  ///
  /// - Returns: what each plugin that adds structures noted, by its place among them.
  func validateApart(
    _ metadata: ClientMetadata, _ structures: inout [Element], from first: Int
  ) async throws -> [[StructureNote]] {
    logger.debug("Validating structures for \(metadata.facts.hostname)")
    let start = MonotonicTime.now()
    defer { recordTime("validate_structures", since: start) }
    var notes = [[StructureNote]](repeating: [], count: interfaces.addedStructures.count)
    for plugin in interfaces.structureValidators.dropFirst(first) {
      try await validating(plugin, metadata) {
        guard let place = interfaces.addedStructures.firstIndex(where: { $0 === plugin }) else {
          return try await plugin.validateStructures(metadata, &structures)
        }
        for structure in structures {
          if let note = try await interfaces.addedStructures[place].note(structure, metadata) {
            notes[place].append(note)
          }
        }
      }
    }
    return notes
  }

  /// Runs one validator. Its errors are logged; one that refuses the configuration is thrown.
  func validating(
    _ plugin: any StructureValidator, _ metadata: ClientMetadata, _ body: () async throws -> Void
  ) async throws {
    do {
      try await body()
    } catch let error as ValidationError {
      logger.error("Plugin \(plugin.name) structure validation failed: \(error)")
      throw error
    } catch {
      metadata.markUncacheable()
      logger.error("Plugin \(plugin.name): unexpected structure validation failure: \(error)")
    }
  }

  /// Runs the GoalValidator plugins over the literal configuration.
  public func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) async throws {
    logger.debug("Validating goals for \(metadata.facts.hostname)")
    try await timed("validate_goals") {
      for plugin in interfaces.goalValidators {
        do {
          try await plugin.validateGoals(metadata, configuration)
        } catch let error as ValidationError {
          logger.error("Plugin \(plugin.name) goal validation failed: \(error)")
          throw error
        } catch {
          metadata.markUncacheable()
          logger.error("Plugin \(plugin.name): unexpected goal validation failure: \(error)")
        }
      }
    }
  }

  /// The entries with `altsrc` of structures.
  func alternatives(in structures: [Element]) -> [Part.Alternative] {
    var found: [Part.Alternative] = []
    for structure in structures {
      for entry in structure.children {
        guard let source = entry["altsrc"] else { continue }
        found.append(Part.Alternative(tag: Name(entry.tag), name: entry.name.map { Name($0) }, source: source))
      }
    }
    return found
  }

  /// Logs entries of one tag and name that differ in altsrc.
  func checkAlternatives(_ alternatives: [Part.Alternative]) {
    guard !alternatives.isEmpty else { return }
    struct Key: Hashable {
      let tag: Name
      let name: Name?
    }
    var sources: [Key: String] = [:]
    for entry in alternatives {
      let known = sources.updateValue(entry.source, forKey: Key(tag: entry.tag, name: entry.name))
      if let known, !Name.areSame(known, entry.source) {
        logger.error("Found inconsistent altsrc mapping for entry \(entry.tag):\(entry.name?.text ?? "None")")
      }
    }
  }

  /// Binds every structure and adds it to the configuration.
  public func bindStructures(_ structures: [Element], _ metadata: ClientMetadata, _ configuration: Element) async {
    logger.debug("Binding structures for \(metadata.facts.hostname)")
    await timed("BindStructures") {
      let templates = interfaces.templateGenerators.contains(where: \.hasTemplates) ? metadata.templates : nil
      templates?.ahead = nil
      // The first template to be rendered takes the following ones along.
      templates?.structures = structures[...]
      defer { templates?.structures = nil }
      for (index, structure) in structures.enumerated() {
        if templates?.structures != nil { templates?.structures = structures[index...] }
        do {
          try await bindStructure(structure, metadata)
          configuration.children.append(structure)
        } catch {
          metadata.markUncacheable()
          logger.error("error in BindStructure: \(error)")
        }
      }
    }
  }

  /// Binds every entry of a structure in place. A failing entry carries `failure`; `Bound` entries need no generator.
  ///
  /// - Throws: `PluginExecutionError` for an entry whose tag is just `Bound`: the client gets nothing of the structure.
  public func bindStructure(_ structure: Element, _ metadata: ClientMetadata) async throws {
    logger.debug("Binding structure \(structure.name ?? "unknown") for \(metadata.facts.hostname)")
    try await timed("BindStructure") {
      for entry in structure.children {
        if entry.isBound {
          guard entry.tag != "Bound" else {
            throw PluginExecutionError("Empty tag name in \(structure.name ?? "None")")
          }
          entry.tag.removeFirst(5)
          continue
        }
        do {
          try await bind(entry, metadata)
        } catch {
          // The next attempt may succeed, and each failure has to be logged.
          metadata.markUncacheable()
          if entry["failure"] == nil { entry["failure"] = "bind error: \(textForClients(error))" }
          let message = error is PluginExecutionError ? "Failed to bind entry" : "Unexpected failure binding entry"
          logger.error("\(message) \(entry.tag):\(entry.name ?? "None"): \(error)")
        }
      }
    }
  }

  /// Binds one entry in place by the generator that has it, by its `altsrc` name first.
  ///
  /// - Throws: what the generator throws; `PluginExecutionError` if not exactly one generator has the entry.
  public func bind(_ entry: Element, _ metadata: ClientMetadata) async throws {
    if let source = entry["altsrc"] {
      guard let name = entry.name else {
        entry.name = source
        throw PluginExecutionError("\(entry.tag) with altsrc \(source) has no name")
      }
      entry.name = source
      entry["realname"] = name
      entry["altsrc"] = nil
      do {
        try await bind(entry, metadata)
        entry.name = name
        entry["realname"] = nil
        return
      } catch {
        logger.error(
          "Failed binding entry \(entry.tag):\(name) with altsrc \(source): \(error)")
        entry.name = name
        logger.error("Falling back to \(entry.tag):\(name)")
      }
    }
    let start = MonotonicTime.now()
    let slot = bindStatistic(entry.tag)
    defer { statistics.add(slot, MonotonicTime.now() - start) }
    let input = entryInputs.input(tag: entry.tag, name: entry.name ?? "")
    if let recorder = metadata.recorder { entryInputs.read(input, recorder) }
    if let name = entry.name {
      entryInputs.resolve(input, tag: entry.tag, name: name, interfaces.generators, generation: commonGeneration)
      let names = input.generators
      if names.count == 1, let found = input.binder {
        switch found {
        case .now(let bind): try bind(entry, metadata)
        case .nowOrLater(let bind, let later): if try !bind(entry, metadata) { try await later(entry, metadata) }
        case .later(let bind): try await bind(entry, metadata)
        }
        return
      }
      if names.count > 1 {
        // The entry fails without the slow path, as in Bcfg2, where an error of its own ends the search here.
        let message = "\(entry.tag) \(name) served by multiple generators: \(names.joined(separator: ", "))"
        logger.error("\(message)")
        throw PluginExecutionError(message)
      }
    }
    try await bindBySlowPath(entry, metadata)
  }

  private func bindBySlowPath(_ entry: Element, _ metadata: ClientMetadata) async throws {
    var handler: (any Generator)?
    var count = 0
    for generator in interfaces.generators where try await generator.handlesEntry(entry, metadata) {
      handler = generator
      count += 1
    }
    guard count == 1, let handler else {
      entry["failure"] = "no matching generator"
      throw PluginExecutionError("No matching generator: \(entry.tag):\(entry.name ?? "None")")
    }
    try await handler.handleEntry(entry, metadata)
  }

  private func bindStatistic(_ tag: String) -> ExecutionStatistics.Slot {
    // There are few tags with short names: comparing is faster than hashing.
    for known in bindStatistics where known.tag == tag { return known.slot }
    let slot = statistics.slot("\(name):Bind:\(tag)")
    bindStatistics.append((tag, slot))
    return slot
  }
}

/// Sorts an element's descendants by the bytes of their `name` attribute; those without one come first. The sort is
/// stable, so that one configuration always has the same bytes.
public func sortXML(_ element: Element) {
  guard !element.children.isEmpty else { return }
  let children = element.children
  for child in children where !child.children.isEmpty { sortXML(child) }
  guard children.count > 1 else { return }
  // Sorts numbers over names laid side by side: strings would be retained and released at every comparison.
  var bytes: [UInt8] = []
  var keys: [SortKey] = []
  bytes.reserveCapacity(64 * children.count)
  keys.reserveCapacity(children.count)
  for (index, child) in children.enumerated() {
    let start = bytes.count
    let name = child.name
    if let name { bytes.append(contentsOf: name.utf8) }
    keys.append(SortKey(start: start, count: name == nil ? -1 : bytes.count - start, index: index))
  }
  let isChanged = bytes.withUnsafeBytes { names in
    let isSorted = (1..<keys.count).allSatisfy { !keys[$0].isLess(than: keys[$0 - 1], names) }
    if !isSorted { keys.sort { $0.isLess(than: $1, names) } }
    return !isSorted
  }
  if isChanged { element.children = keys.map { children[$0.index] } }
}

/// The range of a child's name among all names; a count of -1 without a name.
private struct SortKey {
  let start: Int
  let count: Int
  let index: Int

  func isLess(than other: SortKey, _ names: UnsafeRawBufferPointer) -> Bool {
    let common = min(count, other.count)
    if common > 0, let base = names.baseAddress {
      let order = memcmp(base + start, base + other.start, common)
      if order != 0 { return order < 0 }
    }
    return count == other.count ? index < other.index : count < other.count
  }
}

extension Duration {
  /// Seconds with three decimals, as log lines show them.
  package var threeDecimals: String {
    let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    let fraction = milliseconds % 1000
    let zeros = fraction < 10 ? ".00" : fraction < 100 ? ".0" : "."
    return "\(milliseconds / 1000)\(zeros)\(fraction)"
  }
}
