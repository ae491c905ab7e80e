import Commands
import Core
import EventLoop
import Glibc
import Logging
import Plugins
import ReportRecords
import Server
import ServerSettings

/// The process: settings, log, background, privileges, the lock of the spool, signals, end.
@MainActor
final class CollectorProcess {
  /// How long a second process waits for the first: as Bcfg2's for its pid file.
  private static let lockPatience = Duration.seconds(5)
  private static let lockInterval = Duration.milliseconds(200)

  private let settings: Settings
  private let isOnce: Bool
  private let isOfServer: Bool
  private let spool: String
  private var logger: Logger { Logger(label: "bcfg2-report-collector") }
  private var collector: Collector?
  private var isStopping = false
  private var input: Watcher?
  private let manager: NotifySocket

  /// - Parameter manager: the service manager.
  init(_ arguments: Arguments, _ manager: NotifySocket) throws {
    self.manager = manager
    var settings = try Settings.load(arguments.options, registry: PluginRegistry.standard.settings)
    isOnce = arguments.once
    isOfServer = arguments.ofServer
    // A child of the server has its log there.
    if isOfServer {
      settings.pidFile = nil
    }
    self.settings = settings
    spool = "\(settings.repository)/Reporting/\(SpoolSegment.folder)"
  }

  /// Runs until a signal ends it, or with `--once` until the spool is empty.
  ///
  /// - Returns: the exit status.
  func run() throws -> Int32 {
    umask(mode_t(settings.umask))
    let (report, pidFile) = try begin()
    do {
      try settings.useReportZone()
      if settings[ReportingOptions.standard.transport] == "DirectStore", !isOnce, !isOfServer {
        throw CollectorError(
          "with [reporting] transport = DirectStore the server runs its own collector: set LocalFilesystem to run one yourself"
        )
      }
      guard isFolder(settings.repository) else {
        throw CollectorError("repository \(settings.repository) does not exist or is not a folder")
      }
      try Privileges.drop(user: settings.user, group: settings.group)
      try makeFolders(spool, below: settings.repository)
      let configuration = try Collector.Configuration(settings, spool: spool)
      let status = try Reactor.runAsMain { [self] loop in
        do {
          return try await serve(configuration, report, loop)
        } catch {
          return failed(error, report, pidFile)
        }
      }
      pidFile?.remove()
      return status
    } catch {
      return failed(error, report, pidFile)
    }
  }

  private func failed(_ error: any Error, _ report: StartReport?, _ pidFile: PidFile?) -> Int32 {
    logger.error("\(error)")
    manager.send(["STOPPING=1", NotifySocket.status("\(error)")])
    // The command that started it ends with the report, and an init script then looks at the file.
    pidFile?.remove()
    report?.failed("bcfg2-report-collector: \(error)")
    return 1
  }

  /// Goes to the background where that was asked for, and opens the log.
  private func begin() throws -> (StartReport?, PidFile?) {
    if isOfServer {
      LogSetup.bootstrap(settings, forwardingTo: ReportLines())
      return (nil, nil)
    }
    guard let path = settings.pidFile else {
      try LogSetup.bootstrap(settings, program: "bcfg2-report-collector")
      return (nil, nil)
    }
    try Daemonize.makeFolder(ofPidFile: path, user: settings.user, group: settings.group)
    if let holder = PidFile.holder(of: path) { throw PidFileError.held(path: path, by: holder) }
    let report = try Daemonize.detach(umask: settings.umask, notifying: manager)
    do {
      let file = try PidFile.acquire(path, user: settings.user, group: settings.group)
      try LogSetup.bootstrap(settings, program: "bcfg2-report-collector")
      logger.info("Starting daemon")
      return (report, file)
    } catch {
      report.failed("Failed to daemonize: \(error)")
      exit(1)
    }
  }

  private func serve(
    _ configuration: Collector.Configuration, _ report: StartReport?, _ loop: Reactor
  ) async throws -> Int32 {
    let signals = try Signals([SIGTERM, SIGINT, SIGHUP], on: loop) { [weak self] event in
      if event.signal == SIGHUP { Log.reopen() } else { self?.stop("signal \(event.signal)") }
    }
    defer { signals.close() }
    if isOfServer { try watchServer(loop) }
    defer { input?.cancel() }
    guard let lock = try await lock(loop) else { return 0 }
    defer { withExtendedLifetime(lock) {} }
    report?.ready()
    manager.send(["READY=1", "MAINPID=\(getpid())", NotifySocket.status("Storing reports of \(spool)")])
    let collector = Collector(configuration, isOnce: isOnce, on: loop, logger: logger)
    self.collector = collector
    if isStopping { return 0 }
    return try await collector.run()
  }

  /// The server holds the other end of standard input, and closes it when it ends.
  private func watchServer(_ loop: Reactor) throws(SystemError) {
    let flags = fcntl(STDIN_FILENO, F_GETFL)
    _ = fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK)
    input = try loop.register(STDIN_FILENO, interest: .read) { [weak self] _ in
      var byte: UInt8 = 0
      let count = read(STDIN_FILENO, &byte, 1)
      if count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR)) { return }
      self?.input?.cancel()
      self?.input = nil
      self?.stop("the server's end")
    }
  }

  private func stop(_ reason: String) {
    if isStopping { return }
    logger.info("Shutting down: \(reason)")
    isStopping = true
    manager.send(["STOPPING=1", NotifySocket.status("Storing what was begun")])
    collector?.stop()
  }

  /// Locks the spool, so that one process at a time reads it.
  ///
  /// - Returns: nil if the process is to end meanwhile.
  private func lock(_ loop: Reactor) async throws -> LockFile? {
    let file = try LockFile("\(spool)/collector.lock")
    let begin = loop.refreshNow()
    var hasComplained = false
    while true {
      if try file.take() { return file }
      if isStopping { return nil }
      if loop.refreshNow() - begin >= Self.lockPatience, !hasComplained {
        let reason = "another bcfg2-report-collector reads \(spool)"
        // That of the server which ended a moment ago finishes what it has begun.
        guard isOfServer else { throw CollectorError(reason) }
        logger.warning("Reporting: \(reason); waiting for it")
        hasComplained = true
      }
      try? await loop.sleep(for: Self.lockInterval)
    }
  }
}

/// Why the collector cannot do its work.
struct CollectorError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A file that one process at a time has locked.
private final class LockFile {
  private let descriptor: FileDescriptor
  private let path: String

  init(_ path: String) throws(SystemError) {
    self.path = path
    descriptor = try .open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
  }

  func take() throws(SystemError) -> Bool {
    if flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 { return true }
    guard errno == EWOULDBLOCK || errno == EINTR else { throw SystemError(call: "flock", errno: errno, detail: path) }
    return false
  }
}
