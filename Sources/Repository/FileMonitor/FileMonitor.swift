public import EventLoop

/// An event of a file or folder of the repository, named as in Bcfg2's file monitors.
public enum FileAction: Sendable {
  /// Found when monitoring began.
  case exists
  /// Created or moved in.
  case created
  /// Contents may have changed.
  case changed
  /// Deleted or moved out.
  case deleted
}

/// One coalesced change: a handler gets at most one event a path and change set.
public struct FileEvent: Sendable {
  public let action: FileAction
  /// Absolute path of the file or folder.
  public let path: String
  /// Path relative to the monitored folder; empty for the folder or file itself.
  public let relativePath: String
  /// True for a folder. A deleted folder's files get deleted events of their own before it.
  public let isDirectory: Bool

  public init(action: FileAction, path: String, relativePath: String, isDirectory: Bool) {
    self.action = action
    self.path = path
    self.relativePath = relativePath
    self.isDirectory = isDirectory
  }

  /// The last component of the path.
  public var fileName: String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(path[path.index(after: slash)...])
  }
}

/// Receives the changes below a monitored path.
public protocol FileEventHandler: AnyObject {
  /// The name that the debug RMI `list_event_handlers` shows.
  var handlerName: String { get }
  /// Handles one change. Reads single files; state derived from several files is updated in `changesApplied`.
  func handleEvent(_ event: FileEvent)
  /// Called at the end of a change set with events for this handler, and of the first scan.
  func changesApplied()
  /// True if the handler itself calls `ServerCore.repositoryChanged` and `clientChanged`, because its change sets
  /// include the server's own writes. They do not increase the monitor's generation.
  var reportsChanges: Bool { get }
  /// True if whoever uses what the handler keeps of its files records that, and the handler records each change: an answer
  /// then depends on the files alone that it was made from. A change of any other handler's files concerns all answers.
  var concernsReadersAlone: Bool { get }
  /// False if the files are not contents of the repository (bcfg2.conf, files of version control). `[server]
  /// ignore_files` does not apply to them, and answers do not depend on a missing folder of theirs.
  var followsRepository: Bool { get }
}

extension FileEventHandler {
  public func changesApplied() {}
  public var reportsChanges: Bool { false }
  public var concernsReadersAlone: Bool { false }
  public var followsRepository: Bool { true }
}

/// Watches the repository and bcfg2.conf.
///
/// `add` places its watches, then delivers `exists` for everything there before it returns. `processPending` delivers
/// later changes in change sets, in path order. The core calls it before answering any request, so that every edit
/// finished before the request was sent is in the answer.
public protocol FileMonitor: AnyObject {
  /// The name of the class in Bcfg2's RMI names: `Inotify`, `Pseudo`.
  var name: String { get }
  /// Grows by one with every change set delivered, unless all its handlers report changes themselves.
  var generation: UInt64 { get }
  /// Grows with every such change set, unless it concerns readers alone (`FileEventHandler.concernsReadersAlone`).
  var commonGeneration: UInt64 { get }
  /// Monitors a folder recursively, or a single file, which need not exist yet.
  func add(_ path: String, recursive: Bool, handler: any FileEventHandler)
  /// Removes every monitor of a handler, or the one of a path.
  func remove(_ path: String?, handler: any FileEventHandler)
  /// Reads the kernel's events and delivers them.
  /// - Returns: the number of events delivered.
  @discardableResult func processPending() -> Int
  /// True while events wait for delivery.
  var hasPending: Bool { get }
  /// Compares everything below every monitor with the delivered state, and delivers the difference: after SIGHUP, an
  /// overflow, or a moved root.
  func rescan()
  /// The root of the repository. It tells a deleted folder from a missing one; nil if unknown.
  var repository: String? { get set }
  /// Paths that were there, or readable, and are not now. No deletion is delivered, and the contents read last stay in
  /// use.
  var troubles: [RepositoryTrouble] { get }
  /// Called by a handler that could not read a file (EMFILE, EIO, EACCES ...): a changed event follows once it is
  /// readable.
  func couldNotRead(_ path: String, _ error: SystemError)
  /// Called for each event of a file that is delivered: a sign of progress in work that may be long.
  var onProgress: (() -> Void)? { get set }
  /// Whether a file `.bcfg2-ignore` hides a path: what is read without an event of its own is not read then.
  func hides(_ path: String) -> Bool
  /// Defers delivery while true, so that an answer can be made from one state of the repository.
  var isHeld: Bool { get set }
  /// Stops delivery for good.
  func shutdown()
  /// The debug flag of the RMIs `toggle_debug`, `set_debug` and so on.
  var isDebugging: Bool { get set }
  /// Handlers by path, for the RMI of that name.
  func listEventHandlers() -> [(path: String, handler: String)]
  /// Watched folders, for the RMI `Inotify.list_watches`.
  func listWatches() -> [String]
  /// Numbers for metrics.
  var counts: FileMonitorCounts { get }
  /// Monitored paths, for the RMI `Inotify.list_paths`.
  func listPaths() -> [String]
}

/// What a file monitor has.
public struct FileMonitorCounts: Sendable, Equatable {
  /// Watches of the kernel.
  public var watches = 0
  /// Files whose state is known, each once for each handler.
  public var files = 0
  /// Folders and files that are not watched, and so compared at each request.
  public var unwatched = 0

  public init() {}
}

/// Default implementations, for a monitor that does not tell missing from deleted.
extension FileMonitor {
  public var repository: String? {
    get { nil }
    set {}
  }
  public var troubles: [RepositoryTrouble] { [] }
  public var onProgress: (() -> Void)? {
    get { nil }
    set {}
  }
  public var counts: FileMonitorCounts { FileMonitorCounts() }
  public func couldNotRead(_ path: String, _ error: SystemError) {}
  public func hides(_ path: String) -> Bool { false }
}
