package import EventLoop

/// Counts calls by method and outcome, and how long they took: for metrics. Nothing is allocated for a call.
package final class RequestCounts {
  /// How a call ended.
  package nonisolated enum Outcome: String, CaseIterable, Sendable {
    case ok, fault
    /// An ACL denied it.
    case refused
  }

  /// Bounds of the durations: a kept answer takes microseconds, a configuration with programs some seconds.
  private static let bounds: [Duration] = [
    .microseconds(100), .microseconds(500), .milliseconds(1), .microseconds(2500), .milliseconds(5), .milliseconds(10),
    .milliseconds(25), .milliseconds(50), .milliseconds(100), .milliseconds(250), .milliseconds(500), .seconds(1),
    .microseconds(2_500_000), .seconds(5), .seconds(10), .seconds(30), .seconds(60),
  ]

  /// Names of methods as metrics have them: the core's own, and two for all others, so that clients cannot make more.
  private static let methods = ServerCore.exposedMethods.keys.sorted() + [pluginMethods, others]
  /// Methods of plugins and of the file monitor.
  private static let pluginMethods = "plugin"
  /// Unknown methods, and the introspection of XML-RPC.
  private static let others = "other"
  private static let places = Dictionary(uniqueKeysWithValues: methods.enumerated().map { ($1, $0) })
  /// `allCases` is a new array each time.
  private static let outcomeCount = Outcome.allCases.count
  static let getConfig = places["GetConfig"] ?? 0
  static let getProbes = places["GetProbes"] ?? 0

  /// By method, then by outcome.
  private var times: [DurationHistogram]

  init() {
    let none = DurationHistogram(bounds: Self.bounds)
    times = Array(repeating: none, count: Self.methods.count * Outcome.allCases.count)
  }

  /// Counts a call that was answered from the cache.
  ///
  /// - Parameter method: `getConfig` or `getProbes`.
  func recordKept(_ method: Int, _ duration: Duration) { times[method * Self.outcomeCount].add(duration) }

  /// Counts a call.
  ///
  /// - Parameter isOfPlugin: whether a method that is not the core's is one of a plugin.
  func record(_ method: String, _ outcome: Outcome, isOfPlugin: Bool, _ duration: Duration) {
    let method = Self.places[method] ?? Self.places[isOfPlugin ? Self.pluginMethods : Self.others] ?? 0
    let place =
      switch outcome {
      case .ok: 0
      case .fault: 1
      case .refused: 2
      }
    times[method * Self.outcomeCount + place].add(duration)
  }

  /// Durations by method and outcome; those of the core's own methods also where there were none.
  package var all: [(method: String, outcome: Outcome, times: DurationHistogram)] {
    Self.methods.enumerated().flatMap { place, method in
      Outcome.allCases.enumerated().map { (method, $1, times[place * Self.outcomeCount + $0]) }
    }
  }
}
