import Glibc

/// An instant of CLOCK_MONOTONIC, in nanoseconds: never set back, unrelated to the time of day.
public nonisolated struct MonotonicTime: Comparable, Hashable, Sendable, CustomStringConvertible {
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// The clock, read now: one vDSO call. On the loop prefer ``Reactor/now``.
  public static func now() -> MonotonicTime {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return MonotonicTime(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
  }

  public static let distantFuture = MonotonicTime(nanoseconds: .max)

  public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool { left.nanoseconds < right.nanoseconds }

  /// The instant later by a duration; stops at ``distantFuture`` instead of overflowing.
  public static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
    let (sum, overflow) = time.nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
    return MonotonicTime(nanoseconds: overflow ? (duration < .zero ? .min : .max) : sum)
  }

  public static func - (time: MonotonicTime, duration: Duration) -> MonotonicTime {
    let (difference, overflow) = time.nanoseconds.subtractingReportingOverflow(duration.wholeNanoseconds)
    return MonotonicTime(nanoseconds: overflow ? (duration < .zero ? .max : .min) : difference)
  }

  /// How much later the left instant is.
  public static func - (left: MonotonicTime, right: MonotonicTime) -> Duration {
    .nanoseconds(left.nanoseconds.subtractingReportingOverflow(right.nanoseconds).partialValue)
  }

  public var description: String { "\(nanoseconds) ns" }
}

extension Duration {
  /// Nanoseconds, cut towards zero; Int64's bound (292 years) where the duration is longer.
  public nonisolated var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, carried) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
    return carried ? (seconds < 0 ? .min : .max) : sum
  }
}
