/// Groups by rules over the groups that a client has already: `GroupLogic/groups.xml`, usually a template.
///
/// `<Group name= category=/>` without contents is a group that the client gets; one with contents is a condition.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/GroupLogic.py.
final class GroupLogicPlugin: Plugin, Connector {
  override class var name: String { "GroupLogic" }
  /// After the other connectors, whose groups its rules see.
  override var sortOrder: Int { 1000 }

  /// Clients whose groups are being asked for by this task, directly or through questions that templates ask about all
  /// clients: their second asking gets no groups, or it would never end.
  @TaskLocal private static var building: Set<ClientName> = []

  private var file: GroupLogicFile!

  required init(core: ServerCore) throws {
    try super.init(core: core)
    file = GroupLogicFile(
      path: folder + "/groups.xml", monitor: core.fileMonitor, logger: logger, creatingTopTag: name)
    file.onChange = { [unowned core] in
      if core.metadataCacheMode == .cautious || core.metadataCacheMode == .aggressive { core.expireMetadataCache() }
    }
    file.watch()
  }

  func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] {
    guard !Self.building.contains(metadata.hostname) else { return [] }
    let found = try await Self.$building.withValue(Self.building.union([metadata.hostname])) {
      try await file.groups(metadata, by: core.xmlTemplateRenderer)
    }
    return found.compactMap { group in
      guard let name = group.name else { return nil }
      guard let category = group["category"], !category.isEmpty else { return .named(name) }
      return .defined(MetadataGroup(name: name, category: category))
    }
  }
}

/// groups.xml, in which groups without contents are no conditions.
private final class GroupLogicFile: StructFile {
  /// What stands for `<Group/>` while the document is compiled.
  private static let memberTag = "{GroupLogic}Group"
  private static let genshi = "{http://genshi.edgewall.org/}"

  /// The document for clients; nil where it has to be rendered for each.
  private var plain: CompiledStructure?

  override func compile(_ document: RepositoryDocument) throws {
    try super.compile(document)
    plain = Self.hasDirectives(document.root) ? nil : Self.compiled(document.root, path)
  }

  /// `<Group>` elements below the root as they apply to a client.
  func groups(_ metadata: ClientMetadata, by renderer: (any XMLTemplateRenderer)?) async throws -> [Element] {
    guard compiled != nil else { throw PluginExecutionError("\(path) has no data") }
    let structure: CompiledStructure
    if let plain {
      structure = plain
    } else {
      guard let renderer else { throw PluginExecutionError("\(path) is a template, and nothing renders templates") }
      metadata.dependOnMore()
      structure = Self.compiled(try await renderer.render(path: path, metadata), path)
    }
    return structure.xmlMatch(metadata).children(tagged: Self.memberTag)
  }

  private static func compiled(_ root: Element, _ path: String) -> CompiledStructure {
    let copy = root.deepCopy()
    copy.forEachDescendant { if $0.tag == "Group", $0.isLeaf { $0.tag = memberTag } }
    return CompiledStructure(copy, path: path)
  }

  /// Whether anything in a document is Genshi's to replace. A declared prefix alone makes no template of it.
  private static func hasDirectives(_ root: Element) -> Bool {
    func isDirective(_ element: Element) -> Bool {
      element.tag.hasPrefix(genshi) || (element.text?.utf8.contains(UInt8(ascii: "$")) ?? false)
        || element.attributes.contains { $0.name.hasPrefix(genshi) || $0.value.utf8.contains(UInt8(ascii: "$")) }
    }
    var found = isDirective(root)
    root.forEachDescendant { found = found || isDirective($0) }
    return found
  }
}
