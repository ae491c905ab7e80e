public import EventLoop
import Glibc
public import Identity
public import Logging
public import OrderedCollections
public import Repository
public import ServerSettings
public import XMLRPC

/// The server core: plugins, metadata, configurations. It knows no transport; a core implementation (`BuiltinCore`)
/// puts one in front of it.
///
/// Source of the contract: the server core's development document, class BaseCore; docs/core.md has its members side by
/// side with ours.
///
/// Used directly it is the in-process core: `run` loads everything, and calls are made by `dispatch` or by name. Tests and
/// tools need no other.
open class ServerCore: FileEventHandler {
  /// The loop that everything runs on.
  public final let loop: Reactor
  /// bcfg2.conf and command line. Replaced by `settingsChanged`.
  public final private(set) var settings: Settings
  public final package(set) var logger = Logger(label: "bcfg2-server")
  /// The file monitor that tells of changes to the repository.
  public final let fileMonitor: any FileMonitor
  /// Names and addresses of hosts, without waiting on the loop.
  public final let resolver: any AddressResolver
  /// The plugins that `[server] plugins` may name.
  public final let registry: PluginRegistry
  /// Lines about clients and strangers that were refused.
  public final let refusals: RefusalLog
  /// Execution times, as `bcfg2-admin perf` prints them.
  public final let statistics = ExecutionStatistics()
  /// Loaded plugins by name, in the order of `[server] plugins`.
  public final package(set) var plugins: OrderedDictionary<String, Plugin> = [:] {
    didSet {
      interfaces = PluginInterfaces(plugins.values)
      repositoryChanged()
    }
  }
  /// Plugin to those that it conflicts with and that were loaded before it.
  public final internal(set) var pluginBlacklist: OrderedDictionary<String, [String]> = [:]
  /// Plugins by interface, each list in `sortOrder`.
  public final internal(set) var interfaces = PluginInterfaces()
  /// The Metadata plugin; set by `loadPlugins`.
  public final internal(set) var metadata: (any Metadata)!
  /// Revision of the repository, `-1` where no Version plugin tells it.
  public final internal(set) var revision = "-1"
  /// Finished metadata by client, where `[caching] client_metadata` says so.
  public final internal(set) var metadataCache: [ClientName: ClientMetadata] = [:]
  /// Answers that may be given again.
  package final let answerCache: AnswerCache
  /// Changes that no change set of the file monitor tells of.
  package final var ownChanges: UInt64 = 0
  /// Changes by client, of clients that had any.
  final var clientGenerations: [ClientName: UInt64] = [:]
  /// Changes of whatever client.
  final var clientChanges: UInt64 = 0
  /// State of the core's debug flag.
  public final internal(set) var isDebugging: Bool
  /// Renders the templates of the repository.
  public final private(set) lazy var templates = TemplateRenderer(core: self)
  /// Renders XML files of the repository that are templates: `templates`, unless another one was set before plugins are
  /// loaded.
  public var xmlTemplateRenderer: (any XMLTemplateRenderer)? {
    get { otherXMLTemplateRenderer ?? templates }
    set { otherXMLTemplateRenderer = newValue }
  }
  private var otherXMLTemplateRenderer: (any XMLTemplateRenderer)?
  /// Reads bcfg2.conf and the command line again. The process gives it; without it the settings stay as they are.
  public var readSettings: (() throws -> Settings)?
  /// Told of settings that were read again, the old ones first: for what is the process's, such as its log.
  public var onSettingsTaken: ((Settings, Settings) -> Void)?
  /// Groups that connectors defined, with the connector's name.
  final var dynamicGroups: NameTable<String> = [:]
  /// Places of the statistics of `bind`, by entry tag, and of `timed`, by operation.
  final var bindStatistics: [(tag: String, slot: ExecutionStatistics.Slot)] = []
  final var operationStatistics: [String: ExecutionStatistics.Slot] = [:]
  /// What `revision` was asked for; nil before the first time.
  final var revisionState: RevisionState?
  /// How often a Version plugin said that there may be another revision.
  final var revisionMarks: UInt64 = 0
  /// The look-up of the revision that is under way.
  final var revisionLookUp: Task<Void, Never>?
  /// Answers for which edits wait, and who waits for these edits: see OneState.swift.
  final var holdCount = 0
  /// How long edits wait for answers: longer than anything but a hanging program takes.
  final var holdLimit: Duration = .seconds(10)
  final var holdNumber: UInt64 = 0
  final var holdTimer: Timer?
  final var holdWaiters: [CheckedContinuation<Void, Never>] = []
  final var performanceTimer: Timer?
  /// Whether `run` failed. What is said at the end of a server that has served is then of interest to nobody.
  package final var hasFailed = false
  /// Shut down: once, for good.
  public final private(set) var isShutDown = false

  /// The name that statistics and log lines show: of the class, as Bcfg2's.
  open var name: String { "Core" }

  /// A core on a loop. Plugins are loaded by `loadPlugins`.
  public init(
    settings: Settings, loop: Reactor, fileMonitor: any FileMonitor, resolver: any AddressResolver,
    registry: PluginRegistry
  ) {
    self.settings = settings
    self.loop = loop
    self.fileMonitor = fileMonitor
    self.resolver = resolver
    self.registry = registry
    self.refusals = RefusalLog(on: loop)
    self.answerCache = AnswerCache(limitBytes: settings.answerCacheBytes)
    self.isDebugging = false
    boundPrograms()
    fileMonitor.repository = settings.repository
    fileMonitor.isDebugging = settings.debug
    if settings.debug { setCoreDebug(true) }
  }

  /// Whether there is a database that plugins can keep data in. There is none: what Bcfg2 can keep in one is in files
  /// (clients.xml, probed.xml), and a plugin that is told to use a database is not loaded. A core with one says so here.
  open var isDatabaseAvailable: Bool { false }

  /// `[caching] client_metadata`, `on` read as `cautious`.
  public var metadataCacheMode: MetadataCacheMode { settings.clientMetadataCache }

  /// Takes new settings: bcfg2.conf was edited or the server got SIGHUP.
  open func settingsChanged(_ settings: Settings) {
    self.settings = settings
    boundPrograms()
    repositoryChanged()
    metadataCache.removeAll()
    answerCache.limitBytes = settings.answerCacheBytes
    templates.settingsChanged()
    for plugin in plugins.values { plugin.settingsChanged() }
  }

  /// How many programs of plugins run at once, and how long.
  private func boundPrograms() {
    let queue = loop.childQueue
    if let count = settings.value("server", "programs")?.value.integer { queue.limit = count }
    if let count = settings.value("server", "waiting_programs")?.value.integer { queue.waitingLimit = count }
    if let count = settings.value("server", "program_timeout")?.value.integer { queue.timeLimit = .seconds(count) }
  }

  /// Forgets what is known of one client, or of all: metadata, and answers that were made with it.
  open func expireMetadataCache(_ client: ClientName? = nil) {
    if let client {
      clientChanged(client)
    } else {
      repositoryChanged()
      metadataCache.removeAll()
    }
  }

  /// Makes the Caching plugins of a kind forget what they know.
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

  /// Loads the plugins, which read the repository, watches bcfg2.conf, starts what plugins run by themselves, and serves.
  /// A failure, or a `shutdown` meanwhile, ends in a core that is shut down.
  ///
  /// - Throws: `CoreInitError` where no Metadata plugin could be loaded; what a `Threaded` plugin or `serve` throws.
  public func run() async throws {
    let start = MonotonicTime.now()
    do {
      if !isChild { templates.checks.gather() }
      try loadPlugins()
      fileMonitor.add(settings.configurationFile, recursive: false, handler: self)
      startPerformanceLog()
      for plugin in interfaces.threaded { try await plugin.startThreads() }
      blockForFileEvents()
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

  /// Delivers every event of the file monitor that is waiting. With `[server] fam_blocking = false` it only begins to,
  /// unless it is to handle them itself.
  ///
  /// - Parameter handlesEvents: read it all before returning whatever the settings say: for tools, which are not to
  ///   show half a repository.
  public func blockForFileEvents(handlesEvents: Bool = false) {
    if let deferred = fileMonitor as? DeferredMonitor {
      if handlesEvents { deferred.readAll() } else { deferred.begin() }
    }
    fileMonitor.processPending()
  }

  /// Called once the repository is read, before the first client is served.
  open func repositoryLoaded() async throws {}

  /// Begins to answer clients. The base core has none but its callers.
  open func serve() async throws {}

  // MARK: bcfg2.conf

  /// The name of the class, as `list_event_handlers` shows it.
  public var handlerName: String { name }

  /// bcfg2.conf is not the repository's.
  public var followsRepository: Bool { false }

  /// Reads the settings again when bcfg2.conf changed. It was read at the start; a deleted one leaves them as they are.
  public func handleEvent(_ event: FileEvent) {
    guard event.path == settings.configurationFile else {
      logger.error("Got event for unknown file: \(event.path)")
      return
    }
    guard event.action == .changed || event.action == .created else { return }
    reloadSettings()
  }

  /// Reads bcfg2.conf again. A bad file is logged and the old settings stay.
  package func reloadSettings() {
    guard let readSettings else { return }
    do {
      let fresh = try readSettings()
      for warning in fresh.warnings { logger.warning("\(warning)") }
      let (adapted, notices) = fresh.adapted(to: settings)
      for notice in notices { logger.warning("\(notice)") }
      let old = settings
      settingsChanged(adapted)
      startPerformanceLog()
      onSettingsTaken?(old, adapted)
    } catch {
      logger.error("bcfg2.conf was not read, the settings stay as they are: \(error)\(Self.advice(error, settings))")
    }
  }

  /// What to do about a bcfg2.conf that root could read at the start, and that this process cannot read any more.
  private static func advice(_ error: any Error, _ settings: Settings) -> String {
    guard settings.user != 0, geteuid() == settings.user, case SettingsError.unreadable = error else { return "" }
    let (user, group) = Accounts.names(of: geteuid(), getegid())
    return ". The server has given up its privileges: let user \(user) or group \(group) read it, or restart the server"
  }

  // MARK: What a core of several processes does otherwise

  /// True in a process that only builds configurations for another one, its parent, which alone writes to the
  /// repository and passes on what plugins keep in memory (`Replicated`).
  open var isChild: Bool { false }

  /// True in a process that looks at a repository and makes nothing in it: what a server would make counts as empty.
  open var onlyLooks: Bool { false }

  /// True in a process whose children render templates: its own renderers are there for what they are needed for.
  open var leavesRendering: Bool { false }

  /// The configuration of a client, as the document stands inside an XML-RPC string: the kept one where it is right.
  ///
  /// - Throws: as `buildConfiguration`.
  open func renderConfiguration(_ client: ClientName) async throws -> ByteSegments {
    try await configurationBytes(client)
  }

  /// Execution times by name.
  open func getStatistics() async throws -> Value { statistics.value }

  /// Called after a call of an administrator or client was carried out.
  open func carriedOut(_ call: MethodCall) {}

  /// Data of a client that a plugin has taken in, after it is on disk: for other processes that have the plugin.
  open func replicate(_ data: [UInt8], of client: ClientName, for plugin: any Replicated) {}

  /// A plugin has read its data anew: other processes that have the plugin are to do the same.
  open func replicasExpired(of plugin: any Replicated) {}

  /// Calls the ClientRunHooks plugins. A failing one is logged.
  open func clientRunHook(_ stage: ClientRunStage, _ metadata: ClientMetadata) async {
    logger.debug("Running \(stage.rawValue) hooks for \(metadata.hostname)")
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

  /// Stops plugins and file monitor. Only the first call does something.
  open func shutdown() {
    guard !isShutDown else {
      logger.debug("\(name): Core already shut down")
      return
    }
    isShutDown = true
    performanceTimer?.cancel()
    refusals.endWindow()
    let level = hasFailed ? Logger.Level.debug : .info
    logger.log(level: level, "\(name): Shutting down core...")
    holdTimer?.cancel()
    fileMonitor.shutdown()
    logger.log(level: level, "\(name): FAM shut down")
    for plugin in plugins.values { plugin.shutdown() }
    logger.log(level: level, "\(name): All plugins shut down")
    templates.shutdown()
  }

  /// Logs a failure that ends a request, and makes the fault for its client: -32500, `Critical failure: MESSAGE`.
  ///
  /// - Parameter cause: logged behind the message, where Bcfg2 logs a traceback; the client does not see it.
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
    defer { noteTime(operation, since: start) }
    return try await body()
  }

  /// Records under `NAME:OPERATION` how long something took that began at `start`.
  func noteTime(_ operation: String, since start: MonotonicTime) {
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
