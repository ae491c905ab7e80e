import Logging

/// State shared by the trees of one monitor.
final class TreeContext {
  let watches: WatchTable
  let ignored: IgnoreList
  /// What the files of the repository hide beside it.
  let ignoreFiles: IgnoreFiles
  let logger: Logger
  let troubles: TroubleTable
  var isDebugging = false
  /// The root of the repository without a trailing slash. A missing folder below a plugin's folder was deleted; a
  /// plugin's own folder is missing. nil if plugins are unknown.
  var repository: String? {
    didSet { ignoreFiles.repository = repository }
  }
  /// Nodes without complete kernel events: checked before each request.
  var unwatched: [ObjectIdentifier: FileNode] = [:]
  /// Nodes that are files.
  var fileCount = 0
  private var loggedWarnings: Set<String> = []

  init(watches: WatchTable, ignored: IgnoreList, logger: Logger) {
    self.watches = watches
    self.ignored = ignored
    self.logger = logger
    ignoreFiles = IgnoreFiles(logger: logger)
    troubles = TroubleTable(logger: logger)
  }

  /// Logs at error level, as Bcfg2 does, so that it shows at every log level.
  func debugLog(_ message: @autoclosure () -> String) {
    if isDebugging { logger.error("\(message())") }
  }

  /// Logs a warning once per run.
  func warnOnce(_ message: String) {
    if loggedWarnings.insert(message).inserted { logger.warning("\(message)") }
  }
}
