import Core
import Identity
import Plugins
import Repository
import XMLRPC

/// Names that globs choose, as Bcfg2 reads them.
enum Selection {
  private static let wildcards = Set("*?[]".utf8)

  static func hasWildcard(_ globs: [String]) -> Bool {
    globs.contains { $0.utf8.contains(where: wildcards.contains) }
  }

  /// Sorted by their bytes. Those that several globs choose come once; without any glob all that were named.
  ///
  /// - Parameters:
  ///   - globs: none, or `*`, for all candidates. Without a wildcard it is a name, of a candidate or not.
  ///   - kind: what the candidates are, for the message.
  /// - Throws: `InfoProblem` for a glob that matches nothing.
  static func names(_ globs: [String], among candidates: [String], kind: String) throws -> [String] {
    var chosen: [String] = []
    if globs.isEmpty { chosen = candidates }
    for glob in globs {
      guard hasWildcard([glob]) else {
        chosen.append(glob)
        continue
      }
      let pattern = Glob(glob)
      let found = candidates.filter { pattern.matches($0) }
      guard !found.isEmpty || glob == "*" else { throw InfoProblem("No \(kind) matches \(glob)") }
      chosen += found
    }
    chosen.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    guard hasWildcard(globs) else { return chosen }
    var names: [String] = []
    for name in chosen where names.last.map({ !Name.areSame($0, name) }) ?? true { names.append(name) }
    return names
  }
}

extension InfoContext {
  /// Names of clients, sorted.
  ///
  /// - Throws: `InfoProblem` for a glob that matches none.
  func clients(_ globs: [String]) async throws -> [String] {
    try Selection.names(globs, among: await core.metadata.listClients().map(\.text), kind: "client")
  }

  /// The groups of these names, sorted.
  ///
  /// - Throws: `InfoProblem` where there is no such group, or none that a glob matches, or where groups.xml cannot be read.
  func groups(_ globs: [String]) throws -> [MetadataGroup] {
    if let problem = (core.metadata as? MetadataPlugin)?.readingProblem { throw InfoProblem(problem) }
    let groups = core.metadata.groups
    return try Selection.names(globs, among: Array(groups.keys), kind: "group").map { name in
      guard let group = groups[name] else { throw InfoProblem("No such group: \(name)") }
      return group
    }
  }
}
