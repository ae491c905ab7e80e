import Core

/// Execution times, as `bcfg2-admin perf` prints them.
enum ExecutionTable {
  @MainActor static func text(_ statistics: ExecutionStatistics) -> String {
    var table = TextTable(["Name", "Min", "Max", "Mean", "Count"])
    for (name, entry) in statistics.entries.sorted(by: { $0.key < $1.key }) {
      table.add([
        name, Decimals.text(entry.minimum, 6), Decimals.text(entry.maximum, 6), Decimals.text(entry.mean, 6),
        "\(entry.count)",
      ])
    }
    return table.text
  }

  /// Seconds.
  struct Row: Encodable {
    let name: String
    let min: Double
    let max: Double
    let mean: Double
    let count: Int
  }

  /// The same for JSON.
  @MainActor static func rows(_ statistics: ExecutionStatistics) -> [Row] {
    statistics.entries.sorted { $0.key < $1.key }.map { name, entry in
      Row(name: name, min: entry.minimum, max: entry.maximum, mean: entry.mean, count: Int(entry.count))
    }
  }
}

/// Numbers with a fixed number of decimals.
enum Decimals {
  static func text(_ value: Double, _ places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value * scale).rounded()
    guard scaled.isFinite, scaled.magnitude < 1e15 else { return "\(value)" }
    let whole = Int(scaled.magnitude)
    let digits = String(whole)
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    return (scaled < 0 ? "-" : "") + padded.dropLast(places) + (places > 0 ? "." + padded.suffix(places) : "")
  }
}

extension Duration {
  /// With its fraction.
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
