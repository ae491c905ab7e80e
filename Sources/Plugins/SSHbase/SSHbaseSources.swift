import Core
import Repository
import XMLRPC

extension SSHbasePlugin: SourceTelling {
  /// The files of keys for a client, then what permissions info.xml has.
  func sources(of entry: Element, _ metadata: ClientMetadata) async throws -> [BindingSource] {
    guard let set = set(tag: entry.tag, name: entry.name ?? "") else { return [] }
    let files = set.matching(metadata)
    var found = files.enumerated().map { place, file in
      BindingSource(
        kind: "contents", path: file.path, scope: file.specificity.scope,
        outcome: place == 0 ? .used : .lost("\(RepositoryPath.name(of: files[0].path)) is more specific"))
    }
    if set.baseName == Self.knownHosts, files.isEmpty {
      found += staticLines.keys.sorted().map {
        BindingSource(kind: "lines", path: "\(folder)/\($0)", scope: "all clients", outcome: .used)
      }
      found.append(
        BindingSource(kind: "lines", path: folder, scope: "all clients, of all public keys", outcome: .used))
    }
    try await set.prepareInfo(metadata)
    if let file = set.infoXML { found += try await file.sources(of: entry, metadata) }
    return found
  }
}
