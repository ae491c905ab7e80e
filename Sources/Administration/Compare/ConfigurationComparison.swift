public import Repository
import XMLRPC

/// How two configurations of a client differ, as `bcfg2-admin compare` says it.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Admin.py, Compare, which forgets entries that were added and
/// values of attributes.
public struct ConfigurationComparison {
  public nonisolated enum Kind: String, Sendable, Encodable {
    case removed, added, changed
  }

  /// One difference.
  public nonisolated struct Finding: Sendable, Hashable, Encodable {
    public let kind: Kind
    /// What is removed, added or changed, in words.
    public let text: String
    /// Lines that were removed and added, `-` or `+` before each; `...` for those that are left out.
    public let lines: [String]

    public init(kind: Kind, text: String, lines: [String] = []) {
      self.kind = kind
      self.text = text
      self.lines = lines
    }
  }

  private let old: Element
  private let new: Element
  /// Whether to say how entries differ.
  private let isQuiet: Bool
  /// How many lines of a content are shown; nil: all.
  private let diffLines: Int?

  public init(old: Element, new: Element, isQuiet: Bool = false, diffLines: Int? = nil) {
    self.old = old
    self.new = new
    self.isQuiet = isQuiet
    self.diffLines = diffLines
  }

  // MARK: Findings, as 1.4 tells them

  private typealias Place = (entry: Element, bundle: String)

  /// All differences, in the order of the documents.
  public func findings() -> [Finding] {
    let (oldNames, newNames) = (Set(old.children.map(Self.key)), Set(new.children.map(Self.key)))
    var findings = old.children.filter { !newNames.contains(Self.key($0)) }.map {
      Finding(kind: .removed, text: Self.bundleText($0))
    }
    findings += new.children.filter { !oldNames.contains(Self.key($0)) }.map {
      Finding(kind: .added, text: Self.bundleText($0))
    }
    var rest = Self.entries(new)
    for (entry, bundle) in Self.allEntries(old) {
      let key = Self.key(entry)
      guard let candidates = rest[key], !candidates.isEmpty else {
        findings.append(Finding(kind: .removed, text: "Element \(Self.text(entry))"))
        continue
      }
      let index = candidates.firstIndex { Name.areSame($0.bundle, bundle) } ?? 0
      rest[key]?.remove(at: index)
      findings += changes(Place(entry, bundle), candidates[index])
    }
    let unpaired = Set(rest.values.joined().map { ObjectIdentifier($0.entry) })
    for (entry, _) in Self.allEntries(new) where unpaired.contains(ObjectIdentifier(entry)) {
      findings.append(Finding(kind: .added, text: "Element \(Self.text(entry))"))
    }
    return findings
  }

  private func changes(_ one: Place, _ two: Place) -> [Finding] {
    let subject = "Element \(Self.text(one.entry))"
    var findings: [Finding] = []
    if !Name.areSame(one.bundle, two.bundle) {
      findings.append(
        Finding(kind: .changed, text: "\(subject) was in bundle \(one.bundle), now in bundle \(two.bundle)"))
    }
    let attributes = LineDifference.lines(Self.attributeLines(one.entry), Self.attributeLines(two.entry))
    if !attributes.isEmpty {
      findings.append(
        Finding(
          kind: .changed, text: "\(subject) has different attributes", lines: isQuiet ? [] : shown(attributes, nil)))
    }
    let (oldText, newText) = (Self.content(one.entry), Self.content(two.entry))
    switch (oldText, newText) {
    case (nil, nil): break
    case (nil, _): findings.append(Finding(kind: .changed, text: "\(subject) content was added"))
    case (_, nil): findings.append(Finding(kind: .changed, text: "\(subject) content was removed"))
    case (let before?, let after?):
      guard !Name.areSame(before, after) else { break }
      let lines = LineDifference.lines(LineDifference.split(before), LineDifference.split(after))
      findings.append(
        Finding(
          kind: .changed, text: "\(subject) has different content", lines: isQuiet ? [] : shown(lines, diffLines)))
    }
    let children = LineDifference.lines(Self.childLines(one.entry), Self.childLines(two.entry))
    if !children.isEmpty {
      findings.append(
        Finding(
          kind: .changed, text: "\(subject) has different children", lines: isQuiet ? [] : shown(children, diffLines)))
    }
    return findings
  }

  /// As in Bcfg2 the dots come once more than `limit` lines are there.
  private func shown(_ lines: [LineDifference.Line], _ limit: Int?) -> [String] {
    if limit == 0 { return [] }
    let texts = lines.map { ($0.isAdded ? "+" : "-") + $0.text }
    guard let limit, texts.count > limit + 1 else { return texts }
    return texts.prefix(limit + 1) + ["..."]
  }

  // MARK: The list of 1.3

  /// A line for each bundle and two for each entry that differ, as 1.3 prints them.
  public func summary() -> [String] {
    let (oldBundles, newBundles) = (Self.bundles(old), Self.bundles(new))
    var lines = oldBundles.filter { bundle in !newBundles.contains { $0.isSame(as: bundle) } }.map {
      " Bundle \($0.name) only in old configuration"
    }
    for bundle in newBundles {
      guard let equal = oldBundles.first(where: { $0.isSame(as: bundle) }) else {
        lines.append(" Bundle \(bundle.name) only in new configuration")
        continue
      }
      lines += Self.summary(bundle.name, equal.entries, bundle.entries)
    }
    return lines
  }

  private struct Bundle {
    let name: String
    let entries: [Element]

    func isSame(as other: Bundle) -> Bool { Name.areSame(name, other.name) }
  }

  /// The bundles, and all that is in none of them as one that is called Base.
  private static func bundles(_ root: Element) -> [Bundle] {
    let bundles = root.children.filter { $0.tag == "Bundle" }.map { Bundle(name: $0.name ?? "", entries: $0.children) }
    return bundles + [Bundle(name: "Base", entries: root.children.filter { $0.tag != "Bundle" }.flatMap(\.children))]
  }

  private static func summary(_ bundle: String, _ old: [Element], _ new: [Element]) -> [String] {
    var before: [[UInt8]: Element] = [:]
    for entry in old where before[key(entry)] == nil { before[key(entry)] = entry }
    let after = Set(new.map(key))
    var lines: [String] = []
    for entry in new {
      let subject = "  \(entry.tag) \(entry.name ?? "None") in bundle \(bundle):"
      guard let other = before[key(entry)] else {
        lines += [subject, "   only in new configuration"]
        continue
      }
      var parts: [String] = []
      if !sameTexts(content(entry), content(other)) || childLines(entry) != childLines(other) {
        parts.append("contents")
      }
      let names = differingAttributes(other, entry)
      if !names.isEmpty { parts.append("attributes (\(names.joined(separator: ", ")))") }
      if !parts.isEmpty { lines += [subject, "   \(parts.joined(separator: " and ")) differ"] }
    }
    for entry in old where !after.contains(key(entry)) {
      lines += ["  \(entry.tag) \(entry.name ?? "None") in bundle \(bundle):", "   only in old configuration"]
    }
    return lines
  }

  private static func differingAttributes(_ old: Element, _ new: Element) -> [String] {
    var names: [String] = []
    for (name, value) in old.attributes where !sameTexts(value, new[name]) { names.append(name) }
    for (name, _) in new.attributes where old[name] == nil { names.append(name) }
    return names
  }

  // MARK: Entries

  private static func allEntries(_ root: Element) -> [Place] {
    root.children.flatMap { bundle in bundle.children.map { ($0, bundle.name ?? "None") } }
  }

  private static func entries(_ root: Element) -> [[UInt8]: [Place]] {
    Dictionary(grouping: allEntries(root)) { key($0.entry) }
  }

  private static func key(_ element: Element) -> [UInt8] { Array(text(element).utf8) }
  private static func text(_ element: Element) -> String { "\(element.tag):\(element.name ?? "None")" }

  private static func bundleText(_ element: Element) -> String {
    "\(element.tag == "Independent" ? "Independent bundle" : "Bundle") \(element.name ?? "None")"
  }

  private static func attributeLines(_ entry: Element) -> [Substring] {
    entry.attributes.map { "\($0.name)=\"\($0.value)\"" }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      .map { $0[...] }
  }

  /// The text of an entry; nil for one that has none, or white space before its children only.
  private static func content(_ entry: Element) -> String? {
    guard let text = entry.text, !text.isEmpty else { return nil }
    return !entry.children.isEmpty && text.allSatisfy(\.isWhitespace) ? nil : text
  }

  private static func childLines(_ entry: Element) -> [Substring] {
    entry.children.flatMap { child in
      LineDifference.split(String(decoding: WireWriter.xml(child, isPretty: true), as: UTF8.self))
    }
  }

  private static func sameTexts(_ one: String?, _ two: String?) -> Bool {
    guard let one, let two else { return one == nil && two == nil }
    return Name.areSame(one, two)
  }
}
