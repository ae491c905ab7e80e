import EventLoop
import ServerSettings

/// Whether the loop has more work than time, and which requests are then asked to come later.
///
/// A request that has been read is always answered; what is refused is refused at its headers, before its body is
/// read. Requests of an address that was answered a short while ago belong to a run that has begun (probes were asked
/// for, their data follows), and are let in longer than the first request of a run.
struct Overload {
  /// How long an address counts as being in a run after an answer.
  static let runTime: Duration = .seconds(300)
  /// Times the limit that requests of a run that has begun may be late.
  static let runPatience = 4
  /// Most addresses that are remembered.
  static let limitAddresses = 8192

  private var limitLag: Duration
  private var answered: [SocketAddress: MonotonicTime] = [:]

  init(_ limits: NetworkLimits) { limitLag = limits.duration(.overloadSeconds) }

  /// Takes other limits.
  mutating func take(_ limits: NetworkLimits) { limitLag = limits.duration(.overloadSeconds) }

  /// Whether events wait so long that some requests are refused.
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

  /// Whether the address has been answered at all, among the last so many that were.
  func isKnown(_ address: SocketAddress) -> Bool { answered[address] != nil }

  /// Records an answer to an authenticated request.
  mutating func recordAnswer(to address: SocketAddress, now: MonotonicTime) {
    if answered[address] == nil, answered.count >= Self.limitAddresses {
      answered = answered.filter { now - $0.value < Self.runTime }
      // More clients than that within minutes: nobody is preferred until they are fewer.
      if answered.count >= Self.limitAddresses { answered.removeAll() }
    }
    answered[address] = now
  }
}
