package import Core
package import Logging
package import PackageSources
package import Repository
package import ServerSettings

/// Packages/sources.xml: the package sources with their conditions, in the order of the document, with what it includes.
///
/// After an edit that cannot be read the last good version stays. The plugin watches it; `bcfg2-packages` reads it once.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages/PackagesSources.py.
package final class SourcesFile: StructFile {
  /// The sources of the last good version.
  package private(set) var sources: [ConditionalSource] = []
  private let settings: () -> Settings

  /// - Parameters:
  ///   - settings: those in force; asked at each reading.
  ///   - createsFile: whether an empty file is made where there is none.
  package init(
    settings: @escaping () -> Settings, createsFile: Bool, monitor: any FileMonitor, logger: Logger
  ) {
    self.settings = settings
    super.init(
      path: "\(settings().repository)/Packages/sources.xml", monitor: monitor, logger: logger,
      creatingTopTag: createsFile ? "Sources" : nil)
    rootTags = ["Sources"]
    recordsReads = true
  }

  package override func compile(_ document: RepositoryDocument) throws {
    let settings = settings()
    encryption = Encryption(settings)
    try super.compile(document)
    sources = []
    let kinds = Self.kinds(settings)
    compiled?.forEachElement { node, conditions in
      warnOfUnknown(node.source)
      guard node.source.tag == "Source" else { return }
      guard let kind = kind(of: node.source, among: kinds) else { return }
      if node.source.children(tagged: "Arch").isEmpty {
        let place = PackageSource.withoutPassword(node.source["rawurl"] ?? node.source["url"] ?? "None")
        warnOnce("Packages: \(path): the source at \(place) has no Arch and applies to no client")
      }
      if node.source["pulp_id"] != nil {
        warnOnce("Packages: \(path): pulp_id has no effect here: give the address of Pulp's repository as rawurl")
      }
      sources.append(
        ConditionalSource(
          node.source, kind, conditions: conditions, groups: conditions.reversed().compactMap(\.requiredGroup),
          compatibility: settings.compatibility))
    }
  }

  /// Says what has no effect because nobody knows its name: most often it is mistyped.
  private func warnOfUnknown(_ element: Element) {
    if !Self.tags.contains(element.tag) {
      warnOnce("Packages: \(path): unknown element <\(element.tag)> has no effect")
    }
    guard element.tag == "Source" else { return }
    // Attributes of other namespaces, such as xml:base, are somebody else's.
    for (name, _) in element.attributes
    where !Self.attributes.contains(name) && !name.contains(where: { ":{".contains($0) }) {
      warnOnce("Packages: \(path): unknown attribute \(name) of a Source has no effect")
    }
  }

  private static let tags: Set = [
    "Sources", "Source", "Component", "Arch", "Blacklist", "Whitelist", "GPGKey", "Options",
  ]
  private static let attributes: Set = [
    "type", "url", "rawurl", "version", "name", "recommended", "essential", "debsrc", "id", "pulp_id",
  ]

  /// The kind of a source; nil, after a log line, for one that is left out.
  private func kind(of source: Element, among kinds: Set<SourceKind>) -> SourceKind? {
    guard let type = source["type"] else {
      let place = source["rawurl"] ?? source["url"] ?? "None"
      logger.error("Packages: No type specified for source at \(PackageSource.withoutPassword(place)), skipping")
      return nil
    }
    guard let kind = SourceKind(rawValue: type.lowercased()), kinds.contains(kind) else {
      let known = SourceKind.allCases.filter(kinds.contains).map(\.rawValue).joined(separator: ", ")
      logger.error("Packages: Unknown source type \(type); known are \(known)")
      return nil
    }
    return kind
  }

  /// The kinds that `[packages] backends` names; 1.3.4 has no such option.
  private static func kinds(_ settings: Settings) -> Set<SourceKind> {
    guard settings.compatibility == .v1_4 else { return Set(SourceKind.allCases) }
    return Set(settings[PackagesOptions.standard.backends].compactMap { SourceKind(rawValue: $0.lowercased()) })
  }

  /// The sources of a repository, read now, each once: for a program without a server.
  ///
  /// - Throws: `SourcesFileError` if the file is missing or cannot be read.
  package static func read(_ settings: Settings, logger: Logger) throws(SourcesFileError) -> [PackageSource] {
    let file = SourcesFile(
      settings: { settings }, createsFile: false, monitor: PseudoMonitor(logger: logger), logger: logger)
    file.load()
    if let problem = file.lastProblem { throw SourcesFileError(description: problem) }
    var known: Set<[UInt8]> = []
    return file.sources.map(\.source).filter { known.insert($0.key).inserted }
  }
}

/// sources.xml cannot be used; the reason, with file and line, is in the log too.
package struct SourcesFileError: Error, CustomStringConvertible {
  package let description: String
}
