package import Core
package import Repository
import XMLRPC

extension CfgPlugin: SourceTelling {
  package func sources(of entry: Element, _ metadata: ClientMetadata) async throws -> [BindingSource] {
    guard entry.tag == entryType, let name = entry.name, let set = entrySets[name] else { return [] }
    return try await set.sources(of: entry, metadata)
  }
}

extension CfgEntrySet {
  /// Files that apply to a client: those of the contents, then info.xml.
  func sources(of entry: Element, _ metadata: ClientMetadata) async throws -> [BindingSource] {
    let used = generator(for: metadata)
    var found = generators.filter { $0.specificity.matches(metadata) }.map { file in
      let reason =
        used.map { $0.specificity < file.specificity } ?? true
        ? "is more specific" : "has as much to say and comes first"
      return BindingSource(
        kind: "contents", path: file.path, scope: file.specificity.scope,
        outcome: file === used ? .used : .lost("\(used?.fileName ?? "another file") \(reason)"))
    }
    if used == nil, let creator = creators.first {
      found.append(
        BindingSource(kind: "contents", path: creator.path, scope: "all clients, makes contents", outcome: .used))
    }
    if let file = try await infoFile(metadata) { found += try await file.sources(of: entry, metadata) }
    return found
  }
}

extension Specificity {
  /// Whom files are for, as text.
  var scope: String {
    switch self {
    case .all: "all clients"
    case .host(let name): "Client \(name)"
    case .group(let name, let priority): "Group \(name), priority \(priority)"
    }
  }
}
