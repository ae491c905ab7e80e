import ServerSettings

/// Clients by what changes for them.
struct ChangeGroups {
  /// Clients with the same changes.
  struct Group: Codable, Hashable {
    var hosts: [String]
    let changes: [ConfigurationChange]
  }

  private(set) var byChanges: [[ConfigurationChange]: [String]] = [:]

  mutating func add(_ hosts: [String], _ changes: [ConfigurationChange]) {
    byChanges[changes, default: []] += hosts
  }

  /// How many clients are in it.
  var count: Int { byChanges.values.reduce(0) { $0 + $1.count } }

  /// Those with changes, the largest group first.
  var groups: [Group] {
    byChanges.filter { !$0.key.isEmpty }.map { Group(hosts: $0.value.sorted(), changes: $0.key) }
      .sorted { ($1.hosts.count, $0.hosts.first ?? "") < ($0.hosts.count, $1.hosts.first ?? "") }
  }

  /// All of them, those without changes too, for another process.
  var everything: [Group] { byChanges.map { Group(hosts: $0.value, changes: $0.key) } }
}

/// The same as text.
struct ChangeText {
  /// Names of clients that are shown of a group.
  private static let hostLimit = 5

  let isColoured: Bool
  /// Lines of one entry that are shown; nil: all.
  let lineLimit: Int?

  func text(_ groups: ChangeGroups) -> String {
    let changed = groups.groups
    var lines: [String] = []
    for group in changed {
      lines.append(bold(Self.title(group.hosts)))
      for change in group.changes { lines += self.lines(change) }
      lines.append("")
    }
    let count = changed.reduce(0) { $0 + $1.hosts.count }
    lines.append("\(count) of \(groups.count) clients change")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func title(_ hosts: [String]) -> String {
    guard hosts.count > 1 else { return "\(hosts[0]):" }
    let names = hosts.prefix(hostLimit).joined(separator: ", ")
    return "these \(hosts.count) clients (\(names)\(hosts.count > hostLimit ? ", ..." : "")):"
  }

  private func lines(_ change: ConfigurationChange) -> [String] {
    let place = change.bundle.map { " in \($0)" } ?? ""
    switch change.kind {
    case .added: return [green("  + \(change.entry)\(place)")]
    case .removed: return [red("  - \(change.entry)\(place)")]
    case .changed, .failed: break
    }
    var lines = [plain("  \(change.kind == .failed ? "!" : "~") \(change.entry)\(place)")]
    for (name, values) in change.attributes.sorted(by: { $0.key < $1.key }) {
      lines.append(plain("      \(name): \(values.before ?? "none") -> \(values.after ?? "none")"))
    }
    let shown = lineLimit.map { change.lines.prefix($0) } ?? change.lines[...]
    lines += shown.map { "      " + ($0.hasPrefix("-") ? red($0) : green($0)) }
    if shown.count < change.lines.count { lines.append("      ... \(change.lines.count - shown.count) more lines") }
    if let note = change.note { lines.append(plain("      \(note)")) }
    return lines
  }

  private func bold(_ text: String) -> String { styled(text, 1) }
  private func red(_ text: String) -> String { styled(text, 31) }
  private func green(_ text: String) -> String { styled(text, 32) }
  private func plain(_ text: String) -> String { VisibleText.escaped(text) }
  private func styled(_ text: String, _ style: Int) -> String {
    isColoured ? "\u{1B}[\(style)m\(plain(text))\u{1B}[0m" : plain(text)
  }
}
