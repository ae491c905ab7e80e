import Core
import EventLoop
import Glibc
import Logging
package import Monitoring
public import Networking
import Repository
public import ServerSettings
public import XMLRPC

/// The builtin core: the base core behind listeners, TLS connections and HTTP, which are the loop's own, or another
/// library's (`library`).
///
/// `open` binds the sockets and reads key and certificate; privileges may be dropped then; `run` loads the repository
/// and starts serving; `stop` ends it.
public class BuiltinCore: NetworkCore, CoreImplementation {
  public override var name: String { library.coreName }

  /// Accepts connections and does TLS. To be set before `open`.
  public lazy var library: any ConnectionLibrary = LoopConnections(on: loop)
  /// The live connections; set by `open`.
  public private(set) var connections: ConnectionTable!
  private var certificates: ServerCertificates?
  private var sockets: [SocketAddress] = []
  private var lastExhaustedReport: MonotonicTime?
  private var isStopping = false
  private var isServing = false
  private var isReloading = false
  /// Listening sockets that the process inherited.
  package var passedSockets = PassedSockets()
  /// Whether another server goes on with the listening sockets.
  private var hasPassedSockets = false
  /// Names that socket units give to those for clients: by FileDescriptorName=, and without it.
  private static let socketNames = ["bcfg2", "bcfg2-server.socket"]
  /// Names that socket units give to those for monitors.
  private static let monitoringSocketNames = ["metrics", "bcfg2-metrics.socket"]
  private var monitoring: MonitoringPages?
  /// Whether the process dropped privileges after `open`: root could perhaps read files that it now cannot.
  public var hasDroppedPrivileges = false {
    didSet { certificates?.hasDroppedPrivileges = hasDroppedPrivileges }
  }

  /// Binds the addresses of `[components] bcfg2` (every address with `[server] listen_all`) and reads key, certificate
  /// and CA. Needs the privileges that the server may drop afterwards.
  ///
  /// - Throws: `TLSContextError`, `SystemError`; `CoreInitError` if no address could be bound.
  public func open() throws {
    let certificates = try ServerCertificates(settings, on: loop, logger: logger)
    self.certificates = certificates
    var limits = NetworkLimits(settings)
    if let warning = DescriptorLimit.provide(for: &limits) { logger.warning("\(warning)") }
    connections = ConnectionTable(on: loop, handler: self, limits: limits, context: certificates.context)
    connections.proxies = ProxyRules(settings)
    connections.refusals = refusals
    let shortcomings = try library.open(for: connections, context: certificates.context)
    library.onExhausted = { [unowned self] error in reportExhaustion(error) }
    let passed = try passedSockets.take(Self.socketNames, includesUnnamed: true)
    if passed.isEmpty {
      for address in try listenAddresses() { try listen(address) }
    } else {
      hasPassedSockets = true
      for descriptor in passed { try listen(on: FileDescriptor(owning: descriptor)) }
      logger.info("\(passed.count) listening sockets of the service manager are used, not [components] bcfg2")
    }
    try openMonitoring()
    guard !sockets.isEmpty else { throw CoreInitError("No address to listen on for \(settings.location)") }
    for shortcoming in shortcomings { logger.warning("\(shortcoming)") }
  }

  /// Starts accepting connections. Those made while the repository was read wait in the kernel's queue.
  public override func serve() async throws {
    isServing = true
    try await library.serve()
    for address in sockets { logger.info("service available at https://\(address)") }
    logger.info("serving bcfg2-server at https://\(settings.location.host):\(settings.location.port)")
    logger.info("serve_forever() [start]")
  }

  /// Waits for the processes that this core starts to serve with. The builtin core has none.
  public func processesStarted() async {}

  // MARK: Monitoring

  private func openMonitoring() throws {
    let pages = MonitoringPages(on: loop, logger: logger, refusals: refusals) { [unowned self] in
      await metricSamples()
    } obstacles: { [unowned self] in
      obstaclesToService()
    } isAlive: { [unowned self] in
      !isShutDown
    }
    monitoring = pages
    let passed = try passedSockets.take(Self.monitoringSocketNames, allowsUNIX: true)
    if passed.isEmpty { pages.follow(settings) } else { try pages.serve(passed: passed, settings) }
  }

  /// Where monitors are answered; nil: nowhere.
  final var monitoringAddress: SocketAddress? { monitoring?.address }

  /// All figures of this server for /metrics.
  package func metricSamples() async -> MetricSamples {
    var samples = MetricSamples()
    addShared(to: &samples)
    await addOwn(to: &samples)
    addNetwork(to: &samples)
    return samples
  }

  /// Why clients are not answered, or not as they should be, for /readyz; empty: they are.
  package func obstaclesToService() -> [String] {
    if isStopping || isShutDown { return ["the server stops"] }
    return (isServing ? [] : ["the repository is being read"]) + obstacles
  }

  /// When the certificates that are in use are valid.
  final var certificateValidities: [CertificateValidity] { certificates?.context.validities ?? [] }

  /// Stops accepting, finishes the answers in progress (bounded by `[server] drain_timeout`), shuts the core down and
  /// calls `completion`. A second call ends at once.
  public func stop(_ completion: @escaping () -> Void) {
    certificates?.cancel()
    guard !isStopping, connections != nil else {
      monitoring?.close()
      library.end()
      shutdown()
      completion()
      return
    }
    isStopping = true
    let wasServing = isServing && !sockets.isEmpty
    sockets = []
    if wasServing { logger.info("serve_forever() [stop]") }
    library.close { [self] in
      if wasServing { logger.info("server_close()") }
      drain(completion)
    }
  }

  private func drain(_ completion: @escaping () -> Void) {
    connections.drain(finishesNew: hasPassedSockets) { [self] in
      library.finish { [self] in
        // Until here monitors see that it stops.
        monitoring?.close()
        shutdown()
        completion()
      }
    }
  }

  /// SIGHUP: reads bcfg2.conf, certificates and the whole repository again, and reopens the log.
  ///
  /// Logs errors and keeps the old state of whatever failed.
  public func reload() {
    Log.reopen()
    logger.notice("Reading configuration, certificates and repository again")
    isReloading = true
    reloadSettings()
    isReloading = false
    certificates?.reload(settings)
    fileMonitor.rescan()
  }

  /// Applies settings that may change while the server runs; `Settings.fixed` lists those that may not.
  public override func settingsChanged(_ settings: Settings) {
    super.settingsChanged(settings)
    monitoring?.follow(settings)
    guard let connections else { return }
    if !isReloading, let certificates, certificates.differs(from: settings) { certificates.reload(settings) }
    connections.proxies = ProxyRules(settings)
    var limits = NetworkLimits(settings)
    if let warning = DescriptorLimit.provide(for: &limits) { logger.warning("\(warning)") }
    if limits != connections.limits { connections.limits = limits }
  }

  public override var httpLimits: HTTPLimits { connections?.limits.http ?? NetworkLimits(settings).http }

  /// SIGUSR1: logs the network's counters since the start.
  public func logCounters() {
    guard let connections else { return }
    logger.notice("Network: \(connections.count) connections now, \(connections.unauthenticatedCount) unauthenticated")
    for line in connections.counters.report { logger.notice("\(line)") }
    logger.notice("\(partReport)")
    if let line = templates.counters { logger.notice("\(line)") }
  }

  private func listenAddresses() throws -> [SocketAddress] {
    let port = settings.location.port
    if settings.listensOnAll {
      return [.ipv6(high: 0, low: 0, port: port), .ipv4(0, port: port)]
    }
    let found: [SocketAddress]
    do {
      found = try SocketAddress.resolve(host: settings.location.host, port: port)
    } catch {
      let origin = settings.origin(of: "components", "bcfg2")
      throw CoreInitError("\(origin): [components] bcfg2 = \(settings.location): \(error)")
    }
    guard let first = found.first else {
      throw CoreInitError("Failed to bind to socket: \(settings.location.host) has no address")
    }
    // A name with addresses of both families gets both; Python listens on the first only.
    return [first] + found.dropFirst().filter { $0.family != first.family }.prefix(1)
  }

  private func listen(_ address: SocketAddress) throws(SystemError) {
    let socket: FileDescriptor
    do throws(SystemError) {
      socket = try Listener.bind(to: address)
    } catch {
      if error.errno == EADDRINUSE {
        throw SystemError(
          call: error.call, errno: error.errno, detail: error.detail,
          explanation: "\(error.reason): another program has the port, perhaps another bcfg2-server (ss -ltnp shows it)"
        )
      }
      guard error.errno == EAFNOSUPPORT || error.errno == EADDRNOTAVAIL else { throw error }
      // A machine without IPv6 (or IPv4) serves the other family.
      logger.info("Not listening on \(address): \(error)")
      return
    }
    try listen(on: socket)
  }

  private func listen(on socket: consuming FileDescriptor) throws(SystemError) {
    sockets.append(try library.listen(on: socket))
  }

  private func reportExhaustion(_ error: SystemError) {
    connections.recordExhaustion()
    // It is tried again each second: log once a minute.
    if let last = lastExhaustedReport, loop.now - last < .seconds(60) { return }
    lastExhaustedReport = loop.now
    logger.error("\(error); new clients wait until connections end. Raise LimitNOFILE of the service (ulimit -n)")
  }
}
