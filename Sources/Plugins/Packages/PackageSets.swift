import Core
import Logging
import PackageSources
import ServerSettings
package import XMLRPC

/// The packages that a client needs.
package final class ResolvedPackages {
  /// What was asked for: by structures, by groups, and what is essential; each once.
  let base: [Name]
  /// All that is needed, with what was asked for, in order.
  let complete: [Name]
  /// Those that structures do not name, in order.
  package let added: [Name]
  /// Names that no source has, in order.
  package let unknown: [Name]

  init(base: [Name], complete: [Name], added: [Name], unknown: [Name]) {
    self.base = base
    self.complete = complete
    self.added = added
    self.unknown = unknown
  }

  /// Bytes that it takes, about.
  var weight: Int { 64 + 24 * (base.count + complete.count + added.count + unknown.count) }
}

/// Finds what packages need, and keeps it: many clients ask for the same.
final class PackageSets {
  private struct Key: Hashable {
    let sources: ObjectIdentifier
    let names: PackageNames
  }

  /// Memory for what is kept, in bytes.
  private static let limitBytes = 16 << 20

  private let indexes: SourceIndexes
  private let logger: Logger
  /// With the sources that they were found for, so that no others get their address.
  private var kept = BoundedCache<Key, (sources: ClientSources, packages: ResolvedPackages)>()
  private var generation: UInt64 = 0

  init(_ indexes: SourceIndexes, logger: Logger) {
    self.indexes = indexes
    self.logger = logger
    kept.limitBytes = Self.limitBytes
  }

  /// Forgets everything: options have changed.
  func removeAll() { kept.removeAll() }

  /// Resolves what structures name.
  ///
  /// - Throws: `ResolutionFailure` where Bcfg2 gives the client nothing.
  func resolve(
    _ names: PackageNames, _ sources: ClientSources, _ settings: Settings
  ) throws(ResolutionFailure) -> ResolvedPackages {
    if generation != indexes.generation {
      kept.removeAll()
      generation = indexes.generation
    }
    let key = Key(sources: ObjectIdentifier(sources), names: names)
    if let known = kept[key] { return known.packages }
    let packages = try find(names, sources, settings)
    log(packages)
    kept.insert((sources, packages), for: key, bytes: packages.weight + 24 * names.names.count)
    return packages
  }

  private func find(
    _ names: PackageNames, _ sources: ClientSources, _ settings: Settings
  ) throws(ResolutionFailure) -> ResolvedPackages {
    let resolver = PackageResolver(
      sources.collection(indexes), settings[PackagesOptions.standard.solver].solver(settings))
    let asked = base(names, sources, resolver)
    let resolution = try resolver.complete(asked.map { Array($0.text.utf8) }, recommended: Self.wishes(names))
    let complete = resolution.packages.map { Name($0) }
    let initial = Set(names.names)
    return ResolvedPackages(
      base: asked, complete: complete, added: complete.filter { !initial.contains($0) },
      unknown: resolution.unknown.map { Name($0.name) })
  }

  /// What a strict resolution changes, with nothing kept or logged but unknown groups.
  func differences(_ names: PackageNames, _ sources: ClientSources, _ settings: Settings) throws
    -> ResolutionDifferences
  {
    let collection = sources.collection(indexes)
    func resolve(_ solver: PackageSolver) throws(ResolutionFailure) -> Resolution {
      let resolver = PackageResolver(collection, solver)
      let asked = base(names, sources, resolver).map { Array($0.text.utf8) }
      return try resolver.complete(asked, recommended: Self.wishes(names))
    }
    let now = Result { () throws(ResolutionFailure) in try resolve(SolverChoice.bcfg2.solver(settings)) }
    return ResolutionDifferences(bcfg2: now, strict: try resolve(.strict))
  }

  /// What structures name, with the packages of their groups and the essential ones, in order.
  private func base(_ names: PackageNames, _ sources: ClientSources, _ resolver: PackageResolver) -> [Name] {
    var base = Set(names.names)
    for (group, type) in Self.groups(names.groups, sources.kind, resolver.solver) {
      base.formUnion(members(group, type, resolver, sources.kind).map { Name($0) })
    }
    base.formUnion(resolver.essentials().map { Name($0) })
    return base.sorted()
  }

  /// What entries say of the packages that theirs recommend; of several for one package the last counts.
  private static func wishes(_ names: PackageNames) -> [[UInt8]: Bool] {
    Dictionary(names.wishes.map { (Array($0.name.text.utf8), $0.isWanted) }) { $1 }
  }

  /// The groups to look up. Bcfg2 keeps the packages of a group by its name: of several types the last one counts.
  private static func groups(
    _ groups: [PackageNames.Group], _ kind: SourceKind?, _ solver: PackageSolver
  ) -> [(name: String, type: String?)] {
    var found: [(name: String, type: String?)] = []
    for group in groups {
      var name = group.name.text
      var type = group.type?.text
      if kind == .yum {
        if name.hasPrefix("@") { name.removeFirst() }
        if type?.isEmpty ?? true { type = "default" }
      }
      if solver != .strict, let index = found.firstIndex(where: { Name.areSame($0.name, name) }) {
        found[index].type = type
      } else {
        found.append((name, type))
      }
    }
    return found
  }

  private func members(_ group: String, _ type: String?, _ resolver: PackageResolver, _ kind: SourceKind?) -> [[UInt8]]
  {
    guard resolver.supportsGroups else {
      let name = kind.map { $0.rawValue.prefix(1).uppercased() + $0.rawValue.dropFirst() } ?? ""
      logger.error("Packages: Package groups are not supported by \(name)Collection")
      return []
    }
    if let found = resolver.group(Array(group.utf8), type: type) { return found }
    logger.warning("Packages: '\(group)' is not a valid group")
    return []
  }

  private func log(_ packages: ResolvedPackages) {
    guard !packages.unknown.isEmpty else { return }
    logger.info("Packages: Got \(packages.unknown.count) unknown entries")
    logger.info("Packages: \(Self.list(packages.unknown))")
  }

  /// As many names as fit into a line.
  private static func list(_ names: [Name]) -> String {
    let shown = names.prefix(1000).map { "'\($0.text)'" }.joined(separator: ", ")
    return names.count > 1000 ? "[\(shown), ...]" : "[\(shown)]"
  }
}

extension Name {
  /// A name from the bytes of an index.
  fileprivate init(_ bytes: [UInt8]) { self.init(String(decoding: bytes, as: UTF8.self)) }
}
