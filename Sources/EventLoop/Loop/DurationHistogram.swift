/// Counts durations by fixed bounds, for metrics: plain integers, no allocation after it was made.
public nonisolated struct DurationHistogram: Sendable {
  /// Upper bounds of the buckets, ascending; what is longer is in one more bucket.
  public let bounds: [Duration]
  /// How many durations are in each bucket, the last one without a bound.
  public private(set) var counts: [Int]
  /// Of all durations.
  public private(set) var sumNanoseconds: Int64 = 0
  private let limits: [Int64]

  public init(bounds: [Duration]) {
    self.bounds = bounds
    limits = bounds.map(\.wholeNanoseconds)
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  /// Number of durations.
  public var count: Int { counts.reduce(0, +) }

  /// Adds one duration; a negative one counts as none.
  public mutating func add(_ duration: Duration) { add(nanoseconds: duration.wholeNanoseconds) }

  /// Adds one duration, in nanoseconds.
  public mutating func add(nanoseconds: Int64) {
    let value = max(0, nanoseconds)
    sumNanoseconds &+= value
    // Most are short: the first bounds decide.
    var bucket = 0
    while bucket < limits.count, value > limits[bucket] { bucket += 1 }
    counts[bucket] &+= 1
  }
}
