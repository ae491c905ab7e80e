public import EventLoop
import Glibc
public import Logging

/// The file monitor that the kernel tells of changes, by inotify(7).
///
/// The kernel queues a record before the call that it is about returns to whoever edits. So `processPending`, which
/// reads until nothing is left, sees every edit that was finished before it was called. Records are taken as places to
/// look at: see `MonitoredTree`.
///
/// inotify names a file by the folder that it was opened in: an edit through another hard link of the file is noticed
/// by `rescan` only, as by Bcfg2's monitors.
public final class InotifyMonitor: TreeMonitor {
  /// Looks per update while new records arrive; what comes later is left to the next readiness.
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

  /// A monitor on the loop's thread. Where the kernel gives no inotify instance it works all the same, slowly: every
  /// `processPending` compares everything.
  ///
  /// - Parameter makeSource: where records come from.
  public init(
    ignored: IgnoreList = IgnoreList(), logger: Logger = Logger(label: TreeMonitor.logLabel), on loop: Reactor,
    makeSource: () throws(SystemError) -> any WatchSource = { () throws(SystemError) in try Inotify() }
  ) {
    self.loop = loop
    do throws(SystemError) {
      source = try makeSource()
    } catch {
      source = nil
      InotifyMonitor.complain(error, logger)
    }
    super.init(ignored: ignored, source: source, logger: logger)
    guard let source else { return }
    do throws(SystemError) {
      watcher = try loop.register(source.descriptor, interest: .read) { [unowned self] _ in schedule() }
      watcher?.isBackground = true
    } catch {
      // Requests still read what the kernel has; only the time between requests is not used.
      logger.error("inotify cannot be watched by the event loop, changes are noticed at requests only: \(error)")
    }
  }

  private static func complain(_ error: SystemError, _ logger: Logger) {
    let remedy =
      error.errno == EMFILE ? "; raise fs.inotify.max_user_instances (sysctl) or the limit of open files" : ""
    logger.error("No inotify: \(error)\(remedy). Everything is compared at every request, which is slow")
  }

  /// The records of one iteration are one change set.
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
    guard takesUpdates else { return 0 }
    // Most requests find that nothing has happened: one read.
    let hasRecords = readRecords()
    if !hasRecords, context.unwatched.isEmpty, !hasRequestedRescan { return 0 }
    return update {
      let now = context.unwatched.isEmpty ? MonotonicTime(nanoseconds: 0) : MonotonicTime.now()
      for node in context.unwatched.values where node.isAttached && node.tree.isWorthALook(node, now: now) {
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

  /// Reads until the kernel has no more. True if there was anything.
  private func readRecords() -> Bool {
    guard let source else { return false }
    var isAnything = false
    while true {
      let records = source.read()
      if records.isEmpty { return isAnything }
      isAnything = true
      for record in records { take(record) }
    }
  }

  private func take(_ record: InotifyRecord) {
    if record.mask.contains(.overflow) {
      logger.warning("inotify lost events (fs.inotify.max_queued_events): comparing everything")
      return requestRescan()
    }
    // Records of a watch that was given up are of no interest.
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
