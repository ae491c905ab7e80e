public import Core
public import Databases
import EventLoop
import Formats
import Glibc
public import Identity
import Logging
public import LoopDatabases
public import Repository
public import ServerSettings
import XMLRPC

/// Probes: programs that clients run, and their output.
///
/// Lines `group:NAME` of an output make the client a member of a group; the rest is data that templates ask for.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Probes.py.
public final class ProbesPlugin: Plugin, Probing, Connector, Caching, Replicated {
  public override class var name: String { "Probes" }
  public override class var options: any OptionGroup { settings }

  private static let settings = ProbesOptions.standard

  /// Most bytes of a probe's name.
  private static let limitNameBytes = HTTPLimits().argumentBytes
  /// Most bytes of one program.
  private static let limitBytes = 16 << 20

  private var programs = ProbeSet()
  /// The names of the programs' files, sorted.
  package var programNames: [String] { programs.programs.sorted().map(\.key) }
  private(set) lazy var store = ProbeStore(
    layout: core.settings[Self.settings.layout], pluginFolder: folder, isReadOnly: core.isChild, loop: core.loop,
    logger: logger)
  /// Where the data is, instead of in the store, with `use_database`.
  private(set) var database: ProbeDatabase?
  private var folderEvents: ProbedFolderEvents?
  /// Regular expressions, one of which must match the whole name of a probed group. nil allows every group: the default,
  /// for which no expression need be compiled.
  private var allowedGroups: [PythonRegex]?

  /// probed.xml is compared with what was written, programs by their bytes.
  public override var reportsChanges: Bool { true }

  public override func load() throws {
    if core.settings[Self.settings.usesDatabase] {
      database = ProbeDatabase(try core.requireDatabase(for: name), core, logger)
    }
    try readAllowedGroups()
    guard database == nil else { return core.fileMonitor.add(folder, recursive: false, handler: self) }
    store.onChange = { [weak self] in self?.dataChanged(of: $0, $1) }
    store.onRestore = { [weak self] in if let self { self.core.replicasExpired(of: self) } }
    core.fileMonitor.add(folder, recursive: false, handler: self)
    // A child has each report from the parent, which wrote the file.
    guard store.layout == .client, !core.isChild else { return }
    let events = ProbedFolderEvents(store)
    folderEvents = events
    core.fileMonitor.add(store.folder.path, recursive: false, handler: events)
  }

  private func readAllowedGroups() throws {
    let patterns = core.settings[Self.settings.allowedGroups]
    let place = "\(core.settings.origin(of: Self.settings.allowedGroups))"
    let source = RegexSource(place: place, logger: logger)
    allowedGroups =
      patterns == [".*"] ? nil : try patterns.map { try PythonRegex($0, finds: .wholeText, in: source) }
  }

  public override func settingsChanged() {
    do {
      try readAllowedGroups()
    } catch {
      logger.error("\(core.settings.origin(of: Self.settings.allowedGroups)): \(error)")
    }
  }

  public override func shutdown() {
    if database == nil { store.flush() }
    super.shutdown()
  }

  public override var rmi: [String: RemoteMethod] {
    var methods = super.rmi
    methods["write_probed_xml"] = RemoteMethod(isListed: false) { [unowned self] arguments in
      try arguments.require(0, of: "write_probed_xml")
      guard database == nil else { throw PluginExecutionError("Probe data is in the database, not in probed.xml") }
      try await store.copy()
      return .bool(true)
    }
    return methods
  }

  public func expireCache(key: ClientName?) {
    if let database { database.forget(key) } else { store.reloadIfChanged(key) }
  }

  public func applyReplica(_ data: [UInt8], of client: ClientName) throws {
    // Each process reads the database.
    guard database == nil else { return }
    store.follow(ProbeReport(try RepositoryXML.parse(data, path: "probe data").root), of: client)
  }

  public func reloadReplicas() { if database == nil { store.reloadIfChanged() } }

  /// Sets the most bytes of the files of data, for tests.
  func limitStore(to bytes: Int) { store.limitBytes = bytes }

  // MARK: Programs

  public func getProbes(_ metadata: ClientMetadata) async throws -> [Element] {
    programs.probes(for: metadata, source: name, logger: logger)
  }

  // MARK: Data

  public func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws {
    try requireBounds(data)
    var groups = ProbedGroups(limit: core.settings[Self.settings.clientGroups])
    var lineCount = 0
    var probes: NameTable<String> = [:]
    var logBudget = RequestLogBudget()
    defer {
      if logBudget.suppressedCount > 0 {
        logger.info(
          "Got \(logBudget.suppressedCount) more probes without a name or a response from \(metadata.hostname)")
      }
    }
    for item in data {
      guard let probe = item.name else {
        if logBudget.admit() { logger.error("Probe data without a name from \(metadata.hostname), ignored") }
        continue
      }
      let told = probe.beginning(bytes: RequestLogBudget.nameBytes)
      guard let text = item.text, !text.isEmpty else {
        if logBudget.admit() { logger.info("Got null response to probe \(told) from \(metadata.hostname)") }
        probes[probe] = ""
        continue
      }
      logger.debug("Processing probe from \(metadata.hostname): \(told)")
      let output = split(text, metadata.hostname, &groups)
      lineCount += output.lineCount
      try RequestBudget.current?.charge(lines: output.lineCount)
      try core.settings.require(lineCount, within: Self.settings.clientLines)
      probes[probe] = output.data
    }
    let report = ProbeReport(
      timestamp: String(time(nil)), probes: probes.map { (name: $0.key, text: $0.value) }, groups: groups.names)
    try core.settings.require(report.body.count, within: Self.settings.clientBytes)
    if let database { return try await database.save(report, of: metadata.hostname) }
    let isKnown = store[metadata.hostname]?.saysSame(as: report) ?? false
    try await store.save(report, of: metadata.hostname)
    if isKnown { replicate(report, of: metadata.hostname) }
  }

  /// Tells the core that a client's data on disk has changed.
  private func dataChanged(of client: ClientName, _ report: ProbeReport?) {
    if let report { replicate(report, of: client) } else { core.replicasExpired(of: self) }
    core.expireMetadataCache(client)
  }

  /// Child processes see the same edits as their parent, at the same time.
  private func replicate(_ report: ProbeReport, of client: ClientName) {
    var replica: [UInt8] = []
    report.append(to: &replica, client: client)
    core.replicate(replica, of: client, for: self)
  }

  /// Refuses a report that is over a bound, before any of it is kept.
  private func requireBounds(_ data: [Element]) throws(LimitExceeded) {
    let settings = core.settings
    try settings.require(data.count, within: Self.settings.clientProbes)
    var bytes = 0
    for item in data {
      guard item.name?.utf8.count ?? 0 <= Self.limitNameBytes else {
        throw LimitExceeded("argumentBytes", Self.limitNameBytes)
      }
      bytes += item.text?.utf8.count ?? 0
    }
    try settings.require(bytes, within: Self.settings.clientBytes)
  }

  /// Collects the allowed groups of an output. Returns the other lines.
  private func split(_ text: String, _ client: ClientName, _ groups: inout ProbedGroups) -> ProbeOutput {
    ProbeOutput(text, compatibility: core.settings.compatibility) { group in
      guard !groups.isKnown(group) else { return }
      guard groups.hasRoom(for: group) else {
        if groups.countOverflow() {
          logger.warning(
            "Too many or too long group assignments from \(client): only \(groups.limit) are looked at")
        }
        return
      }
      if allowedGroups?.contains(where: { $0.matches(group) }) ?? true {
        groups.accept(group)
      } else if groups.refuse(group) {
        logger.warning("Disallowed group assignment \(group) from \(client)")
      }
    }
  }

  private func report(of metadata: ClientMetadata) async throws -> ProbeReport? {
    guard let database else { return store[metadata.hostname] }
    return try await database.report(of: metadata.hostname)
  }

  public func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] {
    try await report(of: metadata)?.groups.map { .named($0) } ?? []
  }

  public func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? {
    let report = try await report(of: metadata)
    return ProbeDataSet(timestamp: report?.timestamp ?? "0", body: report?.body ?? [])
  }
}

extension ProbesPlugin: FileEventHandler {
  public var handlerName: String { "ProbeSet for \(name)" }

  public func handleEvent(_ event: FileEvent) {
    guard !event.isDirectory, event.path != folder else { return }
    let file = event.fileName
    if database == nil, event.path == store.file.path {
      // A child has each report from the parent, which wrote the file.
      if event.action != .deleted, !core.isChild { store.fileChanged() }
      return
    }
    guard event.action != .deleted else {
      programs.remove(fileName: file)
      core.repositoryChanged()
      return
    }
    guard ProbeSet.parse(file) != nil else {
      logger.debug("\(event.path) is not named as a probe, ignored")
      return
    }
    do {
      let bytes = try AtomicFile.readFile(event.path, limitBytes: Self.limitBytes)
      if let flaw = XMLCharacters.firstFlaw(in: bytes) {
        throw XMLFileError(path: event.path, line: 0, message: "cannot be sent to clients: \(flaw)")
      }
      _ = programs.update(bytes, fileName: file)
      core.repositoryChanged()
    } catch {
      logger.error("Failed to read probe: \(error)")
      if let failed = SystemError.ofReading(error) { core.fileMonitor.couldNotRead(event.path, failed.error) }
    }
  }
}

/// Handles the file monitor's events of probed.d: the server's own writes, and edits.
private final class ProbedFolderEvents: FileEventHandler {
  private let store: ProbeStore

  init(_ store: ProbeStore) { self.store = store }

  var handlerName: String { "Probes' data" }
  var reportsChanges: Bool { true }

  func handleEvent(_ event: FileEvent) {
    if !event.isDirectory, event.path != store.folder.path { store.clientFileChanged(named: event.fileName) }
  }
}

extension ProbesPlugin: DatabaseBacked {
  public var usesDatabase: Bool { database != nil }
  public var tables: [SQLTable] { ProbeRows.tables }
  public func databaseOpened() async throws(DatabaseError) {}
  public func checks(of clients: [ClientName]) -> [LoopStatement] { ProbeRows.checks(of: clients) }

  public func checked(_ clients: [ClientName], _ results: [StatementResult]) {
    database?.checked(clients, results)
  }
}
