public import EventLoop
import Glibc
public import Logging
import XMLRPC

/// The common part of the file monitors: handlers, their trees, and the delivery of change sets.
open class TreeMonitor: FileMonitor {
  open var name: String { fatalError("\(type(of: self)) must name itself") }
  public private(set) var generation: UInt64 = 0
  public private(set) var commonGeneration: UInt64 = 0
  /// The log label of the monitors.
  public nonisolated static let logLabel = "FileMonitor"

  /// A path and the handler that it is monitored for; the handler lives as long as its tree.
  private struct MonitoredPath: Hashable {
    let path: Name
    let handler: ObjectIdentifier

    init(_ path: String, _ handler: any FileEventHandler) {
      self.path = Name(path)
      self.handler = ObjectIdentifier(handler)
    }
  }

  let logger: Logger
  let context: TreeContext
  private(set) var trees: [MonitoredTree] = []
  /// Those of files `.bcfg2-ignore` above the monitored paths, by their folders, and how many paths are below.
  private var ignoreTrees: [Name: (tree: MonitoredTree, users: Int)] = [:]
  private let ignoreHandler = IgnoreFileHandler()
  /// How often patterns that appear while others are followed are followed in one update.
  private static let ignoreRounds = 100
  /// Which paths are monitored for whom.
  private var monitored: Set<MonitoredPath> = []
  /// True while the model is compared or handlers run: neither may start inside the other.
  private var isBusy = false
  /// Whether a requested scan is still to be done.
  private var needsRescan = false
  /// Whether trees have changes that were found while another path was added.
  private var hasUndelivered = false
  /// Whether an update has something to do, whatever the kernel says.
  var needsUpdate: Bool { needsRescan || hasUndelivered }
  private(set) var isShutDown = false
  /// While true nothing is compared and nothing delivered.
  public var isHeld = false {
    didSet {
      guard oldValue, !isHeld else { return }
      processPending()
      if needsUpdate { update {} }
    }
  }

  init(ignored: IgnoreList, source: (any WatchSource)?, logger: Logger) {
    self.logger = logger
    context = TreeContext(watches: WatchTable(source: source, logger: logger), ignored: ignored, logger: logger)
  }

  public var isDebugging: Bool {
    get { context.isDebugging }
    set { context.isDebugging = newValue }
  }

  public var repository: String? {
    get { context.repository }
    set { context.repository = newValue.map(TreeMonitor.absolute) }
  }

  public var troubles: [RepositoryTrouble] { context.troubles.all }

  /// Level of log lines about missing or unreadable paths.
  public var troubleLogLevel: Logger.Level {
    get { context.troubles.logLevel }
    set { context.troubles.logLevel = newValue }
  }

  public func couldNotRead(_ path: String, _ error: SystemError) {
    // Events report a deleted file; a file that is too large, or no regular file, does not become readable.
    let isSettled = [ENOENT, ENOTDIR, EISDIR, EINVAL, EFBIG].contains(error.errno)
    for tree in trees where !isSettled { tree.couldNotRead(path, error.errno) }
  }

  public func add(_ path: String, recursive: Bool, handler: any FileEventHandler) {
    if isShutDown { return }
    let path = TreeMonitor.absolute(path)
    guard monitored.insert(MonitoredPath(path, handler)).inserted else { return }
    let tree = MonitoredTree(path: path, isRecursive: recursive, handler: handler, context: context)
    if tree.obeysIgnoreFiles { for folder in folders(above: path) { watchIgnoreFile(in: folder) } }
    trees.append(tree)
    tree.begin()
    let isNews = followIgnoreFiles(in: trees.dropLast())
    deliver([tree], isFirstScan: true)
    guard isNews else { return }
    hasUndelivered = true
    update {}
  }

  /// The folders above a path, up to that of the repository.
  private func folders(above path: String) -> [String] {
    guard let repository = context.repository else { return [] }
    var folders: [String] = []
    var folder = path
    while !Name.areSame(folder, repository), RepositoryPath.isSameOrBelow(folder, repository) {
      folder = RepositoryPath.folder(of: folder)
      folders.append(folder)
    }
    return folders
  }

  private func watchIgnoreFile(in folder: String) {
    let name = Name(folder)
    if let known = ignoreTrees[name] {
      ignoreTrees[name] = (known.tree, known.users + 1)
      return
    }
    let tree = MonitoredTree(
      path: folder + "/" + IgnoreFiles.fileName, isRecursive: false, handler: ignoreHandler, context: context)
    ignoreTrees[name] = (tree, 1)
    tree.begin()
    context.ignoreFiles.loadIfKnown(folder)
  }

  private func unwatchIgnoreFile(in folder: String) {
    let name = Name(folder)
    guard let known = ignoreTrees[name] else { return }
    ignoreTrees[name] = known.users == 1 ? nil : (known.tree, known.users - 1)
    if known.users == 1 { known.tree.end() }
  }

  /// Has trees check what patterns that have changed hide, or hide no more.
  ///
  /// - Returns: whether any have.
  @discardableResult
  private func followIgnoreFiles(in trees: some Collection<MonitoredTree>) -> Bool {
    var isAny = false
    // A folder that is taken back may have patterns of its own.
    for _ in 0..<Self.ignoreRounds {
      let folders = context.ignoreFiles.takeChanged()
      if folders.isEmpty { return isAny }
      isAny = true
      for tree in trees { for folder in folders { tree.checkAgain(below: folder) } }
    }
    logger.warning("Files \(IgnoreFiles.fileName) change faster than they are followed")
    return isAny
  }

  public func hides(_ path: String) -> Bool { context.ignoreFiles.hides(TreeMonitor.absolute(path)) }

  public func remove(_ path: String?, handler: any FileEventHandler) {
    let path = path.map(TreeMonitor.absolute)
    let gone = trees.filter { tree in tree.handler === handler && path.map { Name.areSame(tree.path, $0) } ?? true }
    let identifiers = Set(gone.map { ObjectIdentifier($0) })
    trees.removeAll { identifiers.contains(ObjectIdentifier($0)) }
    for tree in gone {
      monitored.remove(MonitoredPath(tree.path, tree.handler))
      tree.end()
      if tree.obeysIgnoreFiles { for folder in folders(above: tree.path) { unwatchIgnoreFile(in: folder) } }
    }
  }

  @discardableResult
  open func processPending() -> Int { 0 }

  open var hasPending: Bool { false }

  public func rescan() {
    needsRescan = true
    update {}
  }

  open func shutdown() {
    if isShutDown { return }
    context.debugLog("Shutting down \(name) file monitor")
    isShutDown = true
    context.troubles.isEnding = true
    for tree in trees { tree.end() }
    trees = []
    for known in ignoreTrees.values { known.tree.end() }
    ignoreTrees = [:]
    monitored = []
  }

  public func listEventHandlers() -> [(path: String, handler: String)] {
    trees.map { ($0.path, $0.handler.handlerName) }
  }

  /// Called with true before changes are delivered, and with false after.
  public final var onDelivery: ((_ begins: Bool) -> Void)?
  public final var onProgress: (() -> Void)?

  public func listWatches() -> [String] { context.watches.all.filter(\.isMonitored).map(\.path).sorted() }

  public var counts: FileMonitorCounts {
    var counts = FileMonitorCounts()
    counts.watches = context.watches.count
    counts.files = context.fileCount
    counts.unwatched = context.unwatched.count
    return counts
  }

  public func listPaths() -> [String] { trees.map(\.path) }

  /// Requests a fresh scan at the end of this, or the next, update.
  func requestRescan() { needsRescan = true }

  /// Whether an update may run: not inside a handler, while held, or after shutdown.
  var acceptsUpdates: Bool { !isBusy && !isShutDown && !isHeld }

  /// Runs `body` to compare the model with the file system, then delivers the differences.
  ///
  /// - Returns: the number of events; 0 inside a handler, whose change set has not ended.
  @discardableResult
  func update(_ body: () -> Void) -> Int {
    guard acceptsUpdates else { return 0 }
    isBusy = true
    hasUndelivered = false
    body()
    if needsRescan {
      needsRescan = false
      for tree in ignoreTrees.values.map(\.tree) + trees { tree.reconcile(tree.root, .scan) }
    }
    followIgnoreFiles(in: trees)
    let count = deliver(trees, isFirstScan: false)
    isBusy = false
    return count
  }

  /// Delivers the changes of the trees as one set: each handler's deletions, its other events, then the end.
  @discardableResult
  private func deliver(_ trees: [MonitoredTree], isFirstScan: Bool) -> Int {
    onDelivery?(true)
    defer { onDelivery?(false) }
    let start = MonotonicTime.now()
    var deliveries: [(tree: MonitoredTree, deleted: [FileEvent], present: [FileEvent])] = []
    for tree in trees where !tree.changes.isEmpty {
      var (deleted, present) = tree.changes.drain(root: tree.path, isFirstScan: isFirstScan)
      deleted.removeAll { isIgnored($0, tree.handler) }
      present.removeAll { isIgnored($0, tree.handler) }
      if !deleted.isEmpty || !present.isEmpty { deliveries.append((tree, deleted, present)) }
    }
    if deliveries.isEmpty {
      // The first scan has an end even if it finds nothing.
      if isFirstScan { for tree in trees { tree.handler.changesApplied() } }
      return 0
    }
    let reported = deliveries.filter { !$0.tree.handler.reportsChanges }
    if !reported.isEmpty { generation += 1 }
    if reported.contains(where: { !$0.tree.handler.concernsReadersAlone }) { commonGeneration += 1 }
    var count = 0
    func send(_ events: [FileEvent], of tree: MonitoredTree) {
      // A handler may remove its monitors, or others'.
      for event in events where tree.root.isAttached {
        context.debugLog("Dispatching event \(event.action) \(event.path) to obj \(tree.handler.handlerName)")
        tree.handler.handleEvent(event)
        onProgress?()
        count += 1
      }
    }
    while let handler = deliveries.first?.tree.handler {
      let own = deliveries.filter { $0.tree.handler === handler }
      deliveries.removeAll { $0.tree.handler === handler }
      for delivery in own { send(delivery.deleted, of: delivery.tree) }
      for delivery in own { send(delivery.present, of: delivery.tree) }
      if own.contains(where: { $0.tree.root.isAttached }) { handler.changesApplied() }
    }
    report(count, since: start)
    return count
  }

  private func isIgnored(_ event: FileEvent, _ handler: any FileEventHandler) -> Bool {
    guard handler.followsRepository, event.relativePath.isEmpty, context.ignored.matches(path: event.path) else {
      return false
    }
    context.debugLog("Ignoring \(event.path) \(event.action)")
    return true
  }

  private func report(_ count: Int, since start: MonotonicTime) {
    let milliseconds = (MonotonicTime.now() - start).wholeNanoseconds / 1_000_000
    let fraction = String(milliseconds % 1000 + 1000).dropFirst()
    logger.info("Handled \(count) events in \(milliseconds / 1000).\(fraction)s")
  }

  /// The absolute path without a trailing slash.
  private static func absolute(_ path: String) -> String {
    var bytes = Substring(path).utf8
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    if bytes.first == UInt8(ascii: "/") { return String(Substring(bytes)) }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
      let folder = getcwd(buffer.baseAddress, buffer.count).map { String(cString: $0) } ?? ""
      return folder + "/" + String(Substring(bytes))
    }
  }
}
