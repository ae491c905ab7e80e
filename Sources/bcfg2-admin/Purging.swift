import Commands
import Databases
import Logging
import ReportStore

/// Purges of the reporting database, and what the modes of 1.4 and of 1.3 tell of them.
enum Purging {
  /// - Parameter refusal: the message for a purge of everything.
  /// - Throws: `AdminProblem` for an unknown client and a purge of everything; `DatabaseError`.
  static func run(_ purge: Purge, _ store: ReportStore, refusal: String) throws {
    let before = purge.days.map { ReportTime.now().adding(days: -$0).text }
    if purge.isForExpired {
      try store.purgeExpired(before: before)
      return
    }
    do throws(PurgeError) {
      try store.purge(PurgeSelection(client: purge.client, before: before, state: purge.state))
    } catch .noCondition {
      throw AdminProblem(refusal)
    } catch .unknownClient(let name) {
      throw AdminProblem("Client \(name) not in database")
    } catch .database(let error) {
      throw error
    }
  }

  /// Runs `body` and tells by how many rows each class became smaller.
  ///
  /// - Parameter classes: in the order in which they are told.
  static func withCounts(
    _ store: ReportStore, _ classes: [String], _ body: () throws -> Void, tell: (String, Int) -> Void
  ) throws {
    let before = Dictionary(try store.counts().map { ($0.model, $0.count) }) { first, _ in first }
    try body()
    let after = Dictionary(try store.counts().map { ($0.model, $0.count) }) { first, _ in first }
    for name in classes { tell(name, (before[name] ?? 0) - (after[name] ?? 0)) }
  }

  /// Removes entries, groups and bundles that no interaction has. What Bcfg2 leaves of these goes with `isThorough`.
  static func scrub(_ store: ReportStore, isThorough: Bool = false) throws {
    let logger = Logger(label: Bcfg2Admin.program)
    for (kind, count) in try store.pruneOrphans(isThorough ? OrphanKind.all : OrphanKind.ofBcfg2) {
      logger.info("Pruned \(count) \(kind.model) records")
    }
  }
}
