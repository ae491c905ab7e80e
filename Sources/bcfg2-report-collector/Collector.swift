import Databases
import EventLoop
import Glibc
import Logging
import ReportRecords
import ReportStore
import ServerSettings

/// Takes what is in the spool, one part a turn of the loop: pickles of a Python server first, then segments, the oldest first.
///
/// A segment is removed when all of its records are in the database. A process that is killed before that stores them again, which
/// changes nothing: a client has one interaction of a time. While the database is away everything stays where it is.
@MainActor
final class Collector {
  struct Configuration {
    var database: DatabaseSettings
    var repository: String
    var spool: String
    var fileLimit: Int
    /// Days after which interactions are deleted; nil: never.
    var keep: Int?

    init(_ settings: Settings, spool: String) throws {
      database = try settings.reportingDatabase
      repository = settings.repository
      self.spool = spool
      fileLimit = settings[ReportingOptions.standard.fileLimitBytes]
      keep = settings[ReportingOptions.standard.keep]
    }
  }

  /// How long the database is left alone after a failure, at first and at most.
  private static let firstPause = Duration.seconds(1)
  private static let lastPause = Duration.seconds(10)
  /// How often the spool is looked at where nothing tells of new segments.
  private static let interval = Duration.seconds(2)

  private let configuration: Configuration
  private let isOnce: Bool
  private let loop: Reactor
  private let logger: Logger
  private let store: StoreConnection
  private let segments: SegmentImport
  private let pickles: PickleImport
  private let refused: RefusedRecords
  private let retention: Retention?
  private var inotify: Inotify?
  private var watcher: Watcher?
  private var timer: Timer?
  private var pause = firstPause
  private var outage: MonotonicTime?
  private var isStopping = false
  private var isPosted = false
  private var ending: CheckedContinuation<Int32, Never>?

  init(_ configuration: Configuration, isOnce: Bool, on loop: Reactor, logger: Logger) {
    self.configuration = configuration
    self.isOnce = isOnce
    self.loop = loop
    self.logger = logger
    store = StoreConnection(configuration)
    refused = RefusedRecords(folder: "\(configuration.spool)/\(SpoolSegment.refusedFolder)", logger: logger)
    let importer = BatchImport(store, refused, logger)
    segments = SegmentImport(configuration.spool, importer, refused, logger)
    retention = configuration.keep.map { [store] in Retention(days: $0, store, logger) }
    pickles = PickleImport(configuration.repository + "/Reporting", importer, logger)
  }

  /// Runs until `stop`, or with `isOnce` until there is nothing more to do.
  ///
  /// - Returns: the exit status: 1 if something could not be stored.
  func run() async throws -> Int32 {
    if !isOnce { try watch() }
    post()
    return await withCheckedContinuation { ending = $0 }
  }

  func stop() {
    isStopping = true
    post()
  }

  // MARK: Turns

  private func watch() throws(SystemError) {
    let inotify = try Inotify()
    _ = try inotify.add(configuration.spool, [.movedTo])
    let work = "\(configuration.repository)/Reporting/LocalFilesystem/work"
    if isFolder(work) { _ = try inotify.add(work, [.movedTo]) }
    self.inotify = inotify
    watcher = try loop.register(inotify.descriptor, interest: .read) { [weak self] _ in
      guard let self else { return }
      _ = self.inotify?.read()
      // While the database is away, its time comes first.
      if outage == nil { post() }
    }
  }

  private func post() {
    guard !isPosted else { return }
    isPosted = true
    loop.post { [weak self] in
      guard let self else { return }
      isPosted = false
      turn()
    }
  }

  private func turn() {
    guard ending != nil else { return }
    timer?.cancel()
    timer = nil
    if isStopping { return end(0) }
    do throws(DatabaseError) {
      let hasMore = try step()
      recovered()
      if hasMore { return post() }
      if isOnce { return end(segments.hasFailed || pickles.hasFailed || refused.count > 0 ? 1 : 0) }
      wait(Self.interval)
    } catch {
      failed(error)
    }
  }

  /// Does one part.
  ///
  /// - Returns: whether there may be more.
  private func step() throws(DatabaseError) -> Bool {
    try store.prepare()
    if try pickles.step() { return true }
    if try segments.step() { return true }
    return try isOnce ? false : retention?.step() ?? false
  }

  private func wait(_ duration: Duration) {
    timer = loop.schedule(after: duration) { [weak self] in self?.post() }
  }

  private func failed(_ error: DatabaseError) {
    store.close()
    if isOnce {
      logger.error("The reporting database cannot be used: \(error)")
      return end(1)
    }
    if outage == nil {
      outage = loop.refreshNow()
      logger.error("The reporting database cannot be used, reports wait in \(configuration.spool): \(error)")
    } else {
      logger.debug("The reporting database still cannot be used: \(error)")
    }
    wait(pause)
    pause = min(pause * 2, Self.lastPause)
  }

  private func recovered() {
    guard let outage else { return }
    self.outage = nil
    pause = Self.firstPause
    logger.notice("The reporting database is back after \((loop.refreshNow() - outage).components.seconds) s")
  }

  private func end(_ status: Int32) {
    timer?.cancel()
    watcher?.cancel()
    watcher = nil
    store.close()
    ending?.resume(returning: status)
    ending = nil
  }
}
