public import Logging
public import Repository

/// An info.xml: owner, group, mode and other attributes of a Path entry, under Group, Client and Path conditions.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, InfoXML.
public final class InfoXML: StructFile {
  public override var conditionTags: Set<String> { ["Group", "Client", "Path"] }

  /// - Parameter path: of a file with the root element `<FileInfo>`.
  public convenience init(fileInfo path: String, monitor: any FileMonitor, logger: Logger) {
    self.init(path: path, monitor: monitor, logger: logger)
    rootTags = ["FileInfo"]
  }

  /// Sets the attributes of the first `<Info>` that applies to the client and the entry.
  ///
  /// - Throws: `PluginExecutionError` if none applies.
  public func bindEntry(_ entry: Element, _ metadata: ClientMetadata) throws {
    let found = structure(for: metadata)?.select(metadata, entry: entry) ?? []
    guard let info = found.first else {
      throw PluginExecutionError("No metadata found in \(path) for \(entry.name ?? "None")")
    }
    if isAmbiguous(found) {
      logger.warning("Multiple file metadata found in \(path) for \(entry.name ?? "None")")
    }
    for (name, value) in info.source.attributes { entry[name] = value }
  }

  /// Whether several elements apply and none is preferred: a single one below a condition is preferred to unconditional
  /// ones.
  private func isAmbiguous(_ found: [CompiledStructure.Node]) -> Bool {
    guard found.count > 1, let root = compiled?.root else { return false }
    let forEverybody = root.parts.compactMap { if case .element(let node) = $0 { ObjectIdentifier(node) } else { nil } }
    return !found.dropFirst().allSatisfy { forEverybody.contains(ObjectIdentifier($0)) }
      || forEverybody.contains(ObjectIdentifier(found[0]))
  }

  /// As 1.3 does: uses the last `<Info>`, deeper ones being later, with its child elements (ACLs). Path conditions test
  /// the entry's own name and its altsrc name.
  ///
  /// - Throws: `PluginExecutionError` if none applies.
  public func bindEntry13(_ entry: Element, _ metadata: ClientMetadata) throws {
    guard let root = structure(for: metadata)?.root, let info = Self.last(root.parts, metadata, entry) else {
      throw PluginExecutionError("Failed to set metadata for file \(entry.name ?? "None")")
    }
    for (name, value) in info.attributes where !name.hasPrefix("__") { entry[name] = value }
    entry.children += info.children.map { $0.deepCopy() }
  }

  private static func last(
    _ parts: [CompiledStructure.Part], _ metadata: ClientMetadata, _ entry: Element
  ) -> Element? {
    var found: Element?
    for case .element(let node) in parts where node.source.tag == "Info" { found = node.source }
    for case .condition(let condition, let inner) in parts where holds13(condition, metadata, entry) {
      found = last(inner, metadata, entry) ?? found
    }
    return found
  }

  private static func holds13(
    _ condition: CompiledStructure.Condition, _ metadata: ClientMetadata, _ entry: Element
  ) -> Bool {
    guard condition.kind == .path else { return condition.holds(metadata) }
    return (entry.name == condition.name || entry["realname"] == condition.name) != condition.isNegated
  }

  /// Copies of the `<Info>` elements that apply to the client and the entry.
  public func match(_ metadata: ClientMetadata, entry: Element) -> [Element] {
    structure(for: metadata)?.match(metadata, entry: entry) ?? []
  }
}
