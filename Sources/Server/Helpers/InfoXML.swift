import Logging

/// An info.xml: owner, group, mode and the like of a Path entry, under Group, Client and Path conditions.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, InfoXML.
public final class InfoXML: StructFile {
  public override var conditionTags: Set<String> { ["Group", "Client", "Path"] }

  /// Sets the attributes of the first `<Info>` that applies to the client and the entry.
  ///
  /// - Throws: `PluginExecutionError` where none applies.
  public func bindEntry(_ entry: Element, _ metadata: ClientMetadata) throws {
    let found = compiled?.select(metadata, entry: entry) ?? []
    guard let info = found.first else {
      throw PluginExecutionError("No metadata found in \(path) for \(entry.name ?? "None")")
    }
    if found.count > 1 {
      logger.warning("Multiple file metadata found in \(path) for \(entry.name ?? "None")")
    }
    for (name, value) in info.source.attributes { entry[name] = value }
  }

  /// Copies of the `<Info>` elements that apply to the client and the entry.
  public func match(_ metadata: ClientMetadata, entry: Element) -> [Element] {
    compiled?.match(metadata, entry: entry) ?? []
  }
}
