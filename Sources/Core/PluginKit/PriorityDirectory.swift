public import Logging
public import Repository
public import ServerSettings
import XMLRPC

/// A structure file with a priority on its root element.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, PriorityStructFile.
public final class PriorityStructFile: StructFile {
  /// The last readable priority; -1 before the first. Bcfg2 too uses a file with a bogus priority.
  public private(set) var priority = -1

  public override func compile(_ document: RepositoryDocument) throws {
    try super.compile(document)
    let text = document.root["priority"]
    if let new = text.flatMap({ Self.integer($0) }) {
      priority = new
    } else {
      let error = XMLFileError(
        path: path, line: Int(document.root.line), message: "Got bogus priority \(text ?? "None") for file \(path)")
      logger.error("\(error)")
    }
  }

  /// Reads a number as Python's int(): surrounding white space, a sign, single underscores between digits.
  private static func integer(_ text: String) -> Int? {
    let digits = text.utf8.drop { $0.isXMLSpace }
    var kept = Array(digits)
    while let last = kept.last, last.isXMLSpace { kept.removeLast() }
    let underscore = UInt8(ascii: "_")
    guard kept.first != underscore, kept.last != underscore else { return nil }
    if zip(kept, kept.dropFirst()).contains(where: { $0 == underscore && $1 == underscore }) { return nil }
    return Int(String(decoding: kept.filter { $0 != underscore }, as: UTF8.self))
  }
}

/// A folder of rule files: finds the rules for an entry and applies them.
///
/// Names that match an entry are looked up by tag and name, and cached; for a client only conditions are evaluated.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, PrioDir, and Plugins/Rules.py.
public final class PriorityDirectory {
  /// Treats names in rules as regular expressions.
  public var usesRegex: Bool {
    didSet { if usesRegex != oldValue { rebuild() } }
  }
  /// Replaces `%{name}` in attributes of rules by the entry's name.
  public var replacesName: Bool
  /// Decrypts elements with an `encrypted` attribute. Setting it reads the files again.
  public var encryption: Encryption? {
    didSet {
      for file in directory.children {
        file.encryption = encryption
        file.load()
      }
    }
  }
  /// Renders files that are templates.
  public weak var renderer: (any XMLTemplateRenderer)?

  private let directory: DirectoryBacked<PriorityStructFile>
  private let compatibility: Compatibility
  private let logger: Logger
  private var sources: [Source] = []
  /// Names of unconditional rules by tag; with 1.3, of all rules.
  private var names: NameTable<NameSet> = [:]
  /// Indexes of rendered templates by structure: each structure is indexed once.
  private var rendered: [ObjectIdentifier: (structure: CompiledStructure, index: CandidateIndex)] = [:]
  /// Bound of `rendered`, which is emptied when it is full.
  private static let renderedLimit = 256

  private struct Source {
    let file: PriorityStructFile
    let version: UInt64
    /// nil for a template.
    var index: CandidateIndex?
    let priority: Int
  }

  /// The rendered templates of the folder for one client, by path.
  private final class Prepared {
    let version: UInt64
    let indexes: [String: CandidateIndex]

    init(_ version: UInt64, _ indexes: [String: CandidateIndex]) {
      self.version = version
      self.indexes = indexes
    }
  }

  /// Grows with each change of the folder.
  private var version: UInt64 = 0
  /// Changes with the folder, for parts that look for rules without being told of single entries.
  private let input = BuildInput()
  private let entryInputs: EntryInputs?

  /// Reads the folder and watches it.
  ///
  /// - Parameter entryInputs: told of the entries whose rules change; binding an entry reads its input there. nil: what is
  ///   looked up here reads an input of the whole folder.
  public init(
    folder: String, rootTags: Set<String>, monitor: any FileMonitor, logger: Logger, compatibility: Compatibility,
    usesRegex: Bool, replacesName: Bool, encryption: Encryption? = nil, renderer: (any XMLTemplateRenderer)? = nil,
    entryInputs: EntryInputs? = nil
  ) {
    self.entryInputs = entryInputs
    self.usesRegex = usesRegex
    self.replacesName = replacesName
    self.encryption = encryption
    self.renderer = renderer
    self.compatibility = compatibility
    self.logger = logger
    directory = DirectoryBacked(
      folder: folder, monitor: monitor, logger: logger, fits: DirectoryBacked<PriorityStructFile>.isXMLName
    ) {
      let file = PriorityStructFile(path: $0, monitor: monitor, logger: logger)
      file.encryption = encryption
      file.rootTags = rootTags
      file.recordsReads = true
      return file
    }
    directory.concernsReadersAlone = true
    directory.onChange = { [unowned self] in update() }
    directory.watch()
  }

  /// True if a file is a template: `prepare` must run before a client's entries are looked up.
  public private(set) var hasTemplates = false

  /// The files of the folder, by path.
  package var files: [StructFile] { directory.children }

  /// Rebuilds the indexes of changed files.
  private func update() {
    var known: [String: Source] = [:]
    for source in sources { known[source.file.path] = source }
    let before = sources
    sources = directory.children.compactMap { file in
      guard let compiled = file.compiled else { return nil }
      if let source = known[file.path], source.file === file, source.version == file.version { return source }
      let index = file.isTemplate ? nil : makeIndex(compiled)
      return Source(file: file, version: file.version, index: index, priority: file.priority)
    }
    hasTemplates = sources.contains { $0.file.isTemplate }
    version += 1
    rendered = [:]
    input.changed()
    if let entryInputs { report(before, sources, to: entryInputs) }
    let namesBefore = names
    defer { if names != namesBefore { entryInputs?.names.changed() } }
    names = [:]
    for source in sources {
      guard let compiled = source.file.compiled else { continue }
      compiled.forEachOuterElement { node, conditions in
        guard conditions.isEmpty || compatibility == .v1_3, let name = node.source.name else { return }
        names[node.source.tag, default: []].insert(name)
      }
    }
  }

  /// Reports the entries whose rules differ.
  private func report(_ old: [Source], _ new: [Source], to entryInputs: EntryInputs) {
    var rest: [String: Source] = [:]
    for source in old { rest[source.file.path] = source }
    for source in new {
      let before = rest.removeValue(forKey: source.file.path)
      if let before, before.file === source.file, before.version == source.version { continue }
      let isAnother = before?.priority != source.priority
      report(isAnother ? nil : before, source, to: entryInputs)
      if isAnother, let before { report(before, nil, to: entryInputs) }
    }
    for source in rest.values { report(source, nil, to: entryInputs) }
  }

  private func report(_ old: Source?, _ new: Source?, to entryInputs: EntryInputs) {
    let isTemplate = [old, new].contains { $0.map { $0.index == nil } ?? false }
    guard !isTemplate, let differences = CandidateIndex.differences(old?.index, new?.index) else {
      return entryInputs.changeAll()
    }
    for (tag, name) in differences { entryInputs.changed(tag: tag, name: name) }
  }

  private func makeIndex(_ compiled: CompiledStructure) -> CandidateIndex {
    CandidateIndex(compiled, usesRegex: usesRegex, compatibility: compatibility, logger: logger)
  }

  private func rebuild() {
    sources = []
    entryInputs?.changeAll()
    update()
  }

  /// Renders templates for a client, once.
  ///
  /// Logs a template that fails and leaves it out.
  public func prepare(_ metadata: ClientMetadata) async {
    guard hasTemplates else { return }
    let version = version
    _ = await metadata.attachment(
      of: self, where: { (known: Prepared) in known.version == version },
      make: { await prepareAnew(metadata) })
  }

  private func prepareAnew(_ metadata: ClientMetadata) async -> Prepared {
    let start = version
    var indexes: [String: CandidateIndex] = [:]
    let templates = sources.filter(\.file.isTemplate)
    renderer?.begin(templates.map(\.file), metadata)
    for source in templates {
      do {
        indexes[source.file.path] = index(of: try await source.file.resolved(metadata, by: renderer))
      } catch {
        metadata.markUncacheable()
        logger.error("Failed to render template \(source.file.path): \(error)")
      }
    }
    return Prepared(start, indexes)
  }

  private func prepared(_ metadata: ClientMetadata) -> Prepared? {
    metadata.attached(to: self)
  }

  private func index(of structure: CompiledStructure) -> CandidateIndex {
    if let known = rendered[ObjectIdentifier(structure)] { return known.index }
    if rendered.count >= Self.renderedLimit { rendered = [:] }
    let index = makeIndex(structure)
    rendered[ObjectIdentifier(structure)] = (structure, index)
    return index
  }

  /// The rules of a file for a client; nil for a template not yet rendered.
  private func index(of source: Source, _ metadata: ClientMetadata) -> CandidateIndex? {
    source.index ?? prepared(metadata)?.indexes[source.file.path]
  }

  /// Whether an unconditional rule, with 1.3 any rule, has exactly this tag and name.
  public func hasEntry(tag: String, name: String) -> Bool { names[tag]?.contains(name) ?? false }

  /// Names of unconditional rules of a tag, with 1.3 of all rules, sorted.
  public func entryNames(tag: String) -> [String] { names[tag]?.sorted() ?? [] }

  /// Tags of which there are such names, sorted.
  public var entryTags: [String] { names.keys.sorted() }

  /// Whether any rule matches an entry for a client; with 1.3, for any client.
  public func handles(_ entry: Element, _ metadata: ClientMetadata) -> Bool {
    if entryInputs == nil { metadata.read(input) }
    for source in sources {
      guard let index = index(of: source, metadata) else { continue }
      let candidates = index.candidates(tag: entry.tag, name: entry.name, metadata)
      if compatibility == .v1_3 ? !candidates.isEmpty : candidates.contains(where: { $0.holds(metadata) }) {
        return true
      }
    }
    return false
  }

  /// The rules that may bind an entry for a client, by file.
  func applying(
    tag: String, name: String?, _ metadata: ClientMetadata
  ) -> [(path: String, priority: Int, candidate: CandidateIndex.Candidate)] {
    sources.flatMap { source in
      (index(of: source, metadata)?.contenders(tag: tag, name: name, metadata) ?? []).filter { $0.holds(metadata) }
        .map { (source.file.path, source.file.priority, $0) }
    }
  }

  /// Adds text, children and missing attributes of the rule with the highest priority to an entry.
  ///
  /// - Throws: `PluginExecutionError` if no rule matches, or several of the highest priority do.
  public func bind(_ entry: Element, _ metadata: ClientMetadata) throws {
    if entryInputs == nil { metadata.read(input) }
    var best: (file: PriorityStructFile, candidate: CandidateIndex.Candidate)?
    var isTied = false
    let (tag, name) = (entry.tag, entry.name)
    for source in sources {
      guard let index = index(of: source, metadata) else { continue }
      for candidate in index.contenders(tag: tag, name: name, metadata) where candidate.holds(metadata) {
        guard let known = best, known.file.priority >= source.file.priority else {
          best = (source.file, candidate)
          isTied = false
          continue
        }
        if known.file.priority == source.file.priority { isTied = true }
      }
    }
    guard let best else {
      throw PluginExecutionError(
        "No matching source for entry when retrieving attributes for \(entry.tag):\(entry.name ?? "None")")
    }
    if isTied {
      let message =
        "Found conflicting sources with same priority (\(best.file.priority)) for \(entry.tag):"
        + "\(entry.name ?? "None") for \(metadata.facts.hostname)"
      logger.error("\(message)")
      let files = sources.flatMap { source in
        (index(of: source, metadata)?.contenders(tag: tag, name: name, metadata) ?? []).filter { $0.holds(metadata) }
          .map { _ in source.file.path }
      }
      logger.error("\(files.joined(separator: ", "))")
      throw PluginExecutionError(message)
    }
    apply(best.candidate.node, to: entry, metadata)
  }

  private func apply(_ node: CompiledStructure.Node, to entry: Element, _ metadata: ClientMetadata) {
    // 1.3 copies a rule verbatim: blank text, and conditions inside as elements.
    let is13 = compatibility == .v1_3
    let isSource = node.isPlain || is13
    let data = isSource ? node.source : CompiledStructure.xmlMatched(node, metadata)
    if let text = data.text, is13 ? !text.isEmpty : !text.utf8.allSatisfy(\.isXMLSpace) {
      entry.content = data.content
    }
    for child in data.children { entry.children.append(isSource ? child.deepCopy() : child) }
    entry.attributes.reserveCapacity(entry.attributes.count + data.attributes.count)
    for (name, value) in data.attributes where entry[name] == nil {
      entry[name] = replacesName ? NameTemplate.substitute(value, name: entry.name ?? "None") : value
    }
  }
}
