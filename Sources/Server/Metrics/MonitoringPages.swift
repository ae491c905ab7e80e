import EventLoop
import Glibc
import Logging
import Monitoring
import ServerSettings
import XMLRPC

/// /metrics, /healthz and /readyz where `[metrics] listen` says, or at the sockets that the service manager passed. An
/// address that cannot be had costs clients nothing: it is logged and tried again.
final class MonitoringPages {
  /// How long after a failure an address is tried again.
  static let retryInterval = Duration.seconds(30)
  /// Sets of figures that may be collected at once, and in each second on the average. Scrapers that ask more often get
  /// figures that were collected before.
  private static let burst = 20.0
  private static let perSecond = 2.0

  private let loop: Reactor
  private let logger: Logger
  private let refusals: RefusalLog
  /// Collects all figures but those of this object.
  private let collect: () async -> MetricSamples
  /// Why the server does not answer clients as it should; empty: it is ready.
  private let obstacles: () -> [String]
  /// Whether the process still serves, though it may not be ready.
  private let isAlive: () -> Bool
  /// Whether the sockets are the service manager's: `[metrics] listen` has no effect then.
  private var isPassed = false
  /// Who may ask at those, besides this machine.
  private var networks: [NetworkPrefix] = []
  private var wanted: MonitoringPlace?
  private var place: MonitoringPlace?
  private var owner: (user: uid_t, group: gid_t) = (0, 0)
  private var server: PageServer?
  private var file: UnixSocketFile?
  private var retry: Timer?
  private var hasFailed = false
  /// Answers of page servers that are gone, by status.
  private var earlierAnswers: [Int: Int] = [:]

  private var tokens = MonitoringPages.burst
  private var lastCollection: MonotonicTime?
  private var collection: Task<MetricSamples, Never>?
  private var figures: MetricSamples?
  /// `figures` as text, as far as somebody asked for it.
  private var texts: [MetricsText: [UInt8]] = [:]

  init(
    on loop: Reactor, logger: Logger, refusals: RefusalLog, collect: @escaping () async -> MetricSamples,
    obstacles: @escaping () -> [String], isAlive: @escaping () -> Bool
  ) {
    self.loop = loop
    self.logger = logger
    self.refusals = refusals
    self.collect = collect
    self.obstacles = obstacles
    self.isAlive = isAlive
  }

  isolated deinit { retry?.cancel() }

  /// What the pages are served at; nil while they are not.
  private(set) var address: SocketAddress?

  // MARK: Listening

  /// Serves at sockets of the service manager, whose place nothing changes.
  ///
  /// - Parameter descriptors: listening sockets, TCP or UNIX, which are this object's from now on.
  /// - Throws: `SystemError` of epoll_ctl and the like.
  func serve(passed descriptors: [Int32], _ settings: Settings) throws(SystemError) {
    isPassed = true
    followNetworks(settings)
    let fresh = makeServer { [unowned self] peer in MonitoringPlace.allows(peer, networks) }
    server = fresh
    for descriptor in descriptors {
      let bound = try fresh.serve(FileDescriptor(owning: descriptor))
      address = address ?? bound
      tell(bound)
      if !bound.isLoopback, networks.isEmpty {
        logger.warning("Only this machine may ask for metrics at \(bound): [metrics] allow names no networks")
      }
    }
    if settings.origin(of: MetricsOptions.standard.listen) != .builtIn {
      logger.info("\(descriptors.count) sockets of the service manager are used for metrics, not [metrics] listen")
    }
  }

  private func followNetworks(_ settings: Settings) {
    do throws(SettingsError) {
      networks = try settings.monitoringNetworks()
    } catch {
      // The process has refused such settings before.
      logger.error("The metrics stay as they are: \(error)")
    }
  }

  /// Serves where the settings say from now on.
  func follow(_ settings: Settings) {
    if isPassed { return followNetworks(settings) }
    owner = (settings.user, settings.group)
    do throws(SettingsError) {
      wanted = try settings.monitoringPlace()
    } catch {
      // The process has refused such settings before.
      logger.error("The metrics stay as they are: \(error)")
      return
    }
    retry?.cancel()
    retry = nil
    hasFailed = false
    guard let wanted else { return end() }
    if wanted.address == place?.address {
      place = wanted
      return
    }
    attempt()
  }

  /// Stops serving.
  func close() {
    wanted = nil
    retry?.cancel()
    retry = nil
    end()
  }

  private func end() {
    if let server {
      earlierAnswers.merge(server.answers) { $0 + $1 }
      server.close()
    }
    server = nil
    place = nil
    address = nil
    file?.remove()
    file = nil
  }

  private func attempt() {
    retry = nil
    guard let wanted else { return }
    do throws(SystemError) {
      try begin(wanted)
      if hasFailed { logger.notice("The metrics are served now") }
      hasFailed = false
    } catch {
      if !hasFailed {
        let staying = place == nil ? "" : ", and stay at the former address"
        logger.error("The metrics cannot be served at \(wanted.address)\(staying); trying again: \(error)")
      }
      hasFailed = true
      retry = loop.schedule(after: Self.retryInterval) { [weak self] in self?.attempt() }
    }
  }

  /// Listens at another address; the former one ends once that is had.
  private func begin(_ wanted: MonitoringPlace) throws(SystemError) {
    let fresh = makeServer { [unowned self] peer in place?.allows(peer) ?? false }
    let bound: SocketAddress
    var made: UnixSocketFile?
    if case .unix(let path) = wanted.address {
      bound = try fresh.serve(
        UnixSocketFile.listen(at: path, mode: 0o660, owner: geteuid() == 0 ? owner : nil, backlog: 16))
      made = try UnixSocketFile(at: path)
    } else {
      bound = try fresh.serve(Self.bind(wanted.address))
    }
    end()
    server = fresh
    file = made
    place = wanted
    address = bound
    tell(bound)
  }

  private func makeServer(allowing allows: @escaping (SocketAddress) -> Bool) -> PageServer {
    let made = PageServer(on: loop, logger: logger) { [unowned self] in answer($0) }
    made.allows = allows
    made.onRefused = { [refusals, logger] peer in
      refusals.write(
        .notice, of: peer.host, to: logger, "\(peer): a monitor that [metrics] allow does not name was refused")
    }
    return made
  }

  private func tell(_ bound: SocketAddress) {
    let shown = if case .unix(let path) = bound { "unix:\(path)" } else { "http://\(bound)/metrics" }
    logger.info("metrics available at \(shown)")
  }

  private static func bind(_ address: SocketAddress) throws(SystemError) -> FileDescriptor {
    do throws(SystemError) {
      return try Listener.bind(to: address, backlog: 16)
    } catch {
      guard error.errno == EADDRINUSE else { throw error }
      throw SystemError(
        call: error.call, errno: error.errno, detail: error.detail,
        explanation: "\(error.reason): another program has the port (ss -ltnp shows it)")
    }
  }

  // MARK: Pages

  private func answer(_ request: PageRequest) -> Answer<HTTPResponse> {
    switch request.path {
    case "/metrics":
      let form = MetricsText(accept: request.accept)
      if collection == nil, !mayCollect(), let text = text(form) { return .now(Self.page(form, text)) }
      return .later { [self] in
        await refresh()
        return text(form).map { Self.page(form, $0) } ?? .error(status: 503)
      }
    case "/healthz": return .now(isAlive() ? Self.line(200, "ok") : Self.line(503, "the server has ended its work"))
    case "/readyz":
      let reasons = obstacles()
      return .now(reasons.isEmpty ? Self.line(200, "ready") : Self.line(503, reasons.joined(separator: "; ")))
    default: return .now(.error(status: 404))
    }
  }

  private static func page(_ form: MetricsText, _ text: [UInt8]) -> HTTPResponse {
    HTTPResponse(
      status: 200, headers: [HTTPField("Content-Type", form.contentType), HTTPField("Cache-Control", "no-store")],
      body: ByteSegments(text))
  }

  private static func line(_ status: Int, _ text: String) -> HTTPResponse {
    HTTPResponse(
      status: status,
      headers: [HTTPField("Content-Type", "text/plain; charset=utf-8"), HTTPField("Cache-Control", "no-store")],
      body: ByteSegments("\(text)\n"))
  }

  // MARK: Figures

  /// Claims one of the collections that may be made now.
  private func mayCollect() -> Bool {
    if let last = lastCollection {
      let seconds = Double((loop.now - last).wholeNanoseconds) / 1e9
      tokens = min(Self.burst, tokens + seconds * Self.perSecond)
    }
    lastCollection = loop.now
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }

  /// Collects the figures. All who ask meanwhile wait for the same ones.
  private func refresh() async {
    if let collection {
      _ = await collection.value
      return
    }
    let made = Task {
      var samples = await collect()
      samples.add(ServerMetrics.ready, obstacles().isEmpty)
      for (status, count) in earlierAnswers { samples.add(ServerMetrics.pages, ["\(status)"], count) }
      for (status, count) in server?.answers ?? [:] { samples.add(ServerMetrics.pages, ["\(status)"], count) }
      figures = samples
      texts = [:]
      return samples
    }
    collection = made
    _ = await made.value
    collection = nil
  }

  private func text(_ form: MetricsText) -> [UInt8]? {
    if let text = texts[form] { return text }
    guard let figures else { return nil }
    let text = form.bytes(ServerMetrics.all, figures)
    texts[form] = text
    return text
  }
}
