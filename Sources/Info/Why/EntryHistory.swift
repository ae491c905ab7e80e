import Core
import Identity
import Plugins
import Repository
import XMLRPC

/// How an entry comes to a client: who asked for it, who bound it, and what lost against that.
struct EntryHistory: Encodable {
  /// Where something is said: a file and a line, 0 for all of the file.
  struct Place: Encodable {
    let path: String
    let line: Int

    var text: String { line > 0 ? "\(path):\(line)" : path }
  }

  /// An element of a bundle's file.
  struct Element: Encodable {
    let place: Place
    /// What is around it.
    let conditions: String
    /// Whether they hold for the client.
    let applies: Bool
    /// Whether the line is one of what a template made.
    let isRendered: Bool
  }

  /// Why a client is in a group.
  struct Membership: Encodable {
    let group: String
    let reason: String
    let place: Place?
  }

  /// A group that brings a bundle, and how the client comes to be in it.
  struct GroupPath: Encodable {
    let group: String
    let place: Place?
    let memberships: [Membership]
  }

  /// A structure with the entry.
  struct Origin: Encodable {
    /// The plugin that made it.
    let plugin: String
    let structure: String
    let isBound: Bool
    let elements: [Element]
    let groups: [GroupPath]
    /// Bundles that require it.
    let requiredBy: [Element]
  }

  /// Something that a plugin makes the entry from.
  struct Source: Encodable {
    let plugin: String
    let kind: String
    let place: Place
    let scope: String
    let attributes: [String: String]
    let isUsed: Bool
    /// Why it is not used.
    let reason: String?
  }

  let host: String
  let type: String
  let name: String
  /// Of several the client gets all.
  var origins: [Origin] = []
  /// The name that was looked up, where it is another.
  var alternative: String?
  /// Generators that have it; more than one is a mistake.
  var generators: [String] = []
  var sources: [Source] = []
  /// The attributes that the client gets.
  var attributes: [String: String] = [:]
}

/// Finds the history of an entry, by asking the plugins that serve it.
@MainActor
struct EntryInquiry {
  let core: ServerCore
  let metadata: ClientMetadata

  /// nil where the client gets no such entry.
  func history(type: String, name: String) async throws -> EntryHistory? {
    var history = EntryHistory(host: metadata.hostname.text, type: type, name: name)
    var found: [Repository.Element] = []
    var structures: [Repository.Element] = []
    for plugin in core.interfaces.structures {
      let made = try await plugin.buildStructures(metadata)
      structures += made
      found += try await add(made, by: plugin.name, to: &history)
    }
    for plugin in core.interfaces.structureValidators {
      let before = Set(structures.flatMap { matches($0, history) }.map { ObjectIdentifier($0) })
      try await plugin.validateStructures(metadata, &structures)
      for structure in structures {
        let new = matches(structure, history).filter { !before.contains(ObjectIdentifier($0)) }
        guard !new.isEmpty else { continue }
        found += new
        history.origins.append(
          EntryHistory.Origin(
            plugin: plugin.name, structure: structure.name ?? structure.tag, isBound: new[0].isBound, elements: [],
            groups: [], requiredBy: []))
      }
    }
    guard let entry = found.first(where: { !$0.isBound }) ?? found.first else { return nil }
    try await bind(entry, &history)
    return history
  }

  private func matches(_ structure: Repository.Element, _ history: EntryHistory) -> [Repository.Element] {
    structure.children.filter { entry in
      let tag = entry.isBound ? String(entry.tag.dropFirst(5)) : entry.tag
      return Name.areSame(tag, history.type) && entry.name.map { Name.areSame($0, history.name) } ?? false
    }
  }

  private func add(
    _ structures: [Repository.Element], by plugin: String, to history: inout EntryHistory
  ) async throws -> [Repository.Element] {
    var found: [Repository.Element] = []
    for structure in structures {
      let entries = matches(structure, history)
      guard let first = entries.first else { continue }
      found += entries
      let name = structure.name ?? structure.tag
      history.origins.append(
        EntryHistory.Origin(
          plugin: plugin, structure: name, isBound: first.isBound,
          elements: try await elements([history.type, "Bound\(history.type)"], history.name, in: name),
          groups: groups(with: name), requiredBy: try await requirements(of: name)))
    }
    return found
  }

  // MARK: Bundles and groups

  private func elements(_ tags: [String], _ name: String, in bundle: String) async throws -> [EntryHistory.Element] {
    guard let bundler = core.plugins(of: BundlerPlugin.self).first else { return [] }
    return try await bundler.elements(tags, named: name, in: bundle, metadata).map {
      EntryHistory.Element(
        place: .init(path: $0.path, line: Int($0.line)), conditions: $0.conditions, applies: $0.applies,
        isRendered: $0.isRendered)
    }
  }

  private func requirements(of bundle: String) async throws -> [EntryHistory.Element] {
    var found: [EntryHistory.Element] = []
    for name in core.plugins(of: BundlerPlugin.self).first?.bundleNames ?? [] {
      guard metadata.bundles.contains(Name(name)) || !groups(with: name).isEmpty else { continue }
      found += try await elements(["RequiredBundle"], bundle, in: name).filter(\.applies)
    }
    return found
  }

  private func groups(with bundle: String) -> [EntryHistory.GroupPath] {
    guard let plugin = core.plugins(of: MetadataPlugin.self).first else { return [] }
    return plugin.groups(with: bundle, metadata).map { group in
      let line = Int(plugin.line(ofGroup: group))
      return EntryHistory.GroupPath(
        group: group, place: line > 0 ? .init(path: plugin.groupsPath, line: line) : nil,
        memberships: plugin.origins(of: group, metadata).map(membership))
    }
  }

  private func membership(_ origin: GroupOrigin) -> EntryHistory.Membership {
    var line = 0
    let reason: String
    switch origin.reason {
    case .profile: reason = "the client's profile"
    case .defaultProfile: reason = "the profile of clients that have none"
    case .rule(let place, let conditions):
      line = Int(place)
      reason = "for \(conditions.joined(separator: ", "))"
    case .other: reason = "a connector says so"
    }
    return EntryHistory.Membership(
      group: origin.group, reason: reason, place: origin.path.map { .init(path: $0, line: line) })
  }

  // MARK: Generators

  private func bind(_ entry: Repository.Element, _ history: inout EntryHistory) async throws {
    let looked = entry.deepCopy()
    if let source = entry["altsrc"] {
      looked.name = source
      looked["realname"] = entry.name
      history.alternative = source
    }
    if !entry.isBound {
      var generators = core.interfaces.generators.filter {
        $0.binder(tag: looked.tag, name: looked.name ?? "") != nil
      }
      if generators.isEmpty {
        for generator in core.interfaces.generators where try await generator.handlesEntry(looked, metadata) {
          generators.append(generator)
        }
      }
      history.generators = generators.map(\.name)
      for generator in generators { try await addSources(of: generator, looked, &history) }
      do {
        try await core.bind(entry, metadata)
      } catch {
        if entry["failure"] == nil { entry["failure"] = "\(error)" }
      }
    }
    for validator in core.interfaces.goalValidators { try await addSources(of: validator, looked, &history) }
    if entry.isBound { entry.tag.removeFirst(5) }
    let configuration = Repository.Element("Configuration")
    configuration.append("Bundle").children = [entry]
    try await core.validateGoals(metadata, configuration)
    history.attributes = entry.attributeTable
  }

  private func addSources(
    of plugin: Plugin, _ entry: Repository.Element, _ history: inout EntryHistory
  ) async throws {
    guard let plugin = plugin as? any SourceTelling else { return }
    for source in try await plugin.sources(of: entry, metadata) {
      let reason: String? = if case .lost(let reason) = source.outcome { reason } else { nil }
      history.sources.append(
        EntryHistory.Source(
          plugin: plugin.name, kind: source.kind, place: .init(path: source.path, line: Int(source.line)),
          scope: source.scope, attributes: source.attributes, isUsed: reason == nil, reason: reason))
    }
  }
}
