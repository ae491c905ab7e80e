import Monitoring
import XMLRPC

/// Values of metrics on their way from a child process to its parent.
nonisolated enum SampleCoding {
  private static let byName = Dictionary(uniqueKeysWithValues: ServerMetrics.all.map { ($0.name, $0) })

  /// An array for each series: the metric's name, labels, and a number, or the counts and nanoseconds of a histogram.
  static func encode(_ samples: MetricSamples) -> Value {
    .array(
      samples.families.flatMap { metric, series in
        series.map { labels, sample in
          let value: Value =
            switch sample {
            case .number(let number): .double(number)
            case .histogram(let bounds, let counts, let sum):
              .array([
                .array(bounds.map { .int(nanoseconds($0)) }), .array(counts.map { .int(Int64($0)) }), .int(sum),
              ])
            }
          return .array([.string(metric.name), .array(labels.map { .string($0) }), value])
        }
      })
  }

  /// - Returns: what is understood; the child is of the same version, so that it is everything.
  static func decode(_ value: Value) -> MetricSamples {
    var samples = MetricSamples()
    guard case .array(let all) = value else { return samples }
    for case .array(let parts) in all {
      guard parts.count == 3, let name = parts[0].string, let metric = byName[name], case .array(let texts) = parts[1]
      else { continue }
      let labels = texts.compactMap(\.string)
      guard labels.count == metric.labels.count, let sample = sample(parts[2]) else { continue }
      if case .histogram = sample, metric.kind != .histogram { continue }
      if case .number = sample, metric.kind == .histogram { continue }
      samples.add(metric, labels, sample)
    }
    return samples
  }

  private static func sample(_ value: Value) -> MetricSamples.Sample? {
    if case .double(let number) = value { return .number(number) }
    guard case .array(let parts) = value, parts.count == 3, case .array(let bounds) = parts[0],
      case .array(let counts) = parts[1], let sum = parts[2].int, counts.count == bounds.count + 1
    else { return nil }
    return .histogram(
      bounds: bounds.compactMap { $0.int.map { .nanoseconds($0) } },
      counts: counts.compactMap { $0.int.map { Int($0) } },
      sumNanoseconds: sum)
  }

  private static func nanoseconds(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
