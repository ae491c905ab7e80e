/// Metrics as a scraper reads them: strictly by OpenMetrics 1.0, or by Prometheus's format 0.0.4.
public nonisolated struct OpenMetricsReader {
  public struct Problem: Error, CustomStringConvertible {
    public let description: String
  }

  public struct Family: Equatable {
    public var type = ""
    public var help = ""
    public var unit: String?
  }

  /// Families by name, those without series included.
  public private(set) var families: [String: Family] = [:]
  /// Values by name and labels in their order: `name{a="b"}`, with escapes as they came.
  public private(set) var values: [String: Double] = [:]

  private var current: String?
  private var finished: Set<String> = []
  private let isOpen: Bool

  /// - Throws: `Problem` for what the format does not allow.
  public init(_ text: String, isOpenMetrics: Bool = true) throws {
    isOpen = isOpenMetrics
    guard text.last == "\n" else { throw Problem(description: "the last line has no end") }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    if isOpen {
      guard lines.popLast() == "# EOF" else { throw Problem(description: "no # EOF") }
    }
    for line in lines {
      do {
        if line.hasPrefix("#") { try describe(line) } else { try sample(line) }
      } catch let problem as Problem {
        throw Problem(description: "\(line): \(problem)")
      }
    }
    for name in families.keys where families[name]?.type == "histogram" { try checkHistogram(name) }
  }

  /// Sums of the series of a name whose labels hold these.
  public func sum(_ name: String, _ labels: [String: String] = [:]) -> Double? {
    let found = values.filter { key, _ in
      guard key == name || key.hasPrefix(name + "{") else { return false }
      return labels.allSatisfy { key.contains("{\($0)=\"\($1)\"") || key.contains(",\($0)=\"\($1)\"") }
    }
    return found.isEmpty ? nil : found.values.reduce(0, +)
  }

  /// Names of all series that the families may have.
  public var seriesNames: Set<String> {
    var names: Set<String> = []
    for (name, family) in families {
      switch family.type {
      case "histogram": names.formUnion(["_bucket", "_sum", "_count"].map { name + $0 })
      case "counter": names.insert(isOpen ? name + "_total" : name)
      case "info": names.insert(name + "_info")
      default: names.insert(name)
      }
    }
    return names
  }

  private mutating func describe(_ line: Substring) throws {
    let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "#", Self.isName(parts[2]) else {
      throw Problem(description: "no description of a metric")
    }
    let name = String(parts[2])
    if current != name {
      guard families[name] == nil, !finished.contains(name) else {
        throw Problem(description: "the family comes twice, or its lines are apart")
      }
      if let current { finished.insert(current) }
      current = name
      families[name] = Family()
    }
    guard !values.keys.contains(where: { $0 == name || $0.hasPrefix(name + "{") }) else {
      throw Problem(description: "a description behind the values")
    }
    switch parts[1] {
    case "HELP": families[name]?.help = String(parts[3])
    case "TYPE":
      let known = isOpen ? ["counter", "gauge", "histogram", "info"] : ["counter", "gauge", "histogram"]
      guard known.contains(String(parts[3])), families[name]?.type == "" else {
        throw Problem(description: "no such type, or a second one")
      }
      families[name]?.type = String(parts[3])
    case "UNIT" where isOpen:
      guard name.hasSuffix("_" + parts[3]) else { throw Problem(description: "the name does not end with the unit") }
      families[name]?.unit = String(parts[3])
    default: throw Problem(description: "an unknown description")
    }
  }

  private mutating func sample(_ line: Substring) throws {
    guard let current, let family = families[current] else { throw Problem(description: "a value of no family") }
    guard let space = line.lastIndex(of: " ") else { throw Problem(description: "no value") }
    let series = line[..<space]
    let name = series.prefix { $0 != "{" }
    let suffix = name.hasPrefix(current) ? name.dropFirst(current.count) : "?"
    let allowed: [Substring] =
      switch family.type {
      case "counter": [isOpen ? "_total" : ""]
      case "histogram": ["_bucket", "_sum", "_count"]
      case "info": ["_info"]
      default: [""]
      }
    guard Self.isName(name), allowed.contains(suffix) else { throw Problem(description: "a name of another family") }
    if series.count > name.count { try checkLabels(series.dropFirst(name.count), ofBucket: suffix == "_bucket") }
    let text = line[line.index(after: space)...]
    guard let value = text == "+Inf" ? .infinity : text == "-Inf" ? -.infinity : Double(text) else {
      throw Problem(description: "no number")
    }
    if family.type == "counter" || family.type == "histogram", !(value >= 0) {
      throw Problem(description: "a counter below 0")
    }
    if family.type == "info", value != 1 { throw Problem(description: "an info that is not 1") }
    guard values.updateValue(value, forKey: String(series)) == nil else { throw Problem(description: "a second value") }
  }

  private func checkLabels(_ text: Substring, ofBucket isBucket: Bool) throws {
    var rest = text
    guard rest.popFirst() == "{", rest.popLast() == "}" else { throw Problem(description: "no set of labels") }
    var names: Set<Substring> = []
    while !rest.isEmpty {
      let name = rest.prefix { $0 != "=" }
      guard Self.isName(name), !name.contains(":"), names.insert(name).inserted else {
        throw Problem(description: "a wrong label, or one twice")
      }
      rest = rest.dropFirst(name.count + 1)
      guard rest.popFirst() == "\"" else { throw Problem(description: "a label without quotes") }
      while let next = rest.popFirst(), next != "\"" {
        if next == "\\" {
          guard let escaped = rest.popFirst(), "\\\"n".contains(escaped) else {
            throw Problem(description: "an unknown escape")
          }
        }
      }
      guard rest.isEmpty || rest.popFirst() == "," else { throw Problem(description: "no comma between labels") }
    }
    guard names.contains("le") == isBucket else { throw Problem(description: "a bucket without le, or le elsewhere") }
  }

  /// Buckets grow with their bounds, and the last one has all.
  private func checkHistogram(_ name: String) throws {
    var buckets: [String: [(bound: Double, count: Double)]] = [:]
    for (series, count) in values where series.hasPrefix(name + "_bucket{") {
      guard let start = series.firstRange(of: "le=\"") else { continue }
      let text = series[start.upperBound...].prefix { $0 != "\"" }
      let bound = text == "+Inf" ? Double.infinity : Double(text) ?? .nan
      guard !bound.isNaN, text.contains(".") || text == "+Inf" || text.contains("e") else {
        throw Problem(description: "\(series): no bound with a fraction")
      }
      var others = String(series[..<start.lowerBound].dropFirst(name.count + 7))
      while others.hasSuffix(",") { others.removeLast() }
      buckets[others == "{" ? "" : others + "}", default: []].append((bound, count))
    }
    for (labels, found) in buckets {
      let sorted = found.sorted { $0.bound < $1.bound }
      guard sorted.last?.bound == .infinity, zip(sorted, sorted.dropFirst()).allSatisfy({ $0.count <= $1.count }),
        values["\(name)_count\(labels)"] == sorted.last?.count, values["\(name)_sum\(labels)"] != nil
      else { throw Problem(description: "\(name)\(labels): no histogram") }
    }
  }

  private static func isName(_ text: Substring) -> Bool {
    guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return text.utf8.allSatisfy {
      (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f || $0 == 0x3a
    }
  }
}
