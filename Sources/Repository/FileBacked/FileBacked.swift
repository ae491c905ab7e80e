import EventLoop
public import Logging

/// A file of the repository with cached contents: read when the file monitor reports it, and again after changes.
///
/// It either watches itself (`watch`), or gets its events from the folder that owns it (`DirectoryBacked`). It reads at
/// the end of the change set, so that a burst of events causes one read.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, FileBacked.
open class FileBacked: FileEventHandler {
  /// Most bytes of a readable file.
  public static let fileLimitBytes = 1 << 30

  /// Absolute path of the file.
  public let path: String
  public let monitor: any FileMonitor
  public let logger: Logger
  /// Called after new contents were accepted.
  public var onChange: (() -> Void)?
  /// Called with every problem of a file that was read: for tools that check a whole repository.
  package static var onProblem: ((_ path: String, _ problem: String) -> Void)?
  /// Called with a file, and with what it includes that is not there.
  package static var onMissingInclude: ((_ path: String, _ problem: String) -> Void)?
  private var isStale = false
  /// The problem of the contents read last; nil if they were accepted.
  public private(set) var lastProblem: String?
  /// Warnings that `warnOnce` has logged for these contents.
  private var loggedWarnings: Set<String> = []

  open var handlerName: String { "\(type(of: self)): \(path)" }
  open var concernsReadersAlone: Bool { false }

  public init(path: String, monitor: any FileMonitor, logger: Logger) {
    self.path = path
    self.monitor = monitor
    self.logger = logger
  }

  /// Watches the file, and reads it before returning if it exists.
  public func watch() {
    monitor.add(path, recursive: false, handler: self)
    changesApplied()
  }

  /// Ends all watches of this object.
  open func stopWatching() {
    monitor.remove(nil, handler: self)
  }

  /// Marks the file for reading. A deleted file keeps its contents; its folder drops the whole object.
  open func handleEvent(_ event: FileEvent) {
    if event.action != .deleted { isStale = true }
  }

  /// Reads the file if an event marked it.
  open func changesApplied() {
    guard isStale else { return }
    isStale = false
    loggedWarnings = []
    load()
  }

  /// Makes the next `changesApplied` read the file.
  public func markStale() { isStale = true }

  /// Reads the file. On failure keeps the last good contents and logs the reason once.
  open func load() {
    attempt {
      try index(try AtomicFile.readFile(path, limitBytes: Self.fileLimitBytes))
    }
  }

  /// Parses the contents of the file.
  ///
  /// - Throws: an error with file and line; the last good version stays.
  open func index(_ bytes: [UInt8]) throws {}

  /// Runs `body`; logs its error unless it repeats, and calls `onChange` on success.
  public func attempt(_ body: () throws -> Void) {
    do {
      try body()
    } catch {
      if let failed = SystemError.ofReading(error) { monitor.couldNotRead(failed.path ?? path, failed.error) }
      reportProblem("\(error)")
      return
    }
    lastProblem = nil
    onChange?()
  }

  /// Logs a warning once for each version of the file: not for each client, nor when settings change.
  public func warnOnce(_ warning: String) {
    if loggedWarnings.insert(warning).inserted { logger.warning("\(warning)") }
  }

  /// Logs an error once, until another error or a good version comes.
  public func reportProblem(_ problem: String) {
    guard problem != lastProblem else { return }
    lastProblem = problem
    Self.onProblem?(path, problem)
    logger.error("\(problem)")
  }
}
