import EventLoop
import ServerSettings

/// Decides which requests are refused with 503 while the loop has more work than time.
///
/// A request is refused at its headers, before its body is read; one that has been read is always answered. A request of
/// an address that was answered a short while ago belongs to a client's run that has begun (probes were sent, their data
/// follows), and is accepted longer than the first request of a run.
struct Overload {
  /// How long an address counts as being in a run after an answer.
  static let runTime: Duration = .seconds(300)
  /// The factor by which the limit is higher for requests of a run that has begun.
  static let runPatience = 4
  /// Most addresses that are remembered.
  static let limitAddresses = 8192

  private var limitLag: Duration
  private var answered: [SocketAddress: MonotonicTime] = [:]

  init(_ limits: NetworkLimits) { limitLag = limits.duration(.overloadSeconds) }

  /// Changes the limits.
  mutating func setLimits(_ limits: NetworkLimits) { limitLag = limits.duration(.overloadSeconds) }

  /// Whether events have waited so long that some requests are refused.
  func isLate(_ lag: Duration) -> Bool { lag >= limitLag }

  /// - Parameter lag: how long the events of this iteration have waited for their turn.
  func refuses(_ address: SocketAddress, lag: Duration, now: MonotonicTime) -> Bool {
    guard isLate(lag) else { return false }
    return !isInRun(address, now: now) || lag >= limitLag * Self.runPatience
  }

  /// Whether the address was answered a short while ago.
  func isInRun(_ address: SocketAddress, now: MonotonicTime) -> Bool {
    answered[address].map { now - $0 < Self.runTime } ?? false
  }

  /// Whether the address is among the last `limitAddresses` that were answered.
  func isKnown(_ address: SocketAddress) -> Bool { answered[address] != nil }

  /// Records an answer to an authenticated request.
  mutating func recordAnswer(to address: SocketAddress, now: MonotonicTime) {
    if answered[address] == nil, answered.count >= Self.limitAddresses {
      answered = answered.filter { now - $0.value < Self.runTime }
      // More clients than that within minutes: none is preferred until they are fewer.
      if answered.count >= Self.limitAddresses { answered.removeAll() }
    }
    answered[address] = now
  }
}
