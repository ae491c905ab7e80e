import CLinux
public import Core
import EventLoop
import Glibc
public import Identity
import Logging
package import Monitoring
import OrderedCollections
import Repository
public import ServerSettings
public import XMLRPC

/// The multiprocessing core: the builtin core with child processes that build the configurations.
///
/// The parent has the sockets, authentication, probes and statistics, and alone writes to the repository. It passes
/// `GetConfig` to a child (`ChildCore`): a complete core with a file monitor of its own. A child that dies or hangs is
/// replaced, and its unanswered requests go to another one.
///
/// Source of the contract: the server core's development document, MultiprocessingCore; Bcfg2/bcfg2:
/// src/lib/Bcfg2/Server/MultiprocessingCore.py. docs/core.md maps our types to its classes.
public final class MultiprocessingCore: BuiltinCore {
  /// How long children may take to end before they are killed: Bcfg2's `shutdown_timeout`.
  public var shutdownTimeout = Duration.seconds(10)

  public override var name: String { "MultiprocessingCore" }
  public override var delegatesRendering: Bool { true }

  /// Free memory that the parent keeps for the next large answers.
  private static let freeBytes = 8 << 20

  /// The command line, which the children follow too.
  public var commandLine = CommandLineOptions()
  /// Starts child processes.
  var launcher = ChildLauncher()

  private(set) lazy var pool = ChildPool(selection: settings.childSelection, loop: loop, logger: logger)
  private lazy var figures = ChildFigures(pool, on: loop, logger: logger)
  private lazy var cache = DispatchingCache(queue: pool.queue)
  private let created = MonotonicTime.now()
  /// Configurations built here because no child could.
  private(set) var ownBuilds = 0
  /// The child that made a configuration of a profile last: most of it is the same for the next client.
  private var profileChildren: NameTable<String> = [:]
  private static let profileLimit = 1024

  /// `[server] children`, by default the number of processors.
  public var childCount: Int { settings.children ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

  /// Process numbers of the running children.
  public var childProcesses: [Int32] { pool.children.compactMap(\.processID) }

  /// Number of children that can build.
  var readyChildren: Int { pool.children.count { $0.isReady } }
  /// How often children were restarted.
  var restarts: Int { pool.children.reduce(0) { $0 + $1.restarts } }

  // MARK: Life

  public override func repositoryLoaded() async throws {
    let timeout = Duration.seconds(settings.childSeconds)
    // A child reads what the parent has just read, but with other children beside it.
    let limits = ChildSlot.Limits(silence: timeout, start: max(timeout, (MonotonicTime.now() - created) * 10))
    // Half megabytes for answers come and go. A refusal only costs time, so ignore it.
    _ = clinux_malloc_keep(Self.freeBytes)
    pool.queue.onRepositoryChanged = { [unowned self] in repositoryChanged() }
    pool.start(count: childCount, limits: limits) { [unowned self] name, onExit in try launch(name, onExit) }
    logger.debug("Started \(pool.children.count) children")
  }

  public override func processesStarted() async { await pool.started() }

  /// Stops the builtin core, then the children.
  public override func stop(_ completion: @escaping () -> Void) {
    super.stop { [self] in stopChildren(completion) }
  }

  /// Stops the children; a second call kills them.
  func stopChildren(_ completion: @escaping () -> Void) { pool.stop(limit: shutdownTimeout, completion) }

  private func launch(
    _ name: String, _ onExit: @escaping (ChildProcess.ExitStatus) -> Void
  ) throws -> LaunchedChild {
    let child = try launcher.launch(name, loop, onExit)
    child.channel.send(.call, MethodCall(method: "start", params: [startValue(name)]).encode())
    return child
  }

  /// The settings and state that a child needs before it reads the repository.
  private func startValue(_ name: String) -> Value {
    [
      "name": .string(name), "settings": ChildSettings.encode(settings, commandLine),
      "core_debug": .bool(isDebugging), "fam_debug": .bool(fileMonitor.isDebugging),
      "plugin_debug": .structure(plugins.map { Value.Member($0, .bool($1.isDebugging)) }),
    ]
  }

  public override func settingsChanged(_ settings: Settings) {
    super.settingsChanged(settings)
    pool.selection = settings.childSelection
    pool.queue.publish("settings", [ChildSettings.encode(settings, commandLine)])
  }

  public override func reload() {
    super.reload()
    pool.queue.publish("rescan")
  }

  // MARK: Configurations

  /// Returns a client's configuration, built by a child.
  ///
  /// Serves the cached answer while nothing that it was made from has changed, without involving a child. The parent
  /// builds a configuration itself if the build has to write to the repository, or if no child runs or is being
  /// started.
  ///
  /// - Throws: what the child's build threw; a `Fault` if the request ended several children.
  public override func renderConfiguration(_ client: ClientName) async throws -> ByteSegments {
    let start = MonotonicTime.now()
    if let cached = cachedConfiguration(client) {
      recordGeneration(client, MonotonicTime.now() - start)
      return answerCache.serve(cached)
    }
    // A restarted child has not read the folder that is missing now.
    if let trouble = missingFolder { return try await buildHere(client, "\(trouble.path) is missing") }
    let request = RenderRequest(client: client, label: RequestScope.current, cost: CallCost.current)
    while true {
      let made = generation(of: client)
      let profile = metadata.recordedProfile(of: client)
      let preferred = profile.flatMap { profileChildren[$0] }
      let acquired = await CallCost.waiting(for: .children) {
        await pool.acquire(mayGiveUp: !request.isSuspect, preferring: preferred)
      }
      guard let child = acquired else {
        return try await buildHere(client, "no child process is running")
      }
      if let profile { remember(child, for: profile) }
      pool.release(child)
      logger.debug("Building configuration for \(client) on \(child)")
      do {
        let document = try await pool.queue.render(request, on: child)
        guard let cacheable = request.cacheable, answerCache.limitBytes > 0, !interfaces.hasRunHooks,
          let cut = cacheable.cut(document, like: { answerCache.structure(like: $0) })
        else { return document }
        await cacheConfiguration(cut, client, madeFrom: made, revision: cacheable.revision)
        return cut
      } catch RPCError.refused {
        return try await buildHere(client, "it has to write to the repository")
      } catch RPCError.childGone(let end) {
        guard request.lost(end) else {
          throw criticalError("Building the configuration of \(client) ended several child processes, the last: \(end)")
        }
      }
    }
  }

  private func remember(_ child: String, for profile: String) {
    if profileChildren.count >= Self.profileLimit { profileChildren.removeAll() }
    profileChildren[profile] = child
  }

  private func buildHere(_ client: ClientName, _ reason: String) async throws -> ByteSegments {
    ownBuilds += 1
    logger.info("Building the configuration of \(client) in the parent process: \(reason)")
    return try await super.renderConfiguration(client)
  }

  // MARK: What the children must know

  public override func expireMetadataCache(_ client: ClientName? = nil) {
    super.expireMetadataCache(client)
    cache.expire(client)
  }

  public override func expireCaches<Interface>(of interface: Interface.Type, key: ClientName? = nil) {
    super.expireCaches(of: interface, key: key)
    for plugin in interfaces.caching where plugin is Interface { cache.expire(plugin: plugin.name, key) }
  }

  public override func callChildren(_ plugin: Plugin, _ method: String, _ parameters: [Value]) async -> [Value] {
    var answers: [Value] = []
    for child in pool.children where child.isReady {
      do {
        answers.append(try await pool.call(child.name, "\(plugin.name).\(method)", parameters))
      } catch {
        logger.error("\(child.name) did not answer \(plugin.name).\(method): \(error)")
      }
    }
    return answers
  }

  public override func replicate(_ data: [UInt8], of client: ClientName, for plugin: any Replicated) {
    pool.queue.publish("RecvProbeData", [.string(plugin.name), .string(client.text), .bytes(data)])
  }

  public override func replicasExpired(of plugin: any Replicated) {
    pool.queue.publish("reload_replicas", [.string(plugin.name)])
  }

  /// Forwards debug state, and calls to plugins that also have state in the children.
  public override func didPerform(_ call: MethodCall) {
    switch call.method {
    case "set_debug", "toggle_debug": pool.queue.publish("set_debug", [.bool(isDebugging)])
    case "set_core_debug", "toggle_core_debug": pool.queue.publish("set_core_debug", [.bool(isDebugging)])
    case "set_fam_debug", "toggle_fam_debug", "\(fileMonitor.name).set_debug", "\(fileMonitor.name).toggle_debug":
      pool.queue.publish("set_fam_debug", [.bool(fileMonitor.isDebugging)])
    default:
      guard let dot = call.method.firstIndex(of: "."), let plugin = plugins[String(call.method[..<dot])],
        let method = plugin.childRMI[String(call.method[call.method.index(after: dot)...])]
      else { return }
      logger.debug("Dispatching RMI call to \(call.method) to children: \(plugin.name).\(method)")
      pool.queue.publish("\(plugin.name).\(method)", call.params)
    }
  }

  /// SIGUSR1: also logs the state of the children.
  public override func logCounters() {
    super.logCounters()
    let hangs = pool.children.reduce(0) { $0 + $1.hangs }
    let state =
      "Children: \(childProcesses.count) run, \(readyChildren) ready; \(restarts) restarts,"
    let lost = "\(hangs) of them after hanging; \(ownBuilds) configurations built in the parent"
    logger.notice("\(state) \(lost)")
  }

  // MARK: Statistics

  package override func metricSamples() async -> MetricSamples {
    var samples = await super.metricSamples()
    let (sums, unheard) = await figures.collect()
    samples.add(sums)
    samples.add(ServerMetrics.children, ["running"], childProcesses.count)
    samples.add(ServerMetrics.children, ["ready"], readyChildren)
    samples.add(ServerMetrics.childRestarts, restarts)
    samples.add(ServerMetrics.childHangs, pool.children.reduce(0) { $0 + $1.hangs })
    samples.add(ServerMetrics.childQueue, pool.waiterCount)
    samples.add(ServerMetrics.ownBuilds, ownBuilds)
    samples.add(ServerMetrics.childrenSilent, unheard)
    return samples
  }

  package override func obstaclesToService() -> [String] {
    let others = super.obstaclesToService()
    guard others.isEmpty, readyChildren == 0 else { return others }
    return ["no child process is ready"]
  }

  /// Execution times of all processes: children's under `Child-N:`, the parent's unchanged, and sums under `Total:`.
  public override func getStatistics() async throws -> Value {
    var aggregate = AggregatedStatistics()
    for child in pool.children where child.isReady {
      do {
        aggregate.add(try await pool.call(child.name, "get_statistics"), prefix: child.name)
      } catch {
        logger.error("No statistics of \(child.name): \(error)")
      }
    }
    aggregate.add(try await super.getStatistics(), prefix: nil)
    return aggregate.value
  }
}

/// Forwards the expiry of caches to the children: Bcfg2's DispatchingCache, and the expire hook of its cache.
final class DispatchingCache {
  private let queue: RPCQueue

  init(queue: RPCQueue) { self.queue = queue }

  /// Expires the metadata of a client, or of all.
  func expire(_ client: ClientName?) {
    queue.publish("expire_metadata_cache", [client.map { .string($0.text) } ?? .nil])
  }

  /// Expires a plugin's cache, of a client or of all.
  func expire(plugin: String, _ key: ClientName?) {
    queue.publish("expire_cache", [.string(plugin), key.map { .string($0.text) } ?? .nil])
  }
}
