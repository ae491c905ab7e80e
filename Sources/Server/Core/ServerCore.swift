import EventLoop
import Logging
import OrderedCollections
import XMLRPC

/// The server core: plugins, metadata, configurations. It knows no transport; a core implementation (`BuiltinCore`)
/// puts one in front of it.
///
/// Source of the contract: the server core's development document, class BaseCore; docs/core.md has its members side by
/// side with ours.
open class ServerCore {
  /// The loop that everything runs on.
  public final let loop: EventLoop
  /// bcfg2.conf and command line. Replaced by `settingsChanged`.
  public final private(set) var settings: Settings
  public final let logger = Logger(label: "bcfg2-server")
  /// The file monitor that tells of changes to the repository.
  public final let fileMonitor: any FileMonitor
  /// Names and addresses of hosts, without waiting on the loop.
  public final let resolver: any AddressResolver
  /// Execution times, as `bcfg2-admin perf` prints them.
  public final let statistics = ExecutionStatistics()
  /// Loaded plugins by name, in the order of `[server] plugins`.
  public final internal(set) var plugins: OrderedDictionary<String, Plugin> = [:]
  /// Plugin to those that it conflicts with and that were loaded before it.
  public final internal(set) var pluginBlacklist: OrderedDictionary<String, [String]> = [:]
  /// Plugins by interface, each list in `sortOrder`.
  public final internal(set) var interfaces = PluginInterfaces()
  /// The Metadata plugin; set by `loadPlugins`.
  public final internal(set) var metadata: (any Metadata)!
  /// Revision of the repository, `-1` where no Version plugin tells it.
  public final internal(set) var revision = "-1"
  /// Finished metadata by client, where `[caching] client_metadata` says so.
  public final internal(set) var metadataCache: [String: ClientMetadata] = [:]
  /// Answers that may be given again.
  final let keptAnswers: KeptAnswers
  /// Changes that no change set of the file monitor tells of.
  final var ownChanges: UInt64 = 0
  /// Changes by client, of clients that had any.
  final var clientGenerations: [String: UInt64] = [:]
  /// State of the core's debug flag.
  public final internal(set) var isDebugging: Bool
  /// Renders files of the repository that are Genshi templates; nil where there is none. Set before plugins are loaded.
  public var xmlTemplateRenderer: (any XMLTemplateRenderer)?
  /// Groups that connectors defined, with the connector's name.
  final var dynamicGroups: [String: String] = [:]
  /// Places of the statistics of `bind`, by entry tag, and of `timed`, by operation.
  final var bindStatistics: [String: ExecutionStatistics.Slot] = [:]
  final var operationStatistics: [String: ExecutionStatistics.Slot] = [:]
  /// The repository's generation for which `revision` was asked for.
  final var revisionGeneration: UInt64?
  final var performanceTimer: Timer?
  private(set) var isShutDown = false

  /// The name that statistics and log lines show: of the class, as Bcfg2's.
  open var name: String { "Core" }

  /// A core on a loop. Plugins are loaded by `loadPlugins`.
  public init(settings: Settings, loop: EventLoop, fileMonitor: any FileMonitor, resolver: any AddressResolver) {
    self.settings = settings
    self.loop = loop
    self.fileMonitor = fileMonitor
    self.resolver = resolver
    self.keptAnswers = KeptAnswers(limitBytes: settings.keptConfigurationBytes)
    self.isDebugging = settings.debug
    fileMonitor.isDebugging = settings.debug
  }

  /// `[caching] client_metadata`, `on` read as `cautious`.
  public var metadataCacheMode: MetadataCacheMode { settings.clientMetadataCache }

  /// Takes new settings: bcfg2.conf was edited or the server got SIGHUP.
  open func settingsChanged(_ settings: Settings) {
    self.settings = settings
    repositoryChanged()
    metadataCache.removeAll()
    keptAnswers.limitBytes = settings.keptConfigurationBytes
    for plugin in plugins.values { plugin.settingsChanged() }
  }

  /// Forgets what is known of one client, or of all: metadata, and answers that were made with it.
  public func expireMetadataCache(_ client: String? = nil) {
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
  public func expireCaches<Interface>(of interface: Interface.Type, key: String? = nil) {
    for plugin in interfaces.caching where plugin is Interface { plugin.expireCache(key: key) }
    if let key { clientChanged(key) } else { repositoryChanged() }
  }

  /// Loaded plugins that have an interface, in ascending `sortOrder`, then by name.
  public func plugins<Interface>(of interface: Interface.Type) -> [Interface] {
    PluginInterfaces.sorted(plugins.values).compactMap { $0 as? Interface }
  }

  /// Stops plugins and file monitor. Only the first call does something.
  open func shutdown() {
    guard !isShutDown else {
      logger.debug("\(name): Core already shut down")
      return
    }
    isShutDown = true
    performanceTimer?.cancel()
    logger.info("\(name): Shutting down core...")
    fileMonitor.shutdown()
    logger.info("\(name): FAM shut down")
    for plugin in plugins.values { plugin.shutdown() }
    logger.info("\(name): All plugins shut down")
  }

  /// Logs a failure that ends a request, and makes the fault for its client.
  public func criticalError(_ message: String) -> Fault {
    logger.error("\(message)")
    return .critical(message)
  }

  /// Runs `body` and records how long it took under `NAME:OPERATION`.
  func timed<Result>(_ operation: String, _ body: () async throws -> Result) async rethrows -> Result {
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
