import Core
import Identity
import Repository
import ServerSettings

/// Adds groups by rules over the groups that a client has already: `GroupLogic/groups.xml`, usually a template.
///
/// `<Group name= category=/>` without contents is a group that the client gets; one with contents is a condition.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/GroupLogic.py.
final class GroupLogicPlugin: Plugin, Connector {
  override class var name: String { "GroupLogic" }
  /// Runs after the other connectors, because its rules see their groups.
  override var sortOrder: Int { 1000 }

  /// Clients whose groups this task is already asking for, directly or through a template's question about all clients. A
  /// second request for the same client gets no groups: otherwise it would never end.
  @TaskLocal private static var building: Set<ClientName> = []

  private let file: GroupLogicFile

  required init(_ context: PluginContext) {
    file = GroupLogicFile(
      path: context.folder + "/groups.xml", monitor: context.core.fileMonitor, logger: context.logger,
      creatingTopTag: Self.name)
    super.init(context)
  }

  override func load() {
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
  /// The tag that replaces `<Group/>` while the document is compiled, so that it is no condition.
  private static let memberTag = "{GroupLogic}Group"

  override var isTemplateIn13: Bool { true }

  /// `<Group>` elements below the root as they apply to a client.
  func groups(_ metadata: ClientMetadata, by renderer: (any XMLTemplateRenderer)?) async throws -> [Element] {
    try await resolved(metadata, by: renderer).xmlMatch(metadata).children(tagged: Self.memberTag)
  }

  override func compileContents(_ root: Element) -> CompiledStructure {
    let copy = root.deepCopy()
    copy.forEachDescendant { if $0.tag == "Group", $0.isLeaf { $0.tag = Self.memberTag } }
    return CompiledStructure(copy, path: path)
  }
}
