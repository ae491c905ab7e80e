/// The sources of one client, in the order of sources.xml, with their indexes.
///
/// Clients with the same sources and architectures share one. It is for one thread.
public final class PackageCollection {
  /// One source that applies to the client.
  public struct Member {
    public let source: PackageSource
    /// Nil if the source could not be fetched, ever.
    public let index: PackageIndex?
    /// The source's architectures that are among the client's groups, in the order of the source.
    public let clientArches: [String]

    public init(source: PackageSource, index: PackageIndex?, clientArches: [String]) {
      self.source = source
      self.index = index
      self.clientArches = clientArches
    }
  }

  public let members: [Member]

  public init(_ members: [Member]) { self.members = members }

  /// - Parameter groups: the client's groups; a source without an architecture among them is left out.
  public convenience init(
    _ sources: [(source: PackageSource, index: PackageIndex?)], isGroup: (String) -> Bool
  ) {
    self.init(
      sources.compactMap { source, index in
        let arches = source.arches.filter(isGroup)
        return arches.isEmpty ? nil : Member(source: source, index: index, clientArches: arches)
      })
  }

  // What Bcfg2's resolvers found out about yum sources as a whole, by member.
  var yumVersions: [Int: YumVersions] = [:]
  var neededPaths: [NeededPathsKey: Set<TextID>] = [:]
}

struct NeededPathsKey: Hashable {
  var member: Int
  var version: Bcfg2Version
}
