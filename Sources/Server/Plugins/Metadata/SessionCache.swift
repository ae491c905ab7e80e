import DequeModule
import EventLoop

/// Which client authenticated from an address and port, for the calls that follow on other connections of one run.
///
/// Entries hold for 90 s, as in Bcfg2; expired ones are dropped with the next entry, so that there are never more than
/// came in 90 s.
struct SessionCache {
  /// How long an entry holds.
  static let lifetime: Duration = .seconds(90)

  private var entries: [ClientAddress: (client: String, time: MonotonicTime)] = [:]
  private var order: Deque<(address: ClientAddress, time: MonotonicTime)> = []

  var count: Int { entries.count }

  /// Remembers a client, in place of what was remembered of the address.
  mutating func remember(_ client: String, at address: ClientAddress, now: MonotonicTime) {
    dropExpired(now: now)
    entries[address] = (client, now)
    order.append((address, now))
  }

  /// The client of an address and port; nil where none authenticated, or too long ago.
  func client(at address: ClientAddress, now: MonotonicTime) -> String? {
    guard let entry = entries[address], now - entry.time < Self.lifetime else { return nil }
    return entry.client
  }

  /// Drops what no longer holds.
  mutating func dropExpired(now: MonotonicTime) {
    while let oldest = order.first, now - oldest.time >= Self.lifetime {
      order.removeFirst()
      // A later entry of the same address has another time and stays.
      if entries[oldest.address]?.time == oldest.time { entries[oldest.address] = nil }
    }
  }
}
