import DequeModule
import EventLoop

/// Which client authenticated from an address and port, for the calls that follow on other connections of one run.
///
/// Entries hold for 90 s, as in Bcfg2; expired ones are dropped with the next entry. A storm of connections that
/// authenticate and go would leave hundreds of thousands in that time, so that there is a bound, too: each request
/// authenticates, and makes its entry anew where it was dropped.
struct SessionCache {
  /// How long an entry holds, seconds.
  static let lifetime = 90

  /// An entry is not made anew within so many seconds: a connection with thousands of requests is one entry a second.
  static let grain = 1

  /// The most entries, with older ones of the same addresses. More than connections that are served at a time.
  static let limit = 16_384

  /// Whether so many seconds have passed. Asked in each request: without the division that a Duration costs.
  private static func isOver(_ time: MonotonicTime, _ seconds: Int, _ now: MonotonicTime) -> Bool {
    now.nanoseconds - time.nanoseconds >= Int64(seconds) * 1_000_000_000
  }

  private var entries: [ClientAddress: (client: String, time: MonotonicTime)] = [:]
  private var order: Deque<(address: ClientAddress, time: MonotonicTime)> = []

  var count: Int { entries.count }
  /// Entries and older ones of the same addresses, which wait for their end.
  var waiting: Int { order.count }

  /// Remembers a client, in place of what was remembered of the address.
  mutating func remember(_ client: String, at address: ClientAddress, now: MonotonicTime) {
    dropExpired(now: now)
    if let entry = entries[address], entry.client == client, !Self.isOver(entry.time, Self.grain, now) {
      return
    }
    entries[address] = (client, now)
    order.append((address, now))
    if order.count > Self.limit { dropOldest() }
  }

  /// The client of an address and port; nil where none authenticated, or too long ago.
  func client(at address: ClientAddress, now: MonotonicTime) -> String? {
    guard let entry = entries[address], !Self.isOver(entry.time, Self.lifetime, now) else { return nil }
    return entry.client
  }

  /// Drops what no longer holds.
  mutating func dropExpired(now: MonotonicTime) {
    while let oldest = order.first, Self.isOver(oldest.time, Self.lifetime, now) { dropOldest() }
  }

  private mutating func dropOldest() {
    guard let oldest = order.popFirst() else { return }
    // A later entry of the same address has another time and stays.
    if entries[oldest.address]?.time == oldest.time { entries[oldest.address] = nil }
  }
}
