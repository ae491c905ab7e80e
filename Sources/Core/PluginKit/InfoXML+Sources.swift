package import Repository

extension InfoXML {
  /// The `<Info>` elements that apply to an entry for a client; the first one that Bcfg2's order has is used.
  package func sources(of entry: Element, _ metadata: ClientMetadata) async throws -> [BindingSource] {
    guard let structure = structure(for: metadata) else { return [] }
    let applying = structure.select(metadata, entry: entry)
    var conditions: [ObjectIdentifier: [CompiledStructure.Condition]] = [:]
    structure.forEachElement { node, around in conditions[ObjectIdentifier(node)] = around }
    return applying.enumerated().map { place, node in
      BindingSource(
        kind: "attributes", path: path, line: node.source.line,
        scope: conditions[ObjectIdentifier(node), default: []].text, attributes: node.source.attributeTable,
        outcome: place == 0 ? .used : .lost("an Info element before it applies"))
    }
  }
}
