/// A family of metrics as it is declared once: the output, the documents and the checks of dashboards come from here.
public nonisolated struct Metric: Hashable, Sendable {
  public enum Kind: String, Sendable {
    /// Only grows, until the process ends.
    case counter
    case gauge
    /// Durations by buckets, in seconds.
    case histogram
    /// Text in labels; the value is 1.
    case info
  }

  /// Without the suffixes that a sample gets: `bcfg2_requests`, not `bcfg2_requests_total`.
  public let name: String
  public let kind: Kind
  /// `seconds` or `bytes`, which the name ends with; nil for numbers of things.
  public let unit: String?
  /// One sentence without a final period.
  public let help: String
  /// Names of the labels, in the order in which samples give their values.
  public let labels: [String]

  public init(_ name: String, _ kind: Kind, labels: [String] = [], _ help: String) {
    self.name = name
    self.kind = kind
    self.labels = labels
    self.help = help
    unit = kind == .info ? nil : ["seconds", "bytes"].first { name.hasSuffix("_" + $0) }
  }

  /// Names of the series, as a monitor stores them.
  public var seriesNames: [String] {
    switch kind {
    case .counter: [name + "_total"]
    case .gauge: [name]
    case .histogram: [name + "_bucket", name + "_count", name + "_sum"]
    case .info: [name + "_info"]
    }
  }
}
