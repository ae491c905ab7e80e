import EventLoop
import ServerSettings

/// Counts failed authentications by address, and delays the refusals of an address that has too many.
///
/// Each password is checked, whatever its address did before, and a right one is admitted: clients that share an address
/// with a guesser are served. Only the refusals wait. While `limitWaiting` of an address wait, the checks of its further
/// passwords have turns, too, `checkInterval` apart. So an address has 20 guesses a second at most, and a right password
/// among guesses waits for the turns before its own, which `unauthenticated_per_address` bounds (6.4 s with its default).
/// A certificate has failures and turns of its own: who shows one does not wait for guesses of others at the address, and
/// guesses no faster. A refusal whose check waited is not delayed again.
///
/// A waiting refusal keeps its connection's place among the unauthenticated, whether the peer stays or not. The number of
/// addresses and certificates is bounded.
struct AuthenticationThrottle {
  /// Whose failures are counted together.
  nonisolated enum Source: Hashable {
    case address(SocketAddress)
    /// Whoever shows a certificate with this common name there.
    case certificate(String, at: SocketAddress)
  }

  /// Most sources that are remembered; the one that failed longest ago goes first.
  static let limitAddresses = 4096
  /// Most refusals of one address that wait at a time; while they do, checks of further passwords have turns.
  static let limitWaiting = 16
  /// Between two password checks of such an address.
  static let checkInterval: Duration = .milliseconds(50)
  /// The first delay; each further failure doubles it.
  static let firstDelay: Duration = .milliseconds(250)

  private struct Record {
    var failures: Int
    /// When the last failure was forgotten or added.
    var changed: MonotonicTime
    var waiting = 0
    /// When the last turn is that was assigned.
    var lastTurn: MonotonicTime?
  }

  /// Failures that are refused without a delay.
  private var free: Int
  private var longest: Duration
  /// The time that forgets one failure.
  private var decay: Duration
  private var records: [Source: Record] = [:]

  init(_ limits: NetworkLimits) {
    free = limits[.authenticationFailures]
    longest = limits.duration(.authenticationDelay)
    decay = limits.duration(.authenticationDecay)
  }

  /// Sources that are remembered.
  var count: Int { records.count }

  /// Changes the limits; what was counted stays.
  mutating func setLimits(_ limits: NetworkLimits) { self = AuthenticationThrottle(limits, records) }

  private init(_ limits: NetworkLimits, _ records: [Source: Record]) {
    self.init(limits)
    self.records = records
  }

  /// How long the check of a password of the source waits for its turn; zero while fewer than `limitWaiting` of its
  /// refusals wait.
  mutating func turn(of source: Source, now: MonotonicTime) -> Duration {
    guard var record = records[source], record.waiting >= Self.limitWaiting else { return .zero }
    let turn = max(record.lastTurn ?? now, now) + Self.checkInterval
    record.lastTurn = turn
    records[source] = record
    return turn - now
  }

  /// Counts a failure. Returns how long its refusal waits: zero where the source has few failures, or where its check
  /// already waited. After another result `endWait` must follow.
  mutating func recordFailure(of source: Source, now: MonotonicTime) -> Duration {
    if records[source] == nil { makeRoom(now) }
    var record = records[source] ?? Record(failures: 0, changed: now)
    forget(&record, now)
    // More than the longest delay needs count no more, so that they do not take ever longer to be forgotten.
    record.failures = min(record.failures + 1, free + 16)
    let over = record.failures - free
    var delay = Duration.zero
    if over > 0, longest > .zero, record.waiting < Self.limitWaiting {
      delay = Self.firstDelay
      for _ in 1..<over where delay < longest { delay += delay }
      delay = min(delay, longest)
      record.waiting += 1
    }
    records[source] = record
    return delay
  }

  /// Records that a refusal of the source no longer waits: it was sent, or its connection ended.
  mutating func endWait(of source: Source) {
    records[source]?.waiting -= 1
  }

  private func forget(_ record: inout Record, _ now: MonotonicTime) {
    let passed = Int((now - record.changed) / decay)
    record.failures = max(0, record.failures - passed)
    record.changed = record.failures == 0 ? now : record.changed + decay * passed
  }

  private mutating func makeRoom(_ now: MonotonicTime) {
    guard records.count >= Self.limitAddresses else { return }
    for (source, var record) in records where record.waiting == 0 {
      forget(&record, now)
      if record.failures == 0 { records[source] = nil }
    }
    while records.count >= Self.limitAddresses,
      let oldest = records.filter({ $0.value.waiting == 0 }).min(by: { $0.value.changed < $1.value.changed })
    {
      records[oldest.key] = nil
    }
  }
}
