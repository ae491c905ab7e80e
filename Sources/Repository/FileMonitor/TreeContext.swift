import Logging

/// What the trees of one monitor share.
final class TreeContext {
  let watches: WatchTable
  let ignored: IgnoreList
  let logger: Logger
  let troubles: TroubleTable
  var isDebugging = false
  /// The root of the repository without a slash at its end: a folder below a plugin's that is not there was deleted, a
  /// plugin's own is away. nil: nothing is known of plugins.
  var repository: String?
  /// Nodes that the kernel tells nothing, or not everything of: looked at before each request.
  var unwatched: [ObjectIdentifier: FileNode] = [:]
  private var complaints: Set<String> = []

  init(watches: WatchTable, ignored: IgnoreList, logger: Logger) {
    self.watches = watches
    self.ignored = ignored
    self.logger = logger
    troubles = TroubleTable(logger: logger)
  }

  /// Goes out at error level, as in Bcfg2, so that it is seen whatever the log level.
  func debugLog(_ message: @autoclosure () -> String) {
    if isDebugging { logger.error("\(message())") }
  }

  /// Says a thing once per run.
  func complain(_ message: String) {
    if complaints.insert(message).inserted { logger.warning("\(message)") }
  }
}
