import XMLRPC

/// Execution times by name: minimum, maximum, mean in seconds, and count. `get_statistics` and `bcfg2-admin perf`.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Statistics.py.
public final class ExecutionStatistics {
  /// Figures of one name.
  public struct Entry: Sendable {
    /// Seconds.
    public fileprivate(set) var minimum: Double
    /// Seconds.
    public fileprivate(set) var maximum: Double
    /// Seconds.
    public fileprivate(set) var mean: Double
    public fileprivate(set) var count: Int
  }

  public private(set) var entries: [String: Entry] = [:]

  public init() {}

  /// Adds one measurement.
  public func add(_ name: String, _ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    let value = Double(seconds) + Double(attoseconds) * 1e-18
    guard let index = entries.index(forKey: name) else {
      entries[name] = Entry(minimum: value, maximum: value, mean: value, count: 1)
      return
    }
    entries.values[index].minimum = min(entries.values[index].minimum, value)
    entries.values[index].maximum = max(entries.values[index].maximum, value)
    entries.values[index].count += 1
    entries.values[index].mean += (value - entries.values[index].mean) / Double(entries.values[index].count)
  }

  /// As `get_statistics` answers: name to (minimum, maximum, mean, count).
  public var value: Value {
    .structure(
      entries.sorted { $0.key < $1.key }.map { name, entry in
        Value.Member(
          name,
          .array([.double(entry.minimum), .double(entry.maximum), .double(entry.mean), .int(Int64(entry.count))]))
      })
  }
}
