public import EventLoop

/// Values of metrics at one moment, of one process or added up over several.
public nonisolated struct MetricSamples: Sendable, Equatable {
  /// The value of one series.
  public enum Sample: Sendable, Equatable {
    case number(Double)
    /// Durations by bucket, the last one without a bound.
    case histogram(bounds: [Duration], counts: [Int], sumNanoseconds: Int64)
  }

  /// By metric, then by the values of its labels.
  public private(set) var families: [Metric: [[String]: Sample]] = [:]

  public init() {}

  /// Adds a number to a series; the first one makes it.
  ///
  /// - Parameter labels: a value for each label of the metric, in its order.
  public mutating func add(_ metric: Metric, _ labels: [String], _ number: some MetricNumber) {
    precondition(metric.kind != .histogram && labels.count == metric.labels.count, "\(metric.name): no such series")
    var sum = number.metricValue
    if case .number(let before) = families[metric]?[labels] { sum += before }
    families[metric, default: [:]][labels] = .number(sum)
  }

  /// Adds a number to a metric without labels.
  public mutating func add(_ metric: Metric, _ number: some MetricNumber) { add(metric, [], number) }

  /// Adds durations to a series.
  public mutating func add(_ metric: Metric, _ labels: [String], _ histogram: DurationHistogram) {
    add(
      metric, labels,
      .histogram(bounds: histogram.bounds, counts: histogram.counts, sumNanoseconds: histogram.sumNanoseconds))
  }

  /// Adds a sample to a series. Histograms of one series have the same bounds.
  public mutating func add(_ metric: Metric, _ labels: [String], _ sample: Sample) {
    switch sample {
    case .number(let number): add(metric, labels, number)
    case .histogram(let bounds, var counts, var sum):
      precondition(metric.kind == .histogram && labels.count == metric.labels.count, "\(metric.name): no such series")
      if case .histogram(bounds, let before, let sumBefore) = families[metric]?[labels] {
        counts = zip(counts, before).map(+)
        sum += sumBefore
      }
      families[metric, default: [:]][labels] = .histogram(bounds: bounds, counts: counts, sumNanoseconds: sum)
    }
  }

  /// Adds the values of another process.
  public mutating func add(_ other: MetricSamples) {
    for (metric, series) in other.families {
      for (labels, sample) in series { add(metric, labels, sample) }
    }
  }

  /// What stays true of a process that has ended: counters and histograms.
  public var grownOnly: MetricSamples {
    var rest = self
    rest.families = families.filter { $0.key.kind == .counter || $0.key.kind == .histogram }
    return rest
  }
}

/// What a metric may be: a number, or whether something is so.
public nonisolated protocol MetricNumber {
  var metricValue: Double { get }
}

nonisolated extension Double: MetricNumber {
  public var metricValue: Double { self }
}

nonisolated extension Int: MetricNumber {
  public var metricValue: Double { Double(self) }
}

nonisolated extension Bool: MetricNumber {
  public var metricValue: Double { self ? 1 : 0 }
}
