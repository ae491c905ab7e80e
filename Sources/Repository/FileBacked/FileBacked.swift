import EventLoop
public import Logging

/// A file of the repository whose contents are kept: read when the file monitor tells of it, and again when it changed.
///
/// It is a handler of its own where it stands alone (`watch`), or is told by the folder that owns it
/// (`DirectoryBacked`). Reading waits for the end of the change set, so that a burst is one reading.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, FileBacked.
open class FileBacked: FileEventHandler {
  /// The most bytes of a file that is read.
  public static let fileLimitBytes = 1 << 30

  /// Absolute path of the file.
  public let path: String
  public let monitor: any FileMonitor
  public let logger: Logger
  /// Called whenever new contents were taken.
  public var onChange: (() -> Void)?
  /// Called with whatever is wrong with a file that was read: for tools that look at a whole repository.
  package static var onProblem: ((_ path: String, _ problem: String) -> Void)?
  private var isStale = false
  /// What is wrong with the contents that were read last; nil where they were taken.
  public private(set) var lastProblem: String?
  /// What `warnOnce` has said of these contents.
  private var toldWarnings: Set<String> = []

  open var handlerName: String { "\(type(of: self)): \(path)" }

  public init(path: String, monitor: any FileMonitor, logger: Logger) {
    self.path = path
    self.monitor = monitor
    self.logger = logger
  }

  /// Watches the file by itself; it is read before this returns, if it exists.
  public func watch() {
    monitor.add(path, recursive: false, handler: self)
    changesApplied()
  }

  /// Ends all watches of this object.
  open func stopWatching() {
    monitor.remove(nil, handler: self)
  }

  /// Notes that the file has to be read again. A file that is gone keeps its contents: its folder forgets it.
  open func handleEvent(_ event: FileEvent) {
    if event.action != .deleted { isStale = true }
  }

  /// Reads the file where something happened since the last time.
  open func changesApplied() {
    guard isStale else { return }
    isStale = false
    toldWarnings = []
    load()
  }

  /// Has the file read at the end of the change set, or at once by `changesApplied`.
  public func markStale() { isStale = true }

  /// Reads the file and takes its contents. On failure the last good ones stay and the reason is logged once.
  open func load() {
    attempt {
      try index(try AtomicFile.readFile(path, limitBytes: Self.fileLimitBytes))
    }
  }

  /// Takes the contents of the file.
  ///
  /// - Throws: what is wrong with them, with file and line; the last good version stays.
  open func index(_ bytes: [UInt8]) throws {}

  /// Runs `body`; logs its error unless it is the same as the last time, and tells of success by `onChange`.
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

  /// Logs a warning about the file once, until the file is changed: not for each client, and not when settings change.
  public func warnOnce(_ warning: String) {
    if toldWarnings.insert(warning).inserted { logger.warning("\(warning)") }
  }

  /// Logs an error once: not again until something else was wrong, or the file was good.
  public func reportProblem(_ problem: String) {
    guard problem != lastProblem else { return }
    lastProblem = problem
    Self.onProblem?(path, problem)
    logger.error("\(problem)")
  }
}
