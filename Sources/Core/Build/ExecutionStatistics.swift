public import XMLRPC

/// Execution times by name: minimum, maximum, mean in seconds, and count, for `get_statistics` and `bcfg2-admin perf`.
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

    fileprivate mutating func add(_ value: Double) {
      minimum = Swift.min(minimum, value)
      maximum = Swift.max(maximum, value)
      count += 1
      mean += (value - mean) / Double(count)
    }
  }

  /// The index of a name's figures: looked up once by code that adds many.
  public struct Slot: Sendable {
    fileprivate let index: Int
  }

  private var figures: [Entry] = []
  private var slots: [String: Slot] = [:]

  public init() {}

  /// The figures of every measured name.
  public var entries: [String: Entry] {
    slots.mapValues { figures[$0.index] }.filter { $0.value.count > 0 }
  }

  /// Returns the slot of a name, and makes it if needed.
  public func slot(_ name: String) -> Slot {
    if let known = slots[name] { return known }
    let slot = Slot(index: figures.count)
    figures.append(Entry(minimum: .infinity, maximum: 0, mean: 0, count: 0))
    slots[name] = slot
    return slot
  }

  /// Adds one measurement.
  public func add(_ name: String, _ duration: Duration) { add(slot(name), duration) }

  /// Adds one measurement.
  public func add(_ slot: Slot, _ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    let value = Double(seconds) + Double(attoseconds) * 1e-18
    figures[slot.index].add(value)
  }

  /// The answer of `get_statistics`: name to (minimum, maximum, mean, count).
  public var value: Value {
    .structure(
      entries.sorted { $0.key < $1.key }.map { name, entry in
        Value.Member(
          name,
          .array([.double(entry.minimum), .double(entry.maximum), .double(entry.mean), .int(Int64(entry.count))]))
      })
  }
}
