package import Core
import EventLoop
package import Identity
import Logging
package import PackageSources
package import Repository
package import ServerSettings
import XMLRPC

/// Packages: clients get the packages that theirs need, the versions and types of all, and the files that name their
/// sources.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages of 1.4 and 1.3.4.
package final class PackagesPlugin: Plugin, AddedStructures, Generator, Connector, Fetching, Threaded {
  package override class var name: String { "Packages" }
  package override class var conflicts: [String] { ["Pkgmgr"] }
  package override class var options: any OptionGroup { PackagesOptions.standard }

  package let file: SourcesFile
  private let selection: SourceSelection
  private(set) var indexes: SourceIndexes
  private(set) var keys: SourceKeyFiles
  private var sets: PackageSets
  let fetcher: SourceFetcher
  private(set) var switches: PackagesSwitches
  /// Whether sources are fetched by this process: from `startThreads` on, and not in one of several children.
  private var fetches = false
  private var surprises: Set<String> = []

  package required init(_ context: PluginContext) {
    let (core, logger) = (context.core, context.logger)
    file = SourcesFile(
      settings: { [unowned core] in core.settings }, createsFile: !core.isChild && !core.isReadOnly,
      monitor: core.fileMonitor, logger: logger)
    selection = SourceSelection(file)
    let cache = core.settings[PackagesOptions.standard.cache]
    indexes = SourceIndexes(folder: cache + "/indexes", monitor: core.fileMonitor, logger: logger)
    keys = SourceKeyFiles(folder: cache + "/keys", monitor: core.fileMonitor, logger: logger)
    sets = PackageSets(indexes, logger: logger)
    fetcher = SourceFetcher(loop: core.loop, logger: logger) { [unowned core] in core.settings }
    switches = PackagesSwitches(core.settings)
    super.init(context)
  }

  package override func load() {
    file.onChange = { [unowned self] in sourcesChanged() }
    watchIndexes()
    keys.watch()
    file.watch()
    warnOfSettings()
  }

  package override func shutdown() {
    fetcher.stop()
    super.shutdown()
  }

  // MARK: What changes

  private func sourcesChanged() {
    logger.info("Reloading Packages plugin")
    // Templates see the sources in the metadata of clients.
    core.clientsChanged()
    indexes.keepOnly(file.sources.map(\.source))
    if fetches { fetchMissing() }
  }

  private func watchIndexes() {
    indexes.onChange = { [unowned self] in indexesChanged() }
    indexes.watch()
  }

  /// Has indexes made again that somebody has deleted or damaged; a run tells itself what it could not make.
  private func indexesChanged() {
    guard fetches, !fetcher.isRunning else { return }
    if missing.contains(where: { !fetcher.failed.contains($0.indexFileName) }) { fetchMissing() }
  }

  package override func settingsChanged() {
    super.settingsChanged()
    let settings = core.settings
    switches = PackagesSwitches(settings)
    selection.removeAll()
    sets.removeAll()
    let cache = settings[PackagesOptions.standard.cache]
    if indexes.folder != cache + "/indexes" {
      indexes.stopWatching()
      keys.stopWatching()
      indexes = SourceIndexes(folder: cache + "/indexes", monitor: core.fileMonitor, logger: logger)
      keys = SourceKeyFiles(folder: cache + "/keys", monitor: core.fileMonitor, logger: logger)
      sets = PackageSets(indexes, logger: logger)
      watchIndexes()
      keys.watch()
    }
    warnOfSettings()
    // The kinds of sources that count may be others.
    file.load()
    if fetches { fetcher.startInterval() }
  }

  /// Logs once what options do not do.
  private func warnOfSettings() {
    let settings = core.settings
    let options = PackagesOptions.standard
    if let surprise = switches.surprise, surprises.insert(surprise).inserted { logger.warning("Packages: \(surprise)") }
    if settings[options.usesMagicGroups], settings.compatibility == .v1_3, surprises.insert("magic_groups").inserted {
      logger.warning("Packages: Magic groups are deprecated and will be removed in a future release")
      logger.warning("You can disable magic groups by setting magic_groups=0 in [packages] in bcfg2.conf")
    }
    if settings[options.usesYumLibraries], surprises.insert("use_yum_libraries").inserted {
      logger.warning("Packages: There are no yum libraries here; the built-in resolver is used")
    }
  }

  // MARK: Fetching

  package func startThreads() {
    guard !core.isChild, !core.isReadOnly else { return }
    fetches = true
    fetchMissing()
    fetcher.startInterval()
  }

  /// The sources that have no index.
  private var missing: [PackageSource] {
    file.sources.map(\.source).filter { indexes.index(of: $0) == nil }
  }

  private func fetchMissing() {
    guard switches.readsMetadata else { return }
    let lacksKeys = file.sources.contains { $0.source.gpgKeys.contains { !keys.has($0) } }
    if lacksKeys || !missing.isEmpty { fetcher.start(.missing) }
  }

  package var isFetching: Bool { fetcher.isRunning }

  package func waitForData(of client: ClientName) async {
    let deadline = core.loop.now + core.settings[PackagesOptions.standard.firstFetchWait]
    while true {
      // Also behind the end of the program, whose last files may not have been seen yet.
      core.fileMonitor.processPending()
      guard fetcher.isRunning else { return }
      let lacking = missing.filter { !fetcher.failed.contains($0.indexFileName) }
      guard !lacking.isEmpty else { return }
      let names = Set(lacking.map(\.indexFileName))
      do {
        let sources = selection.sources(of: try await core.buildMetadata(client), core.settings)
        guard sources.members.contains(where: { names.contains($0.source.indexFileName) }) else { return }
      } catch {
        // Whoever makes the configuration meets the same error, and logs it.
        return
      }
      guard core.loop.now < deadline else {
        logger.warning("Packages: \(client) is served without sources that are still being fetched for the first time")
        return
      }
      await fetcher.waitForNews(until: deadline)
    }
  }

  package override var rmi: [String: RemoteMethod] {
    super.rmi.merging([
      "Refresh": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "Refresh")
        await load(.all)
        return .bool(true)
      },
      "Reload": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "Reload")
        await load(.missing)
        return .bool(true)
      },
      // What children of the multiprocessing core do after either.
      "child_reload": RemoteMethod(isListed: false) { [unowned self] _ in
        indexes.closeAll()
        return .bool(true)
      },
    ]) { $1 }
  }

  package override var childRMI: [String: String] {
    super.childRMI.merging(["Refresh": "child_reload", "Reload": "child_reload"]) { $1 }
  }

  private func load(_ scope: SourceFetcher.Scope) async {
    if switches.readsMetadata { await fetcher.fetch(scope) }
    core.fileMonitor.processPending()
    indexes.closeAll()
  }

  // MARK: Sources of a client

  /// The sources that apply to a client.
  package func sources(of metadata: ClientMetadata) -> ClientSources { selection.sources(of: metadata, core.settings) }

  /// The same for an answer, with log lines about sources that are not as they should be.
  private func reportedSources(of metadata: ClientMetadata) async -> ClientSources {
    await metadata.attachment(
      of: self, where: { (known: ClientSources) in known.version == file.version },
      make: { report(sources(of: metadata), metadata) })
  }

  private func report(_ sources: ClientSources, _ metadata: ClientMetadata) -> ClientSources {
    let kinds = Set(sources.members.map(\.source.kind))
    let host = metadata.facts.hostname
    if kinds.isEmpty {
      logger.error("Packages: No sources found for \(host)")
    } else if kinds.count > 1 {
      let names = kinds.map { $0.rawValue.prefix(1).uppercased() + $0.rawValue.dropFirst() + "Source" }.sorted()
      logger.warning("Packages: Multiple source types found for \(host): \(names.joined(separator: ","))")
    }
    return sources
  }

  package func additionalData(_ metadata: ClientMetadata) -> (any ConnectorData)? { sources(of: metadata).data }

  /// The repositories of a client's sources, as `bcfg2-info packagesources` lists them.
  package func repositories(of metadata: ClientMetadata) -> [ListedRepository] {
    sources(of: metadata).members.flatMap { member in
      member.source.parts.filter { member.arches.contains($0.arch) }.map { part in
        ListedRepository(
          name: GeneratedSources.repositoryName(member.source, member.groups, part), source: member.source, part: part)
      }
    }
  }

  // MARK: Structures

  package func note(_ structure: Element, _ metadata: ClientMetadata) -> StructureNote? {
    guard switches.resolves else {
      PackageNames.letClientsChoose(in: structure)
      return nil
    }
    let names = PackageNames(
      takenFrom: structure, readsWishes: core.settings.compatibility == .v1_4, logger: logger)
    return names.isEmpty ? nil : StructureNote(names)
  }

  package func addedStructures(_ notes: [StructureNote], _ metadata: ClientMetadata) async throws -> [Element] {
    let sources = await reportedSources(of: metadata)
    let isOld = core.settings.compatibility == .v1_3
    let structure = Element("Independent", isOld ? Attributes() : ["name": name])
    if switches.resolves {
      for member in sources.members { indexes.read(member.source, metadata) }
      let packages = try sets.resolve(PackageNames(notes), sources, core.settings)
      debugLog(
        "Packages: \(packages.base.count) base, \(packages.complete.count) complete, \(packages.added.count) new")
      let version = core.settings[PackagesOptions.standard.version]
      let type = sources.packageType
      structure.children = packages.added.map { name in
        Element("BoundPackage", ["name": name.text, "version": version, "type": type, "origin": "Packages"])
      }
    }
    if sources.kind == .yum { addKeys(of: sources, to: structure, metadata) }
    return [structure]
  }

  /// What `solver = strict` would change for a client.
  ///
  /// - Parameter structures: the client's; entries of groups are taken out of them.
  package func differences(_ structures: [Element], _ metadata: ClientMetadata) throws -> ResolutionDifferences {
    let readsWishes = core.settings.compatibility == .v1_4
    let notes = structures.map { structure in
      StructureNote(PackageNames(takenFrom: structure, readsWishes: readsWishes, logger: logger))
    }
    return try sets.differences(PackageNames(notes), sources(of: metadata), core.settings)
  }

  /// Adds the keys of yum sources as files.
  private func addKeys(of sources: ClientSources, to structure: Element, _ metadata: ClientMetadata) {
    let folder = core.settings[PackagesOptions.standard.keyFolder]
    var known: Set<Name> = []
    for url in sources.members.flatMap(\.source.gpgKeys) where known.insert(Name(url)).inserted {
      let entry = Element("BoundPath", ["name": "\(folder)/\(SourceKeyFiles.fileName(url))"])
      Self.describeFile(entry)
      entry.content = keys.contents(of: url, metadata)
      structure.children.append(entry)
    }
  }

  /// The attributes of every file that the plugin makes.
  private static func describeFile(_ entry: Element) {
    let attributes = [
      ("encoding", "ascii"), ("owner", "root"), ("group", "root"), ("type", "file"), ("mode", "0644"),
      ("important", "true"),
    ]
    for (name, value) in attributes { entry[name] = value }
  }

  // MARK: Entries

  package func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async -> Bool {
    let (settings, options) = (core.settings, PackagesOptions.standard)
    switch entry.tag {
    case "Package":
      guard settings.compatibility == .v1_3, settings[options.usesMagicGroups] else { return true }
      return await !reportedSources(of: metadata).members.isEmpty
    case "Path":
      guard let name = entry.name else { return false }
      return Name.areSame(name, settings[options.aptConfig]) || Name.areSame(name, settings[options.yumConfig])
    default: return false
    }
  }

  package func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async {
    let sources = await reportedSources(of: metadata)
    guard entry.tag == "Path" else {
      entry["version"] = core.settings[PackagesOptions.standard.version]
      entry["type"] = sources.packageType
      return
    }
    if sources.data.generatedText == nil {
      logger.error(
        "Packages: Cannot generate config for host \(metadata.facts.hostname) with no sources or multiple source types")
    }
    entry.text = sources.data.generatedText ?? ""
    Self.describeFile(entry)
  }
}
