package import Repository

extension PriorityDirectory {
  /// Rules that apply to an entry for a client, the one that is used first.
  ///
  /// - Parameter kind: what they are called.
  package func sources(of entry: Element, _ metadata: ClientMetadata, kind: String) -> [BindingSource] {
    let found = applying(tag: entry.tag, name: entry.name, metadata).enumerated().sorted {
      ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset)
    }.map(\.element)
    guard let first = found.first else { return [] }
    let isTied = found.count > 1 && found[1].priority == first.priority
    return found.enumerated().map { place, rule in
      let outcome: BindingSource.Outcome =
        if isTied, rule.priority == first.priority {
          .lost("several rules of priority \(rule.priority) apply")
        } else {
          place == 0 ? .used : .lost("its priority is lower")
        }
      return BindingSource(
        kind: kind, path: rule.path, line: rule.candidate.node.source.line,
        scope: "priority \(rule.priority), \(rule.candidate.conditions.text)",
        attributes: rule.candidate.node.source.attributeTable, outcome: outcome)
    }
  }
}

extension Element {
  /// Attributes by name, but for the entry's own name.
  package var attributeTable: [String: String] {
    Dictionary(attributes.filter { $0.name != "name" }.map { ($0.name, $0.value) }) { first, _ in first }
  }
}
