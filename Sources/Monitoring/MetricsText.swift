/// The text formats of metrics, and which of them a scraper wants.
public nonisolated enum MetricsText: CaseIterable, Sendable {
  /// OpenMetrics 1.0.
  case openMetrics
  /// Prometheus's own, version 0.0.4.
  case prometheus

  public var contentType: String {
    switch self {
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
    }
  }

  /// What a request asks for: OpenMetrics, unless the client prefers `text/plain`.
  ///
  /// - Parameter accept: values of the header Accept (RFC 9110, section 12.5.1).
  public init(accept: [String]) {
    var open = 0.0
    var plain = 0.0
    for range in accept.flatMap({ $0.split(separator: ",") }) {
      let parts = range.split(separator: ";", omittingEmptySubsequences: false).map(Self.trimmed)
      let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
      switch parts.first {
      case "application/openmetrics-text": open = max(open, quality)
      case "text/plain": plain = max(plain, quality)
      default: continue
      }
    }
    self = plain > open ? .prometheus : .openMetrics
  }

  /// Without blanks around it, in lower case.
  private static func trimmed(_ text: Substring) -> String {
    let text = text.drop { $0 == " " || $0 == "\t" }
    let end = text.lastIndex { $0 != " " && $0 != "\t" }
    return end.map { String(text[...$0]).lowercased() } ?? ""
  }

  /// All metrics in their order, each with its description, also where it has no series.
  public func bytes(_ metrics: [Metric], _ samples: MetricSamples) -> [UInt8] {
    var text = ""
    for metric in metrics { append(metric, samples.families[metric] ?? [:], to: &text) }
    if self == .openMetrics { text += "# EOF\n" }
    return Array(text.utf8)
  }

  private func append(_ metric: Metric, _ series: [[String]: MetricSamples.Sample], to text: inout String) {
    let isOpen = self == .openMetrics
    // Prometheus's format names the series, OpenMetrics the family.
    let family = isOpen || metric.kind == .histogram ? metric.name : metric.seriesNames[0]
    let kind = !isOpen && metric.kind == .info ? Metric.Kind.gauge : metric.kind
    text += "# HELP \(family) \(escaped(metric.help, quotes: isOpen))\n# TYPE \(family) \(kind.rawValue)\n"
    if isOpen, let unit = metric.unit { text += "# UNIT \(family) \(unit)\n" }
    for (values, sample) in series.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let labels = zip(metric.labels, values).map { "\($0)=\"\(escaped($1, quotes: true))\"" }
      switch sample {
      case .number(let number):
        text += "\(metric.seriesNames[0])\(Self.set(labels)) \(Self.text(number))\n"
      case .histogram(let bounds, let counts, let sum):
        var count = 0
        for (index, more) in counts.enumerated() {
          count += more
          let bound = index < bounds.count ? Self.bound(bounds[index]) : "+Inf"
          text += "\(metric.name)_bucket\(Self.set(labels + ["le=\"\(bound)\""])) \(count)\n"
        }
        text += "\(metric.name)_sum\(Self.set(labels)) \(Self.text(Double(sum) / 1e9))\n"
        text += "\(metric.name)_count\(Self.set(labels)) \(count)\n"
      }
    }
  }

  private static func set(_ labels: [String]) -> String {
    labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}"
  }

  private func escaped(_ text: String, quotes: Bool) -> String {
    guard text.utf8.contains(where: { $0 == 0x5c || $0 == 0x0a || $0 == 0x22 }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A number without a fraction where it has none.
  static func text(_ number: Double) -> String {
    if number.isNaN { return "NaN" }
    if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
    return number == number.rounded() && abs(number) < 0x1p53 ? "\(Int64(number))" : "\(number)"
  }

  /// A bound in seconds, always with a fraction, as OpenMetrics wants it.
  private static func bound(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    return "\(Double(seconds) + Double(attoseconds) / 1e18)"
  }
}
