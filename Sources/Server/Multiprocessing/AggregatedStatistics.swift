import XMLRPC

/// Adds up execution times of several processes as Bcfg2's multiprocessing core does.
struct AggregatedStatistics {
  private struct Entry {
    var minimum: Double
    var maximum: Double
    /// Seconds.
    var mean: Double
    var count: Int64

    init?(_ value: Value) {
      guard case .array(let items) = value, items.count == 4, case .double(let minimum) = items[0],
        case .double(let maximum) = items[1], case .double(let mean) = items[2], let count = items[3].int
      else { return nil }
      self.minimum = minimum
      self.maximum = maximum
      self.mean = mean
      self.count = count
    }

    var value: Value { .array([.double(minimum), .double(maximum), .double(mean), .int(count)]) }

    mutating func add(_ other: Entry) {
      minimum = min(minimum, other.minimum)
      maximum = max(maximum, other.maximum)
      let sum = count + other.count
      if sum > 0 { mean = (mean * Double(count) + other.mean * Double(other.count)) / Double(sum) }
      count = sum
    }
  }

  private var entries: [String: Entry] = [:]

  /// Adds the answer of one process to `get_statistics`.
  ///
  /// - Parameter prefix: the child's name; nil for the parent.
  mutating func add(_ statistics: Value, prefix: String?) {
    for member in statistics.members ?? [] {
      guard let entry = Entry(member.value) else { continue }
      // Count a child's core as a core.
      let name = member.name.hasPrefix("ChildCore:") ? String(member.name.dropFirst(5)) : member.name
      entries[prefix.map { "\($0):\(name)" } ?? name] = entry
      if entries["Total:\(name)"]?.add(entry) == nil { entries["Total:\(name)"] = entry }
    }
  }

  /// Name to (minimum, maximum, mean, count).
  var value: Value {
    .structure(entries.sorted { $0.key < $1.key }.map { Value.Member($0.key, $0.value.value) })
  }
}
