import EventLoop

/// Failed authentications by address: who has too many gets its refusals later, others notice nothing.
///
/// Only refusals wait, never an accepted password, so that clients behind one address with someone who guesses are
/// served as ever. A refusal that waits keeps its connection's place among the unauthenticated, whether the peer stays
/// or not; an address with `limitWaiting` of them gets no further password looked at. That bounds the guesses of an
/// address to `limitWaiting` per `authentication_delay`. The table is bounded, too.
struct AuthenticationThrottle {
  /// Most addresses that are remembered; the one that failed longest ago goes first.
  static let limitAddresses = 4096
  /// Most refusals of one address that wait at a time.
  static let limitWaiting = 16
  /// The first delay; each further failure doubles it.
  static let firstDelay: Duration = .milliseconds(250)

  private struct Record {
    var failures: Int
    /// When the last failure was forgotten or added.
    var changed: MonotonicTime
    var waiting = 0
  }

  /// Failures without a delay.
  private let free: Int
  private let longest: Duration
  /// The time that forgets one failure.
  private let decay: Duration
  private var records: [SocketAddress: Record] = [:]

  init(_ limits: NetworkLimits) {
    free = limits[.authenticationFailures]
    longest = limits.duration(.authenticationDelay)
    decay = limits.duration(.authenticationDecay)
  }

  /// Addresses that are remembered.
  var count: Int { records.count }

  /// Whether so many refusals of the address wait that no further one may be made.
  func isBusy(_ address: SocketAddress) -> Bool {
    records[address].map { $0.waiting >= Self.limitWaiting } ?? false
  }

  /// Counts a failure. Returns how long its answer waits; zero for at once. Where it waits, `endWait` must follow.
  mutating func noteFailure(of address: SocketAddress, now: MonotonicTime) -> Duration {
    if records[address] == nil { makeRoom(now) }
    var record = records[address] ?? Record(failures: 0, changed: now)
    forget(&record, now)
    // More than the longest delay needs count no more, so that they do not take ever longer to be forgotten.
    record.failures = min(record.failures + 1, free + 16)
    let over = record.failures - free
    var delay = Duration.zero
    if over > 0, longest > .zero {
      delay = Self.firstDelay
      for _ in 1..<over where delay < longest { delay += delay }
      delay = min(delay, longest)
      record.waiting += 1
    }
    records[address] = record
    return delay
  }

  /// A refusal of the address has waited, or its connection has ended.
  mutating func endWait(of address: SocketAddress) {
    records[address]?.waiting -= 1
  }

  private func forget(_ record: inout Record, _ now: MonotonicTime) {
    let passed = Int((now - record.changed) / decay)
    record.failures = max(0, record.failures - passed)
    record.changed = record.failures == 0 ? now : record.changed + decay * passed
  }

  private mutating func makeRoom(_ now: MonotonicTime) {
    guard records.count >= Self.limitAddresses else { return }
    for (address, var record) in records where record.waiting == 0 {
      forget(&record, now)
      if record.failures == 0 { records[address] = nil }
    }
    while records.count >= Self.limitAddresses,
      let oldest = records.filter({ $0.value.waiting == 0 }).min(by: { $0.value.changed < $1.value.changed })
    {
      records[oldest.key] = nil
    }
  }
}
