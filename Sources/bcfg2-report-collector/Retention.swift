import Databases
import EventLoop
import Logging
import ReportStore

/// Deletes interactions that are older than `[reporting] keep`, once a day: some in a turn of the loop, while nothing waits to be stored.
/// A client's latest interaction stays, however old.
@MainActor
final class Retention {
  /// Interactions that are deleted in one transaction.
  private static let stepLimit = 500
  private static let interval = Duration.seconds(86400)

  private let days: Int
  private let store: StoreConnection
  private let logger: Logger
  private var next: MonotonicTime
  private var deleted = 0
  /// What the deleted interactions may have left without a user.
  private var kinds: [OrphanKind] = []

  init(days: Int, _ store: StoreConnection, _ logger: Logger) {
    self.days = days
    self.store = store
    self.logger = logger
    next = .now()
  }

  /// Deletes some.
  ///
  /// - Returns: whether there may be more.
  func step() throws(DatabaseError) -> Bool {
    if let kind = kinds.first {
      try store.current.pruneOrphans([kind])
      kinds.removeFirst()
      return true
    }
    guard MonotonicTime.now() >= next else { return false }
    if let end = try store.current.retentionEnd(days: days, now: .now()) {
      let count = try store.current.keepSince(end, limit: Self.stepLimit)
      deleted += count
      if count > 0 { return true }
    }
    next = .now() + Self.interval
    guard deleted > 0 else { return false }
    logger.info("Deleted \(deleted) interactions that are older than \(days) days ([reporting] keep)")
    deleted = 0
    kinds = OrphanKind.all
    return true
  }
}
