import ReportStore
import Synchronization

/// How many runs of each state there were on a day: kept for an hour where the day is over, since late reports and purges change
/// little, and for a minute otherwise.
final class DayCounts: Sendable {
  private struct Kept {
    var counts: [String: Int]
    var until: ContinuousClock.Instant
  }

  private let kept = Mutex<[ReportTime: Kept]>([:])
  private static let limit = 1000

  func counts(of day: ReportTime) -> [String: Int]? {
    kept.withLock { days in days[day].flatMap { $0.until > .now ? $0.counts : nil } }
  }

  func keep(_ counts: [String: Int], of day: ReportTime, isOver: Bool) {
    kept.withLock { days in
      if days.count >= Self.limit { days = [:] }
      days[day] = Kept(counts: counts, until: .now + .seconds(isOver ? 3600 : 60))
    }
  }
}
