import ReportRecords
import ReportStore

extension ReportTime {
  /// As pages show it: to the second.
  var shown: String { "\(day) \(clock)" }

  /// A time of the database as pages show it.
  static func shown(_ text: String) -> String { String(text.prefix(19)) }

  /// The end of a path that shows this time: `/YYYY-MM-DD/HH-MM`, or without a time of day for midnight.
  var path: String {
    let clock = clock.prefix(5)
    return clock == "00:00" ? "/\(day)" : "/\(day)/\(clock.replacing(":", with: "-"))"
  }
}

extension ReportedItem.State {
  init?(name: String) {
    guard let state = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = state
  }

  var name: String { mark.rawValue }

  var mark: Mark {
    switch self {
    case .good: .good
    case .bad: .bad
    case .modified: .modified
    case .extra: .extra
    }
  }
}

extension RunFilter {
  static let names = ["server", "group", "state"]

  /// Takes filters from the start of a path: `server/X`, `group/X`, `state/X`, and a state alone after one of the others.
  init(_ rest: inout ArraySlice<String>) {
    self.init()
    while let name = rest.first {
      let value = rest.dropFirst().first
      if let value, Self.names.contains(name), self[name] == nil {
        self[name] = value
        rest = rest.dropFirst(2)
      } else if state == nil, server != nil || group != nil, !name.isEmpty, name.utf8.allSatisfy(Self.isLetter) {
        state = name
        rest.removeFirst()
      } else {
        return
      }
    }
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) }

  subscript(name: String) -> String? {
    get {
      switch name {
      case "server": server
      case "group": group
      default: state
      }
    }
    set {
      switch name {
      case "server": server = newValue
      case "group": group = newValue
      default: state = newValue
      }
    }
  }

  /// The filters as part of a path, in the order of Bcfg2's URLs.
  var path: String {
    Self.names.compactMap { name in self[name].map { "/\(name)/\(URLCoding.encode($0))" } }.joined()
  }
}
