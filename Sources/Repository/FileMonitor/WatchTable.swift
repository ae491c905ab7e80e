public import EventLoop
import Glibc
import Logging

/// Places watches and returns records: the kernel's inotify, or a test's replacement.
public protocol WatchSource: AnyObject {
  /// Readable while records wait.
  var descriptor: Int32 { get }
  /// Watches a folder; returns the same number for the same folder by any path.
  func add(_ path: String, _ mask: InotifyMask) throws(SystemError) -> Int32
  func remove(_ watch: Int32)
  /// The next records; empty if none wait.
  func read() -> [InotifyRecord]
}

extension Inotify: WatchSource {}

/// One watched folder and its subscribers.
final class Watch {
  /// A subscriber whose path leads through a name in the folder.
  final class NameSubscription {
    let node: FileNode
    /// Whether the name is the end of the path: then writes count too, not only the path it leads to.
    var isLast: Bool
    /// Where it stands among those of its name.
    fileprivate var index = 0

    init(_ node: FileNode, isLast: Bool) {
      self.node = node
      self.isLast = isLast
    }
  }

  let number: Int32
  /// The path by which it was first placed.
  let path: String
  /// False after the kernel ended it.
  fileprivate(set) var isAlive = true
  /// Nodes whose children are in the folder.
  fileprivate(set) var folders: [ObjectIdentifier: FileNode] = [:]
  fileprivate(set) var names: [[UInt8]: [NameSubscription]] = [:]

  fileprivate init(number: Int32, path: String) {
    self.number = number
    self.path = path
  }

  fileprivate var isUnused: Bool { folders.isEmpty && names.isEmpty }

  /// Whether the folder's contents are monitored, and not only names on the way to something.
  var isMonitored: Bool {
    !folders.isEmpty || names.values.contains { $0.contains { $0.isLast && !$0.node.isFolder } }
  }

  var subscribers: [FileNode] { Array(folders.values) + names.values.flatMap { $0.map(\.node) } }
}

/// All watches of an inotify instance. Subscribers of a folder share one watch, removed after the last of them.
final class WatchTable {
  /// For a folder on the way to something: names only.
  static let nameMask: InotifyMask = [
    .create, .delete, .movedFrom, .movedTo, .attributes, .deleteSelf, .moveSelf, .onlyDirectory, .maskAdd,
  ]
  /// For a folder with monitored files.
  static let fileMask: InotifyMask = nameMask.union([.closeWrite, .modify])

  private let source: (any WatchSource)?
  private let logger: Logger
  private var watches: [Int32: Watch] = [:]
  private var refusalsLogged: Set<Int32> = []

  /// - Parameter source: nil to watch nothing.
  init(source: (any WatchSource)?, logger: Logger) {
    self.source = source
    self.logger = logger
  }

  subscript(number: Int32) -> Watch? { watches[number] }

  var count: Int { watches.count }

  var all: [Watch] { Array(watches.values) }

  /// Watches a folder; returns nil if that fails, and the folder must be polled instead.
  ///
  /// The caller subscribes, or calls `release`.
  func watch(_ path: String, _ mask: InotifyMask) -> Watch? {
    guard let source else { return nil }
    do throws(SystemError) {
      let number = try source.add(path, mask)
      if let watch = watches[number] { return watch }
      let watch = Watch(number: number, path: path)
      watches[number] = watch
      return watch
    } catch {
      report(error, path)
      return nil
    }
  }

  /// Logs limits that an administrator can raise, once each. The caller handles deleted and unreadable folders.
  private func report(_ error: SystemError, _ path: String) {
    guard error.errno == ENOSPC || error.errno == ENOMEM, refusalsLogged.insert(error.errno).inserted else { return }
    let remedy = error.errno == ENOSPC ? "raise fs.inotify.max_user_watches (sysctl)" : "the kernel has no memory"
    logger.error(
      "Cannot watch \(path): \(error.reason): \(remedy). Folders without a watch are compared at every request")
  }

  func subscribe(_ watch: Watch, folder node: FileNode) { watch.folders[ObjectIdentifier(node)] = node }

  func unsubscribe(_ watch: Watch, folder node: FileNode) {
    watch.folders[ObjectIdentifier(node)] = nil
    release(watch)
  }

  func subscribe(_ watch: Watch, name: [UInt8], _ subscription: Watch.NameSubscription) {
    subscription.index = watch.names[name]?.count ?? 0
    watch.names[name, default: []].append(subscription)
  }

  func unsubscribe(_ watch: Watch, name: [UInt8], _ subscription: Watch.NameSubscription) {
    // The last one takes its place: thousands of paths may lead through one name.
    if let last = watch.names[name]?.popLast(), last !== subscription {
      last.index = subscription.index
      watch.names[name]?[subscription.index] = last
    }
    if watch.names[name]?.isEmpty == true { watch.names[name] = nil }
    release(watch)
  }

  /// Removes a watch without subscribers.
  func release(_ watch: Watch) {
    guard watch.isUnused, watch.isAlive else { return }
    end(watch)
    source?.remove(watch.number)
  }

  /// Marks a watch that the kernel ended.
  func end(_ watch: Watch) {
    watch.isAlive = false
    watches[watch.number] = nil
  }
}
