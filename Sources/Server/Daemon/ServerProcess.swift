import CLinux
import Core
public import EventLoop
import Glibc
import Logging
public import Networking
import OrderedCollections
import Plugins
import Repository
public import ServerSettings

/// Runs the server's process: settings, background, privileges, loop, core, signals, end.
public final class ServerProcess {
  private let settings: Settings
  private var options: CommandLineOptions
  /// Computed: a logger made before the log is set up would not use it.
  private var logger: Logger { Logger(label: "bcfg2-server") }
  private var pidFile: PidFile?
  private var report: StartReport?
  private var signals: Signals?
  private let service: ServiceEnvironment
  private let notifySocket: NotifySocket
  private let makeNIO: ((Reactor, Settings) -> any ConnectionLibrary)?
  private var manager: ServiceManager?
  private var core: (any CoreImplementation)?
  private var status: Int32 = 0
  /// Resumed when the core has stopped.
  private var ending: CheckedContinuation<Void, Never>?
  private var isEnded = false
  private var isStopping = false
  /// Until then `logger` uses swift-log's own output.
  private var hasLog = false
  /// Messages from before the log was set up.
  private var earlyMessages: [(level: Logger.Level, message: Logger.Message)] = []

  /// - Parameters:
  ///   - service: what a service manager said to this process.
  ///   - makeNIO: makes the library of `[server] backend = nio`; nil in a build without it.
  /// - Throws: `SettingsError` naming file, line and option.
  public init(
    _ options: CommandLineOptions, service: ServiceEnvironment = ServiceEnvironment(),
    makeNIO: ((Reactor, Settings) -> any ConnectionLibrary)? = nil
  ) throws {
    self.service = service
    self.makeNIO = makeNIO
    notifySocket = NotifySocket(service.notifySocket)
    settings = try Settings.load(options, registry: PluginRegistry.standard.settings)
    self.options = options
    // The daemon has another working folder.
    self.options.configurationFile = settings.configurationFile
    self.options.makePathsAbsolute(settings)
    try settings.requireBackend(hasNIO: makeNIO != nil)
    try settings.requireRenderers()
    _ = try settings.monitoringPlace()
  }

  /// Runs until a signal ends the server. Returns the exit status.
  ///
  /// - Throws: an error before the process went to the background.
  public func run() throws -> Int32 {
    if let path = settings.pidFile {
      try daemonize(path)
    } else {
      umask(mode_t(settings.umask))
    }
    do {
      try LogSetup.bootstrap(settings)
      hasLog = true
      for (level, message) in earlyMessages { logger.log(level: level, message) }
      let result = try Reactor.runAsMain { [self] loop in
        do {
          try await serve(on: loop)
        } catch {
          startFailed(error)
        }
        return status
      }
      TemporaryFolder.removeAll()
      pidFile?.remove()
      return result
    } catch {
      startFailed(error)
      return 1
    }
  }

  private func daemonize(_ path: String) throws {
    if let folder = try Daemonize.makeFolder(ofPidFile: path, user: settings.user, group: settings.group) {
      earlyMessages.append((.warning, "\(folder), the folder of the pid file, does not exist, creating"))
    }
    if let holder = PidFile.holder(of: path) {
      let error = PidFileError.held(path: path, by: holder)
      try LogSetup.bootstrap(settings)
      logger.error("Failed to daemonize bcfg2-server: \(error)")
      throw error
    }
    report = try Daemonize.detach(umask: mode_t(settings.umask), notifying: notifySocket)
    do {
      let file = try PidFile.acquire(path, user: settings.user, group: settings.group)
      // A stopped server leaves an empty file in a folder from which it may not remove it.
      if let line = file.replacement { earlyMessages.append((file.replaced == 0 ? .info : .warning, "\(line)")) }
      earlyMessages.append((.info, "bcfg2-server daemonized"))
      pidFile = file
    } catch {
      do throws(SystemError) {
        try LogSetup.bootstrap(settings)
        hasLog = true
        logger.error("Failed to daemonize bcfg2-server: \(error)")
      } catch let second {
        earlyMessages.append((.error, "\(second)"))
      }
      startFailed(error)
      exit(1)
    }
  }

  private func startFailed(_ error: any Error) {
    status = 1
    notifySocket.send(["STOPPING=1", NotifySocket.status("Server startup failed: \(error)")])
    if hasLog {
      logger.error("Server startup failed: \(error)")
    } else if report == nil {
      let line = Array("bcfg2-server: Server startup failed: \(error)\n".utf8)
      _ = write(STDERR_FILENO, line, line.count)
    }
    // The command that started it ends with the report, and an init script then looks at the file.
    pidFile?.remove()
    report?.failed("bcfg2-server: Server startup failed: \(error)")
  }

  private func serve(on loop: Reactor) async throws {
    // Refuse a missing folder: an unmounted file system is not an empty repository, in which plugins would create
    // folders.
    guard isFolder(settings.repository) else {
      throw CoreInitError("repository \(settings.repository) does not exist or is not a folder")
    }
    guard
      let monitor = FileMonitorFactory.make(settings.fileMonitor, ignoring: settings.ignoredFiles, on: loop)
    else { throw CoreInitError("Failed to instantiate fam driver \(settings.fileMonitor)") }
    let first: any FileMonitor = settings.isFileMonitorBlocking ? monitor : DeferredMonitor(monitor, on: loop)
    let resolver = HostResolver(on: loop)
    // A core that was started has shut the monitor down already; one that failed to start has not.
    defer {
      signals?.close()
      resolver.shutdown()
      first.shutdown()
    }
    Log.gather(on: loop)
    defer { Log.endGathering(on: loop) }
    let manager = ServiceManager(notifySocket, watchdog: service.watchdog, on: loop, logger: logger)
    self.manager = manager
    defer { manager.stopTimers() }
    for problem in service.problems { logger.warning("\(problem)") }
    let core = makeCore(loop, first, resolver)
    core.passedSockets = PassedSockets(service.passed)
    manager.proveLife = { [unowned core] in core.library.proveLife($0) }
    if manager.isActive {
      core.onLoading = { [unowned manager] in manager.loads("Loading \($0)") }
      first.onProgress = { [unowned manager] in manager.readsFile() }
    }
    core.opensDatabases()
    core.readSettings = { [options, hasNIO = makeNIO != nil] in
      let fresh = try Settings.load(options, registry: PluginRegistry.standard.settings)
      try fresh.requireBackend(hasNIO: hasNIO)
      try fresh.requireRenderers()
      _ = try fresh.monitoringPlace()
      return fresh
    }
    core.onSettingsChanged = { [unowned self, unowned core] in applySettings($1, replacing: $0, core) }
    self.core = core
    // Before the repository is read, so that a signal during a long start is not lost.
    signals = try Signals([SIGTERM, SIGINT, SIGHUP, SIGUSR1], on: loop) { [self] in handle($0.signal) }
    do {
      try core.open()
      core.passedSockets.closeRest(logger)
      try Privileges.drop(user: settings.user, group: settings.group)
    } catch {
      core.hasFailed = true
      await withCheckedContinuation { done in core.stop { done.resume() } }
      throw error
    }
    core.hasDroppedPrivileges = settings.user != 0
    logger.debug("Dropped privileges to \(getuid()):\(getgid()).")
    Log.router.checkReopening()
    loop.fileWriter.synchronizer = SyncHelpers(on: loop)
    TemporaryFolder.removeLeftovers(of: settings[TemplateOptions.standard.user])
    for path in AtomicFile.removeLeftovers(below: settings.repository) {
      logger.notice("Removed \(path), which an interrupted write left")
    }
    // A separate task, so that a plugin that never gets ready does not keep a signal from ending the process.
    var failure: (any Error)?
    let starting = Task {
      do {
        try await core.run()
        if manager.isActive, !isEnded {
          manager.loads("Starting processes")
          await core.processesStarted()
        }
        if !isEnded {
          await tellReady(core)
          report?.ready()
        }
        // Startup code is not used again.
        Self.releaseMemory()
        loop.whenQuiet(for: Self.quietTime) { Self.releaseMemory() }
      } catch {
        failure = error
        core.stop { [self] in end() }
      }
    }
    if !isEnded { await withCheckedContinuation { ending = $0 } }
    starting.cancel()
    if let failure { throw failure }
  }

  /// A server without events for this time is idle: longer than the pauses in a client's run.
  private static let quietTime: Duration = .seconds(5)

  /// Pages of code return from the page cache when they are used again: about 0.3 ms for a request.
  private static func releaseMemory() {
    _ = clinux_release_code_pages()
    _ = clinux_malloc_trim(0)
  }

  /// Tells the service manager that clients are served.
  private func tellReady(_ core: BuiltinCore) async {
    guard let manager, manager.isActive else { return }
    let clients = await core.metadata.listClients().count
    guard !isEnded, !isStopping else { return }
    manager.ready("Serving \(counted(clients, "client")) with \(counted(core.plugins.count, "plugin"))")
  }

  private func end() {
    isEnded = true
    ending?.resume()
    ending = nil
  }

  /// Makes the core of `[server] backend`; `best` is the builtin one, `nio` the same on another library.
  private func makeCore(
    _ loop: Reactor, _ monitor: any FileMonitor, _ resolver: any AddressResolver
  ) -> BuiltinCore {
    guard settings.backend == "multiprocessing" else {
      let core = BuiltinCore(
        settings: settings, loop: loop, fileMonitor: monitor, resolver: resolver, registry: .standard)
      if settings.backend == "nio", let makeNIO { core.library = makeNIO(loop, settings) }
      return core
    }
    let core = MultiprocessingCore(
      settings: settings, loop: loop, fileMonitor: monitor, resolver: resolver, registry: .standard)
    core.commandLine = options
    return core
  }

  /// Applies the process's own settings after they were read again.
  private func applySettings(_ fresh: Settings, replacing old: Settings, _ core: BuiltinCore) {
    if fresh.umask != old.umask { umask(mode_t(fresh.umask)) }
    guard !LogSetup.isSame(fresh, old) else { return }
    do {
      try LogSetup.change(fresh)
      if fresh.debug != old.debug { _ = core.setCoreDebug(fresh.debug) }
    } catch {
      logger.error("The log stays as it is: \(error)")
    }
  }

  private func handle(_ signal: Int32) {
    guard let core else { return }
    if signal == SIGHUP {
      manager?.reloading("Reading configuration, certificates and repository again")
      core.reload()
      if let core = core as? BuiltinCore { Task { await tellReady(core) } }
      return
    }
    if signal == SIGUSR1 {
      core.logCounters()
      return
    }
    logger.info("Got signal \(signal), stopping")
    isStopping = true
    manager?.stopping("Finishing the answers in progress")
    core.stop { [self] in end() }
  }
}
