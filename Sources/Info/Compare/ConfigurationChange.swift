import Repository
import TextBytes
import XMLRPC

/// What is different in one place of two configurations of a client.
struct ConfigurationChange: Codable, Hashable {
  enum Kind: String, Codable { case added, removed, changed, failed }

  let kind: Kind
  /// `Path:/etc/motd`, or `Client` for the client itself.
  let entry: String
  let bundle: String?
  /// Attributes that differ: before and after; nil where there is none.
  var attributes: [String: Values] = [:]
  /// Lines of the text that are gone (`-`) and new (`+`), in their order.
  var lines: [String] = []
  /// What else is to be said.
  var note: String?

  struct Values: Codable, Hashable {
    let before: String?
    let after: String?
  }
}

/// Compares two configurations of a client.
@MainActor
enum ConfigurationComparison {
  /// Texts with more lines are only counted: finding what they have in common takes the product of their lengths.
  private static let lineLimit = 20_000

  private struct Key: Hashable {
    let bundle: Name
    let entry: Name
    /// Of several entries of one name in one bundle.
    let number: Int
  }

  /// - Parameter paths: replaced in messages of failures: where both repositories lie, and where the real one does.
  static func changes(from old: Element, to new: Element, renaming paths: [String: String] = [:])
    -> [ConfigurationChange]
  {
    if old.tag == "error" || new.tag == "error" {
      let (before, after) = (outcome(old), outcome(new))
      return before == after ? [] : [failure(before: before, after: after)]
    }
    let same = equalStructures(old, new)
    let (before, after) = (entries(old, except: same), entries(new, except: same))
    let known = Dictionary(before.map { ($0.key, $0.entry) }) { first, _ in first }
    let found = Set(after.map(\.key))
    var changes: [ConfigurationChange] = []
    for (key, _) in before where !found.contains(key) {
      changes.append(ConfigurationChange(kind: .removed, entry: key.entry.text, bundle: key.bundle.text))
    }
    for (key, entry) in after {
      guard let other = known[key] else {
        changes.append(ConfigurationChange(kind: .added, entry: key.entry.text, bundle: key.bundle.text))
        continue
      }
      if let change = change(from: other, to: entry, key, paths) { changes.append(change) }
    }
    return changes
  }

  static func failure(before: String?, after: String?) -> ConfigurationChange {
    var change = ConfigurationChange(kind: .failed, entry: "Client", bundle: nil)
    change.attributes["error"] = .init(before: before, after: after)
    return change
  }

  private static func outcome(_ document: Element) -> String? {
    document.tag == "error" ? document["type"] ?? "error" : nil
  }

  /// Structures that both have, the same in both: most of them, and nothing in them need be looked at.
  private static func equalStructures(_ old: Element, _ new: Element) -> Set<ObjectIdentifier> {
    let known = Dictionary(old.children.map { (Name($0.name ?? $0.tag), $0) }) { first, _ in first }
    var found: Set<ObjectIdentifier> = []
    for structure in new.children {
      guard let other = known[Name(structure.name ?? structure.tag)], other.isSame(as: structure) else { continue }
      found.formUnion([ObjectIdentifier(other), ObjectIdentifier(structure)])
    }
    return found
  }

  private static func entries(
    _ document: Element, except same: Set<ObjectIdentifier>
  ) -> [(key: Key, entry: Element)] {
    var counts: [Key: Int] = [:]
    return document.children.filter { !same.contains(ObjectIdentifier($0)) }.flatMap { structure in
      structure.children.map { entry in
        let (bundle, name) = (Name(structure.name ?? structure.tag), Name("\(entry.tag):\(entry.name ?? "None")"))
        let number = counts[Key(bundle: bundle, entry: name, number: 0), default: 0]
        counts[Key(bundle: bundle, entry: name, number: 0)] = number + 1
        return (Key(bundle: bundle, entry: name, number: number), entry)
      }
    }
  }

  private static func change(
    from old: Element, to new: Element, _ key: Key, _ paths: [String: String]
  ) -> ConfigurationChange? {
    var change = ConfigurationChange(kind: .changed, entry: key.entry.text, bundle: key.bundle.text)
    for name in Set(old.attributes.map(\.name)).union(new.attributes.map(\.name)) {
      let values = [old[name], new[name]].map { value in
        name == "failure" ? value.map { renamed($0, paths) } : value
      }
      if values[0].map({ Name($0) }) != values[1].map({ Name($0) }) {
        change.attributes[name] = .init(before: values[0], after: values[1])
      }
    }
    let (before, after) = (text(old), text(new))
    if before.map({ Name($0) }) != after.map({ Name($0) }) {
      if old["encoding"] == "base64" || new["encoding"] == "base64" {
        change.note = "binary contents differ: \(before?.utf8.count ?? 0) and \(after?.utf8.count ?? 0) bytes in Base64"
      } else {
        (change.lines, change.note) = lines(from: before ?? "", to: after ?? "")
      }
    }
    return change.attributes.isEmpty && change.lines.isEmpty && change.note == nil ? nil : change
  }

  /// The text of an entry, and what is below it.
  private static func text(_ entry: Element) -> String? {
    guard !entry.children.isEmpty else { return entry.text.flatMap { $0.isEmpty ? nil : $0 } }
    return (entry.text ?? "") + entry.children.map { PrettyXML.text($0) }.joined()
  }

  static func renamed(_ text: String, _ paths: [String: String]) -> String {
    paths.reduce(text) { text, path in text.replacing(each: path.key, by: path.value) }
  }

  private static func lines(from old: String, to new: String) -> (lines: [String], note: String?) {
    var before = old.parts(between: "\n", omittingEmptySubsequences: false)[...]
    var after = new.parts(between: "\n", omittingEmptySubsequences: false)[...]
    // Most texts differ in few places.
    while let one = before.first, let other = after.first, one.utf8.elementsEqual(other.utf8) {
      before.removeFirst()
      after.removeFirst()
    }
    while let one = before.last, let other = after.last, one.utf8.elementsEqual(other.utf8) {
      before.removeLast()
      after.removeLast()
    }
    guard before.count + after.count <= lineLimit else {
      return ([], "\(before.count) lines become \(after.count) others")
    }
    let difference = Array(after).difference(from: Array(before)) { $0.utf8.elementsEqual($1.utf8) }
    var (removed, inserted): ([Int: Substring], [Int: Substring]) = ([:], [:])
    for change in difference {
      switch change {
      case .remove(let offset, let line, _): removed[offset] = line
      case .insert(let offset, let line, _): inserted[offset] = line
      }
    }
    var found: [String] = []
    var (left, right) = (0, 0)
    while left < before.count || right < after.count {
      if let line = removed[left] {
        found.append("-\(line)")
        left += 1
      } else if let line = inserted[right] {
        found.append("+\(line)")
        right += 1
      } else {
        left += 1
        right += 1
      }
    }
    return (found, found.isEmpty ? "line ends differ" : nil)
  }
}
