public import Databases
public import EventLoop
import Glibc
public import Identity
public import Logging
public import LoopDatabases
public import OrderedCollections
public import Repository
public import ServerSettings
public import XMLRPC

/// The server core: plugins, metadata, configurations. It knows no transport; a core implementation (`BuiltinCore`)
/// adds one.
///
/// Source of the contract: the server core's development document, class BaseCore; docs/core.md lists its members
/// beside ours.
///
/// Used directly it is the in-process core: `run` loads everything, and calls are made by `dispatch` or by name. Tests
/// and tools need no other.
open class ServerCore: FileEventHandler {
  /// The event loop that everything runs on.
  public final let loop: Reactor
  /// bcfg2.conf and command line. Replaced by `settingsChanged`.
  public final private(set) var settings: Settings { didSet { requestSettings = RequestSettings(settings) } }
  /// The options that each request reads.
  public final private(set) var requestSettings: RequestSettings
  public final package(set) var logger = Logger(label: "bcfg2-server")
  /// Makes the loggers of plugins that are loaded.
  package final var makePluginLogger: (_ name: String) -> Logger = { Logger(label: $0) }
  /// Reports changes to the repository.
  public final let fileMonitor: any FileMonitor
  /// Looks up names and addresses of hosts without blocking the loop.
  public final let resolver: any AddressResolver
  /// The plugins that `[server] plugins` may name.
  public final let registry: PluginRegistry
  /// Rate-limits log lines about refused clients and strangers.
  public final let refusals: RefusalLog
  /// Execution times, as `bcfg2-admin perf` prints them.
  public final let statistics = ExecutionStatistics()
  /// Calls by method and outcome, for metrics.
  package final let requests = RequestCounts()
  /// What each client's run costs, for `[logging] client_runs`.
  package final private(set) lazy var clientRuns = ClientRuns(on: loop) { [unowned self] in logger }
  /// Number of configurations that were built.
  package final var configurationBuilds = 0
  /// Loaded plugins by name, in the order of `[server] plugins`.
  public final package(set) var plugins: OrderedDictionary<String, Plugin> = [:] {
    didSet {
      interfaces = PluginInterfaces(plugins.values)
      repositoryChanged()
    }
  }
  /// Plugin to the conflicting plugins loaded before it.
  public final internal(set) var pluginBlacklist: OrderedDictionary<String, [String]> = [:]
  /// Plugins by interface, each list in `sortOrder`.
  public final internal(set) var interfaces = PluginInterfaces()
  /// The Metadata plugin; set by `loadPlugins`.
  public final internal(set) var metadata: (any Metadata)!
  /// Revision of the repository, `-1` if no Version plugin reports one.
  public final internal(set) var revision = "-1"
  /// Complete metadata by client, as `[caching] client_metadata` says.
  public final internal(set) var metadataCache: [ClientName: ClientMetadata] = [:]
  /// Cached answers.
  package final let answerCache: AnswerCache
  /// Number of changes that no change set of the file monitor reports.
  package final var ownChanges: UInt64 = 0
  /// Those of them that concern all answers.
  final var ownCommonChanges: UInt64 = 0
  /// What generators have for each entry.
  public final let entryInputs = EntryInputs()
  /// How many times metadata of a client was made, and used again.
  final var metadataBuilds = 0
  final var metadataUses = 0
  /// The generation at which parts were dropped last.
  final var partsGeneration: UInt64 = 0
  /// Number of calls to `clientsChanged`.
  final var clientsGeneration: UInt64 = 0
  /// Number of changes by client, for clients with changes.
  final var clientGenerations: [ClientName: UInt64] = [:]
  /// Number of changes of all clients.
  final var clientChanges: UInt64 = 0
  /// State of the core's debug flag.
  public final internal(set) var isDebugging: Bool
  /// Opens the database of `[database]`. Set by the process, before plugins are loaded.
  public final var openDatabase: ((DatabaseSettings) throws(DatabaseError) -> any LoopDatabase)?
  /// The database, once a plugin uses it.
  public final var database: SharedDatabase? { sharedDatabase }
  final var sharedDatabase: SharedDatabase?
  /// Renders the templates of the repository.
  public final private(set) lazy var templates = TemplateRenderer(core: self)
  /// Renders XML templates of the repository: `templates`, unless another renderer was set before plugins were loaded.
  public var xmlTemplateRenderer: (any XMLTemplateRenderer)? {
    get { otherXMLTemplateRenderer ?? templates }
    set { otherXMLTemplateRenderer = newValue }
  }
  private var otherXMLTemplateRenderer: (any XMLTemplateRenderer)?
  /// Reads bcfg2.conf and the command line again. Set by the process; without it settings never change.
  public var readSettings: (() throws -> Settings)?
  /// Called before a plugin is loaded, with its name.
  package final var onLoading: ((_ plugin: String) -> Void)?
  /// Called with the old and the new settings, for state of the process such as its log.
  public var onSettingsChanged: ((Settings, Settings) -> Void)?
  /// Groups that connectors defined, with the connector's name.
  final var dynamicGroups: NameTable<String> = [:]
  /// Slots of the statistics of `bind`, by entry tag, and of `timed`, by operation.
  final var bindStatistics: [(tag: String, slot: ExecutionStatistics.Slot)] = []
  final var operationStatistics: [String: ExecutionStatistics.Slot] = [:]
  /// The state at which `revision` was read; nil before the first time.
  final var revisionState: RevisionState?
  /// Number of calls to `revisionMayHaveChanged`.
  final var revisionMarks: UInt64 = 0
  /// The revision look-up in progress.
  final var revisionLookUp: Task<Void, Never>?
  /// Answers that edits wait for, and requests that wait for these edits: see ConsistentAnswers.swift.
  final var holdCount = 0
  /// How long edits wait for answers: only a hanging program takes longer.
  package final var holdLimit: Duration = .seconds(10)
  final var holdNumber: UInt64 = 0
  final var holdTimer: Timer?
  final var holdWaiters: [CheckedContinuation<Void, Never>] = []
  final var performanceTimer: Timer?
  /// Whether `run` failed. Shutdown messages are then logged at debug: nobody was served.
  package final var hasFailed = false
  /// Set by the first `shutdown`, for good.
  public final private(set) var isShutDown = false

  /// The class name in statistics and log lines, as in Bcfg2.
  open var name: String { "Core" }

  /// Creates a core on a loop; `loadPlugins` loads its plugins.
  public init(
    settings: Settings, loop: Reactor, fileMonitor: any FileMonitor, resolver: any AddressResolver,
    registry: PluginRegistry
  ) {
    self.settings = settings
    self.requestSettings = RequestSettings(settings)
    self.loop = loop
    self.fileMonitor = fileMonitor
    self.resolver = resolver
    self.registry = registry
    self.refusals = RefusalLog(on: loop)
    self.answerCache = AnswerCache(limitBytes: settings.answerCacheBytes)
    self.isDebugging = false
    applyProgramLimits()
    fileMonitor.repository = settings.repository
    fileMonitor.isDebugging = settings.debug
    if settings.debug { setCoreDebug(true) }
  }

  /// Whether plugins can use the database of `[database]`: it is of a known kind, and this process opens databases.
  public var isDatabaseAvailable: Bool { openDatabase != nil && (try? settings.serverDatabase) != nil }

  /// `[caching] client_metadata`, `on` read as `cautious`.
  public var metadataCacheMode: MetadataCacheMode { requestSettings.clientMetadataCache }

  /// Applies new settings, after an edit of bcfg2.conf or SIGHUP.
  open func settingsChanged(_ settings: Settings) {
    self.settings = settings
    applyProgramLimits()
    repositoryChanged()
    metadataCache.removeAll()
    answerCache.limitBytes = settings.answerCacheBytes
    if !requestSettings.logsClientRuns { clientRuns.forget() }
    templates.settingsChanged()
    for plugin in plugins.values { plugin.settingsChanged() }
  }

  /// Applies the limits of plugins' programs: how many run at once, and how long.
  private func applyProgramLimits() {
    let queue = loop.childQueue
    let limits = NetworkLimits(settings)
    queue.limit = limits[.programs]
    queue.waitingLimit = limits[.waitingPrograms]
    queue.timeLimit = limits.duration(.programSeconds)
  }

  /// Drops a client's metadata, or everybody's, and the answers made with it.
  open func expireMetadataCache(_ client: ClientName? = nil) {
    if let client {
      clientChanged(client)
    } else {
      repositoryChanged()
      metadataCache.removeAll()
    }
  }

  /// Expires the caches of Caching plugins of one kind.
  /// - Parameters:
  ///   - interface: the interface that a plugin must also have, for example `(any Connector).self`.
  ///   - key: a client's name, nil for everything.
  open func expireCaches<Interface>(of interface: Interface.Type, key: ClientName? = nil) {
    for plugin in interfaces.caching where plugin is Interface { plugin.expireCache(key: key) }
    if let key { clientChanged(key) } else { repositoryChanged() }
  }

  /// Loaded plugins that have an interface, in ascending `sortOrder`, then by name.
  public func plugins<Interface>(of interface: Interface.Type) -> [Interface] {
    PluginInterfaces.sorted(plugins.values).compactMap { $0 as? Interface }
  }

  // MARK: The run

  /// Loads the plugins, which read the repository; watches bcfg2.conf; starts services of plugins; and serves. A
  /// failure, or a `shutdown` meanwhile, leaves the core shut down.
  ///
  /// - Throws: `CoreInitError` if no Metadata plugin could be loaded; what a `Threaded` plugin or `serve` throws.
  public func run() async throws {
    let start = MonotonicTime.now()
    do {
      if !isChild { templates.checks.gather() }
      try loadPlugins()
      fileMonitor.add(settings.configurationFile, recursive: false, handler: self)
      startPerformanceLog()
      for plugin in interfaces.threaded { try await plugin.startThreads() }
      blockForFileEvents()
      await beginDatabase()
      logger.debug("Slept \((MonotonicTime.now() - start).threeDecimals) seconds while handling FAM events")
      await updateRevisionIfNeeded()
      try await repositoryLoaded()
      guard !isShutDown else { return }
      try await serve()
      templates.checks.begin()
    } catch {
      hasFailed = true
      shutdown()
      throw error
    }
  }

  /// Delivers every pending event of the file monitor. With `[server] fam_blocking = false` it only starts to, unless
  /// `handlesEvents`.
  ///
  /// - Parameter handlesEvents: read everything before returning: for tools, which must not show half a repository.
  public func blockForFileEvents(handlesEvents: Bool = false) {
    if let deferred = fileMonitor as? DeferredMonitor {
      if handlesEvents { deferred.readAll() } else { deferred.begin() }
    }
    fileMonitor.processPending()
  }

  /// Called once the repository is read, before the first client is served.
  open func repositoryLoaded() async throws {}

  /// Starts to answer clients. The base core answers only its callers.
  open func serve() async throws {}

  // MARK: bcfg2.conf

  /// The name of the class, as `list_event_handlers` shows it.
  public var handlerName: String { name }

  /// bcfg2.conf is not part of the repository.
  public var followsRepository: Bool { false }

  /// Reads the settings again after bcfg2.conf changed. They were read at the start already; deleting the file keeps
  /// them.
  public func handleEvent(_ event: FileEvent) {
    guard event.path == settings.configurationFile else {
      logger.error("Got event for unknown file: \(event.path)")
      return
    }
    guard event.action == .changed || event.action == .created else { return }
    reloadSettings(repeatsProblems: false)
  }

  /// What is wrong with bcfg2.conf, as it was logged last; nil where nothing is.
  private var settingsProblem: String?

  /// Reads bcfg2.conf again. Logs a bad file and keeps the old settings.
  ///
  /// - Parameter repeatsProblems: whether to log what was logged before: not for the events of an editor that writes a file
  ///   in several steps.
  package func reloadSettings(repeatsProblems: Bool = true) {
    guard let readSettings else { return }
    do {
      let fresh = try readSettings()
      settingsProblem = nil
      for warning in fresh.warnings { logger.warning("\(warning)") }
      let (adapted, notices) = fresh.adapted(to: settings)
      for notice in notices { logger.warning("\(notice)") }
      let old = settings
      settingsChanged(adapted)
      startPerformanceLog()
      onSettingsChanged?(old, adapted)
    } catch {
      let problem = "\(error)\(Self.advice(error, settings))"
      guard repeatsProblems || problem != settingsProblem else { return }
      settingsProblem = problem
      logger.error("bcfg2.conf was not read, the old settings stay: \(problem)")
    }
  }

  /// Advice for a bcfg2.conf that root could read at the start and this process cannot.
  private static func advice(_ error: any Error, _ settings: Settings) -> String {
    guard settings.user != 0, geteuid() == settings.user, case SettingsError.unreadable = error else { return "" }
    let (user, group) = Accounts.names(of: geteuid(), getegid())
    return ". The server has given up its privileges: let user \(user) or group \(group) read it, or restart the server"
  }

  // MARK: What a core of several processes does otherwise

  /// True in a process that only builds configurations for its parent. The parent alone writes to the repository, and
  /// passes on data that plugins keep in memory (`Replicated`).
  open var isChild: Bool { false }

  /// True in a process that only inspects a repository: files that a server would create count as empty.
  open var isReadOnly: Bool { false }

  /// True in a process whose children render templates: it starts its own renderers only when needed.
  open var delegatesRendering: Bool { false }

  /// Returns a client's configuration, escaped for an XML-RPC string: the cached one if it is current.
  ///
  /// - Throws: as `buildConfiguration`.
  open func renderConfiguration(_ client: ClientName) async throws -> ByteSegments {
    try await configurationBytes(client)
  }

  /// Execution times by name.
  open func getStatistics() async throws -> Value {
    .structure((statistics.value.members ?? []) + partStatistics)
  }

  /// Called after a call of an administrator or client succeeded or failed.
  open func didPerform(_ call: MethodCall) {}

  /// Calls a method of a plugin in every other process that has the plugin; those of `Plugin.childRMI` can be called.
  open func callChildren(_ plugin: Plugin, _ method: String, _ parameters: [Value]) async -> [Value] { [] }

  /// Passes on a client's data that a plugin has stored on disk, to other processes with the plugin.
  open func replicate(_ data: [UInt8], of client: ClientName, for plugin: any Replicated) {}

  /// Tells other processes with the plugin to read its data again, after the plugin did.
  open func replicasExpired(of plugin: any Replicated) {}

  /// Calls the ClientRunHooks plugins and logs those that fail.
  open func clientRunHook(_ stage: ClientRunStage, _ metadata: ClientMetadata) async {
    logger.debug("Running \(stage.rawValue) hooks for \(metadata.facts.hostname)")
    await timed(stage.statisticName) {
      for plugin in interfaces.clientRunHooks where plugin.stages.contains(stage) {
        do {
          switch stage {
          case .start: try await plugin.startClientRun(metadata)
          case .end: try await plugin.endClientRun(metadata)
          case .statistics: try await plugin.endStatistics(metadata)
          }
        } catch {
          logger.error("\(plugin.name): Error invoking hook \(stage.rawValue): \(error)")
        }
      }
    }
  }

  /// Stops plugins and file monitor, once.
  open func shutdown() {
    guard !isShutDown else {
      logger.debug("\(name): Core already shut down")
      return
    }
    isShutDown = true
    performanceTimer?.cancel()
    refusals.endWindow()
    clientRuns.endAll()
    let level = hasFailed ? Logger.Level.debug : .info
    logger.log(level: level, "\(name): Shutting down core...")
    holdTimer?.cancel()
    fileMonitor.shutdown()
    logger.log(level: level, "\(name): FAM shut down")
    for plugin in plugins.values { plugin.shutdown() }
    logger.log(level: level, "\(name): All plugins shut down")
    database?.close()
    templates.shutdown()
  }

  /// Logs a failure that ends a request, and returns the fault for its client: -32500, `Critical failure: MESSAGE`.
  ///
  /// - Parameter cause: logged after the message, where Bcfg2 logs a traceback; the client does not see it.
  public func criticalError(_ message: String, cause: (any Error)? = nil) -> Fault {
    if let cause {
      let text = "\(cause)"
      logger.error("\(message) [\(Swift.type(of: cause))\(message.hasSuffix(text) ? "" : ": \(text)")]")
    } else {
      logger.error("\(message)")
    }
    guard let cause, message.hasSuffix("\(cause)") else { return .critical(message) }
    return .critical(message.dropLast("\(cause)".count) + textForClients(cause))
  }

  /// Runs `body` and records how long it took under `NAME:OPERATION`.
  package func timed<Result>(_ operation: String, _ body: () async throws -> Result) async rethrows -> Result {
    let start = MonotonicTime.now()
    defer { recordTime(operation, since: start) }
    return try await body()
  }

  /// Records under `NAME:OPERATION` the time since `start`.
  func recordTime(_ operation: String, since start: MonotonicTime) {
    let slot: ExecutionStatistics.Slot
    if let known = operationStatistics[operation] {
      slot = known
    } else {
      slot = statistics.slot("\(name):\(operation)")
      operationStatistics[operation] = slot
    }
    statistics.add(slot, MonotonicTime.now() - start)
  }
}

/// Options that each request reads, looked up once when the settings change: a look-up costs as much as a comparison of
/// passwords.
public struct RequestSettings {
  /// `[communication] password`.
  public let password: String?
  /// `[communication] authentication`: of clients for which clients.xml says nothing else.
  public let authentication: String
  /// `[communication] passwords`: without them the certificate of a client is all that counts.
  public let acceptsPasswords: Bool
  /// Whether certificates of clients are verified: `[communication] ca`.
  public let verifiesCertificates: Bool
  /// `[caching] client_metadata`.
  public let clientMetadataCache: MetadataCacheMode
  /// `[logging] client_runs`.
  public let logsClientRuns: Bool

  init(_ settings: Settings) {
    password = settings.password
    authentication = settings.authentication
    acceptsPasswords = settings.acceptsPasswords
    verifiesCertificates = settings.certificateAuthority != nil
    clientMetadataCache = settings.clientMetadataCache
    logsClientRuns = settings.logsClientRuns
  }
}
