public import Repository

/// The document of `bcfg2-admin minestruct`: entries that a client has and its configuration lacks.
public nonisolated enum MinedStructure {
  /// `<Base>` with the entries, in groups within each other.
  @MainActor public static func document(_ entries: [(tag: String, name: String)], groups: [String]) -> Element {
    let root = Element("Base")
    var place = root
    for group in groups { place = place.append("Group", ["name": group]) }
    for (tag, name) in entries { place.append(tag, ["name": name]) }
    return root
  }
}
