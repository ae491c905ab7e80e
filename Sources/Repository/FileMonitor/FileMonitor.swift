public import EventLoop

/// What happened to a file or folder of the repository, in the words of Bcfg2's file monitors.
public enum FileAction: Sendable {
  /// Found when the monitor was added.
  case exists
  /// Came into being, or was moved in.
  case created
  /// Its contents may differ.
  case changed
  /// Is gone, or was moved out.
  case deleted
}

/// One change, already coalesced: a handler sees at most one event a path and change set.
public struct FileEvent: Sendable {
  public let action: FileAction
  /// Absolute path of the file or folder.
  public let path: String
  /// Path relative to the monitored folder; empty for the folder or file itself.
  public let relativePath: String
  /// True for a folder. A deleted folder's files come as their own deleted events before it.
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

/// Who wants to know of changes below a monitored path.
public protocol FileEventHandler: AnyObject {
  /// The name that the debug RMI `list_event_handlers` shows.
  var handlerName: String { get }
  /// One change. Files are to be read here; what is derived of several files belongs in `changesApplied`.
  func handleEvent(_ event: FileEvent)
  /// The end of a change set that had events for this handler, and of the first scan.
  func changesApplied()
  /// True: the handler says itself what its change sets mean, by `ServerCore.repositoryChanged` and `clientChanged`, for
  /// it finds the server's own writes among them. The monitor's generation does not grow for it.
  var reportsChanges: Bool { get }
  /// False: what it follows is none of the repository's contents (bcfg2.conf, the version control's own files). Then
  /// `[server] ignore_files` does not apply, and no answer waits for a folder of it that is away.
  var followsRepository: Bool { get }
}

extension FileEventHandler {
  public func changesApplied() {}
  public var reportsChanges: Bool { false }
  public var followsRepository: Bool { true }
}

/// Watches the repository and bcfg2.conf.
///
/// The contract: `add` delivers `exists` for what is there before it returns, having placed its watches first; later
/// changes are delivered in change sets, in path order, by `processPending`, which the core calls before it answers
/// any request, so that an edit that was finished before a request was sent is in its answer.
public protocol FileMonitor: AnyObject {
  /// The name of the class as Bcfg2 shows it in RMI names: `Inotify`, `Pseudo`.
  var name: String { get }
  /// Grows by one with every change set that was delivered, but where all its handlers report changes themselves.
  var generation: UInt64 { get }
  /// Monitors a folder and everything below it (`recursive`), or a single file, which need not exist yet.
  func add(_ path: String, recursive: Bool, handler: any FileEventHandler)
  /// Forgets every monitor of a handler, or only that of one path.
  func remove(_ path: String?, handler: any FileEventHandler)
  /// Reads what the kernel has and delivers it.
  /// - Returns: how many events were delivered.
  @discardableResult func processPending() -> Int
  /// True while events wait to be delivered.
  var hasPending: Bool { get }
  /// Compares everything below every monitor with what was delivered, and delivers the difference: after SIGHUP, an
  /// overflow, a moved root.
  func rescan()
  /// The root of the repository: where a folder that is not there was deleted, and where it is away. nil: not known.
  var repository: String? { get set }
  /// What was there, or readable, and is not now. It is not told as deleted: what was read last stays.
  var troubles: [RepositoryTrouble] { get }
  /// A handler was told of a file and could not read it (EMFILE, EIO, EACCES ...): it is told of it again, as changed,
  /// once it can be read.
  func couldNotRead(_ path: String, _ error: SystemError)
  /// While true nothing is delivered, so that an answer can be made of one state of the repository. What waited is
  /// delivered when it becomes false.
  var isHeld: Bool { get set }
  /// Stops: no more events.
  func shutdown()
  /// The debug flag of the `toggle_debug`, `set_debug` family.
  var isDebugging: Bool { get set }
  /// Handlers by path, for the RMI of that name.
  func listEventHandlers() -> [(path: String, handler: String)]
  /// Watched folders, for the RMI `Inotify.list_watches`.
  func listWatches() -> [String]
  /// Monitored paths, for the RMI `Inotify.list_paths`.
  func listPaths() -> [String]
}

/// A monitor of its own making need not tell away from deleted.
extension FileMonitor {
  public var repository: String? {
    get { nil }
    set {}
  }
  public var troubles: [RepositoryTrouble] { [] }
  public func couldNotRead(_ path: String, _ error: SystemError) {}
}
