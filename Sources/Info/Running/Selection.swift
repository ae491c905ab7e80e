import Core
import Identity
import Repository
import XMLRPC

/// Names that globs choose, as Bcfg2 reads them.
enum Selection {
  private static let wildcards = Set("*?[]".utf8)

  static func hasWildcard(_ globs: [String]) -> Bool {
    globs.contains { $0.utf8.contains(where: wildcards.contains) }
  }

  /// - Parameter globs: none, or `*`, for all candidates. Without a wildcard in any they are names, of candidates or not.
  static func names(_ globs: [String], among candidates: [String]) -> [String] {
    if globs.isEmpty || globs.contains("*") { return candidates }
    guard hasWildcard(globs) else { return globs }
    let globs = globs.map { Glob($0) }
    return candidates.filter { name in globs.contains { $0.matches(name) } }
  }
}

extension InfoContext {
  /// Names of clients, sorted.
  func clients(_ globs: [String]) async -> [String] {
    Selection.names(globs, among: await core.metadata.listClients().map(\.text)).sorted {
      $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
  }

  /// The groups of these names, sorted.
  ///
  /// - Throws: `InfoProblem` where there is no such group.
  func groups(_ globs: [String]) throws -> [MetadataGroup] {
    let groups = core.metadata.groups
    let names = Selection.names(globs, among: groups.keys.sorted())
    return try names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { name in
      guard let group = groups[name] else { throw InfoProblem("No such group: \(name)") }
      return group
    }
  }
}
