import Core
import EventLoop
import Glibc
import Logging
import PackageSources
import ServerSettings

/// Has sources fetched: by one `bcfg2-packages` at a time, which the server starts.
final class SourceFetcher {
  /// What to fetch.
  enum Scope: Int, Comparable {
    /// Sources without an index, and keys that are not there.
    case missing
    case all

    static func < (one: Scope, other: Scope) -> Bool { one.rawValue < other.rawValue }
  }

  private let loop: Reactor
  private let logger: Logger
  private let settings: () -> Settings
  private var run: FetchRun?
  /// The fetch after this one, and who waits for it.
  private var next: (scope: Scope, waiters: [CheckedContinuation<Void, Never>])?
  /// Those who wait for something to happen to a source.
  private var watchers: [CheckedContinuation<Void, Never>] = []
  /// Sources that failed and have no index, as far as the last fetch said.
  private(set) var failed: Set<String> = []
  private var isStopped = false
  private var timer: Timer?

  var isRunning: Bool { run != nil || next != nil }

  init(loop: Reactor, logger: Logger, settings: @escaping () -> Settings) {
    self.loop = loop
    self.logger = logger
    self.settings = settings
  }

  // MARK: Fetching

  /// Fetches, after what is under way: what has changed since that began may not be in it.
  ///
  /// - Returns: when it is done, well or not; the log says how.
  func fetch(_ scope: Scope) async {
    guard !isStopped else { return }
    await withCheckedContinuation { add(scope, [$0]) }
  }

  /// The same, for nobody who waits.
  func start(_ scope: Scope) {
    if !isStopped { add(scope, []) }
  }

  private func add(_ scope: Scope, _ waiters: [CheckedContinuation<Void, Never>]) {
    next = (max(scope, next?.scope ?? scope), (next?.waiters ?? []) + waiters)
    begin()
  }

  private func begin() {
    guard run == nil, let (scope, waiters) = next else { return }
    next = nil
    let settings = settings()
    do throws(SystemError) {
      run = try FetchRun(
        command(scope, settings), configuration: unreadableConfiguration(settings),
        limit: settings[PackagesOptions.standard.fetchLimit], on: loop
      ) { [unowned self] in take($0) }
    } catch {
      logger.error(
        "Packages: The sources cannot be fetched: \(error). The program belongs beside the server, or [packages] fetch_program names it"
      )
      return finish(waiters)
    }
    guard let run else { return }
    Task {
      if let problem = await run.wait() { logger.error("Packages: The sources were not all fetched: \(problem)") }
      self.run = nil
      finish(waiters)
    }
  }

  private func finish(_ waiters: [CheckedContinuation<Void, Never>]) {
    begin()
    for waiter in waiters { waiter.resume() }
    wake()
  }

  private func take(_ line: FetchRun.Line) {
    switch line {
    case .log(let level, let text): logger.log(level: level, "\(text)")
    case .source(let name, let outcome):
      if outcome == .failed { failed.insert(name) } else { failed.remove(name) }
      wake()
    }
  }

  private func wake() {
    let waiting = watchers
    watchers = []
    for waiter in waiting { waiter.resume() }
  }

  /// Waits until something is known of a source, or a time is over.
  func waitForNews(until deadline: MonotonicTime) async {
    guard isRunning, loop.now < deadline else { return }
    let timer = loop.schedule(after: deadline - loop.now) { [weak self] in self?.wake() }
    await withCheckedContinuation { watchers.append($0) }
    timer.cancel()
  }

  /// Ends the program, and starts none again.
  func stop() {
    isStopped = true
    timer?.cancel()
    timer = nil
    run?.stop()
    let waiters = next?.waiters ?? []
    next = nil
    for waiter in waiters { waiter.resume() }
    wake()
  }

  // MARK: The command

  private func command(_ scope: Scope, _ settings: Settings) -> [String] {
    let isReadable = access(settings.configurationFile, R_OK) == 0
    var command = [
      Self.program(settings), "refresh", "--report", "-C",
      isReadable ? settings.configurationFile : "/dev/fd/3", "-Q", settings.repository,
    ]
    if scope == .missing { command.append("--missing") }
    return command
  }

  /// The text of a bcfg2.conf that only root can read, as the server read it before it gave up being root.
  private func unreadableConfiguration(_ settings: Settings) -> [UInt8]? {
    access(settings.configurationFile, R_OK) == 0 ? nil : settings.files.texts[settings.configurationFile]
  }

  /// The program: that of the options, else the one beside this executable.
  static func program(_ settings: Settings) -> String {
    if let path = settings[PackagesOptions.standard.program] { return path }
    return ProgramBeside.path("bcfg2-packages")
  }

  // MARK: The interval

  /// Fetches all sources again and again, as `[packages] refresh` says. Each time is put off by up to a tenth, so that the
  /// servers of a site do not ask one mirror at once.
  func startInterval() {
    timer?.cancel()
    timer = nil
    guard !isStopped, let interval = settings()[PackagesOptions.standard.refreshInterval] else { return }
    let delay = interval * (1 + Double.random(in: 0..<0.1))
    timer = loop.schedule(after: delay) { [weak self] in
      self?.start(.all)
      self?.startInterval()
    }
  }
}
