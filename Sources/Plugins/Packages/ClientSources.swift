import Core
package import PackageSources
import ServerSettings

/// The sources that apply to a client, in the order of sources.xml: Bcfg2's collection. Clients with the same sources and
/// architectures share one.
package final class ClientSources {
  /// A source that applies, with the architectures that the client has.
  struct Member {
    let source: PackageSource
    let groups: [String]
    let arches: [String]
  }

  let members: [Member]
  /// The kind of all of them; nil if there are none, or several kinds.
  let kind: SourceKind?
  /// The version of sources.xml that it is made from.
  let version: UInt64
  /// What templates see.
  let data: PackagesData
  /// The indexes, as they were when they were asked for last, and when that was.
  private var collection: (generation: UInt64, value: PackageCollection)?

  init(_ members: [Member], version: UInt64, compatibility: Compatibility) {
    self.members = members
    self.version = version
    let kinds = Set(members.map(\.source.kind))
    let kind = kinds.count == 1 ? kinds.first : nil
    self.kind = kind
    data = PackagesData(members, kind, compatibility)
  }

  /// The attribute `type` of packages.
  package var packageType: String {
    members.first?.source.kind.packageType ?? "unknown"
  }

  /// The sources with their indexes, for a resolver.
  package func collection(_ indexes: SourceIndexes) -> PackageCollection {
    if let collection, collection.generation == indexes.generation { return collection.value }
    let made = PackageCollection(
      members.map { member in
        PackageCollection.Member(
          source: member.source, index: indexes.index(of: member.source), clientArches: member.arches)
      })
    collection = (indexes.generation, made)
    return made
  }
}

/// Finds the sources of clients.
final class SourceSelection {
  private let file: SourcesFile
  private var known: [[Int]: ClientSources] = [:]
  private var version: UInt64 = 0
  /// A client can have any of the groups that name architectures, but few do.
  private static let limit = 4096

  /// Groups that a client has to have one of, by the kind of a source, where `[packages] magic_groups` says so.
  private static let magicGroups: [SourceKind: [String]] = [
    .apt: ["apt", "debian", "ubuntu", "nexenta"], .yum: ["yum", "redhat", "centos", "fedora"],
    .pac: ["arch", "parabola"],
  ]

  init(_ file: SourcesFile) { self.file = file }

  /// The sources that apply to a client.
  func sources(of metadata: ClientMetadata, _ settings: Settings) -> ClientSources {
    metadata.read(file.input)
    let hasMagic = settings.compatibility == .v1_3 && settings[PackagesOptions.standard.usesMagicGroups]
    if version != file.version || known.count > Self.limit {
      known.removeAll()
      version = file.version
    }
    var members: [ClientSources.Member] = []
    var key = [hasMagic ? 1 : 0]
    for (place, one) in file.sources.enumerated() {
      let arches = one.arches(of: metadata)
      guard !arches.isEmpty, one.holds(for: metadata) else { continue }
      if hasMagic {
        guard Self.magicGroups[one.source.kind]?.contains(where: { metadata.isMember(of: $0) }) ?? false else {
          continue
        }
      }
      key.append(place)
      // -1 - i never is a place.
      for (index, arch) in one.source.arches.enumerated() where arches.contains(arch) { key.append(-1 - index) }
      members.append(ClientSources.Member(source: one.source, groups: one.groups, arches: arches))
    }
    if let same = known[key] { return same }
    let made = ClientSources(members, version: version, compatibility: settings.compatibility)
    known[key] = made
    return made
  }

  /// Forgets what was made with other settings.
  func removeAll() { known.removeAll() }
}
