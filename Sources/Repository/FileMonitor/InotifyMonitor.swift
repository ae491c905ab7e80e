public import EventLoop
import Glibc
public import Logging

/// The file monitor that uses inotify(7).
///
/// The kernel queues a record before the editing system call returns. `processPending` reads until the queue is empty,
/// so it sees every edit finished before it was called. Records only name paths to check: see `MonitoredTree`.
///
/// inotify names a file by the folder in which it was opened: only `rescan` finds an edit through another hard link, as
/// with Bcfg2's monitors.
public final class InotifyMonitor: TreeMonitor {
  /// Rounds per update while new records arrive; later ones wait for the next readiness.
  private static let roundLimit = 8

  private struct Mark {
    let node: FileNode
    /// A name in the node's folder; nil for the node itself.
    let name: [UInt8]?
    var hint: Hint
  }

  private struct MarkKey: Hashable {
    let node: ObjectIdentifier
    let name: [UInt8]?
  }

  private let source: (any WatchSource)?
  private let loop: Reactor
  private var watcher: Watcher?
  private var isScheduled = false
  private var marks: [Mark] = []
  private var markIndex: [MarkKey: Int] = [:]

  public override var name: String { "Inotify" }

  /// Creates a monitor on the loop's thread. If the kernel refuses an inotify instance it works without, slowly: every
  /// `processPending` compares everything.
  ///
  /// - Parameter makeSource: makes the source of records.
  public init(
    ignored: IgnoreList = IgnoreList(), logger: Logger = Logger(label: TreeMonitor.logLabel), on loop: Reactor,
    makeSource: () throws(SystemError) -> any WatchSource = { () throws(SystemError) in try Inotify() }
  ) {
    self.loop = loop
    do throws(SystemError) {
      source = try makeSource()
    } catch {
      source = nil
      InotifyMonitor.logFailure(error, logger)
    }
    super.init(ignored: ignored, source: source, logger: logger)
    guard let source else { return }
    do throws(SystemError) {
      watcher = try loop.register(source.descriptor, interest: .read) { [unowned self] _ in schedule() }
      watcher?.isBackground = true
    } catch {
      // Requests still read the records; only changes between requests are noticed later.
      logger.error("inotify cannot be watched by the event loop, changes are noticed at requests only: \(error)")
    }
  }

  private static func logFailure(_ error: SystemError, _ logger: Logger) {
    let remedy =
      error.errno == EMFILE ? "; raise fs.inotify.max_user_instances (sysctl) or the limit of open files" : ""
    logger.error("No inotify: \(error)\(remedy). Everything is compared at every request, which is slow")
  }

  /// Handles the records of one loop iteration as one change set.
  private func schedule() {
    if isScheduled { return }
    isScheduled = true
    loop.atEndOfIteration { [weak self] in
      self?.isScheduled = false
      self?.processPending()
    }
  }

  @discardableResult
  public override func processPending() -> Int {
    guard acceptsUpdates else { return 0 }
    // Usually nothing has happened: one read.
    let hasRecords = readRecords()
    if !hasRecords, context.unwatched.isEmpty, !needsUpdate { return 0 }
    return update {
      let now = context.unwatched.isEmpty ? MonotonicTime(nanoseconds: 0) : MonotonicTime.now()
      for node in context.unwatched.values where node.isAttached && node.tree.isDueForCheck(node, now: now) {
        node.tree.reconcile(node, [.path, .compare])
      }
      if hasRecords { applyMarks() }
      var rounds = hasRecords ? 1 : 0
      while rounds < InotifyMonitor.roundLimit, readRecords() {
        applyMarks()
        rounds += 1
      }
    }
  }

  public override var hasPending: Bool {
    guard let source, !isShutDown else { return false }
    var poll = pollfd(fd: source.descriptor, events: Int16(POLLIN), revents: 0)
    return Glibc.poll(&poll, 1, 0) == 1
  }

  public override func shutdown() {
    if isShutDown { return }
    watcher?.cancel()
    watcher = nil
    super.shutdown()
  }

  // MARK: Records

  /// Reads until the kernel's queue is empty. Returns whether there was anything.
  private func readRecords() -> Bool {
    guard let source else { return false }
    var isAnything = false
    while true {
      let records = source.read()
      if records.isEmpty { return isAnything }
      isAnything = true
      for record in records { handle(record) }
    }
  }

  private func handle(_ record: InotifyRecord) {
    if record.mask.contains(.overflow) {
      logger.warning("inotify lost events (fs.inotify.max_queued_events): comparing everything")
      return requestRescan()
    }
    // Ignore records of a removed watch.
    guard let watch = context.watches[record.watch] else { return }
    if !record.mask.isDisjoint(with: [.ignored, .unmount]) {
      context.watches.end(watch)
      for node in watch.subscribers { mark(node, nil, [.path, .compare]) }
      return
    }
    if record.name.isEmpty {
      let hint: Hint = record.mask.contains(.attributes) ? .touched : .path
      for node in hint == .path ? watch.subscribers : Array(watch.folders.values) { mark(node, nil, hint) }
      return
    }
    let hint = InotifyMonitor.hint(record.mask)
    for node in watch.folders.values { mark(node, record.name, hint) }
    for subscription in watch.names[record.name] ?? [] {
      mark(subscription.node, nil, subscription.isLast ? hint : .path)
    }
  }

  private static func hint(_ mask: InotifyMask) -> Hint {
    var hint: Hint = []
    if mask.contains(.closeWrite) { hint.insert(.closed) }
    if mask.contains(.create) { hint.formUnion([.created, .path]) }
    if mask.contains(.movedTo) { hint.formUnion([.moved, .path]) }
    if !mask.isDisjoint(with: [.movedFrom, .delete]) { hint.insert(.path) }
    if !mask.isDisjoint(with: [.modify, .attributes]) { hint.insert(.touched) }
    return hint
  }

  private func mark(_ node: FileNode, _ name: [UInt8]?, _ hint: Hint) {
    let key = MarkKey(node: ObjectIdentifier(node), name: name)
    if let index = markIndex[key] { return marks[index].hint.formUnion(hint) }
    markIndex[key] = marks.count
    marks.append(Mark(node: node, name: name, hint: hint))
  }

  private func applyMarks() {
    let due = marks
    marks = []
    markIndex = [:]
    for mark in due where mark.node.isAttached {
      if let name = mark.name {
        mark.node.tree.reconcile(name, in: mark.node, mark.hint)
      } else {
        mark.node.tree.reconcile(mark.node, mark.hint)
      }
    }
  }
}
