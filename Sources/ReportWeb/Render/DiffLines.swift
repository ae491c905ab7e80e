/// Diffs and other long texts.
enum DiffLines {
  /// What a page shows of a text; JSON has all of it.
  static let limitBytes = 500_000

  /// The start of a text that is too long for a page.
  static func limited(_ text: String) -> String {
    guard text.utf8.count > limitBytes else { return text }
    return String(decoding: text.utf8.prefix(limitBytes), as: UTF8.self) + "\n... (the JSON of this page has the rest)"
  }

  enum Kind: String {
    case added, removed, hint, place, same

    /// The kind of a line: of a unified diff, or of one as Python's `difflib.ndiff` writes it.
    init(_ line: Substring) {
      if line.hasPrefix("+++") || line.hasPrefix("---") || line.hasPrefix("@@") {
        self = .place
      } else {
        switch line.utf8.first {
        case UInt8(ascii: "+"): self = .added
        case UInt8(ascii: "-"): self = .removed
        case UInt8(ascii: "?"): self = .hint
        default: self = .same
        }
      }
    }
  }
}

extension HTML {
  /// Each line by what it says; its sign is part of it.
  mutating func add(diff text: String) {
    for line in DiffLines.limited(text).split(separator: "\n", omittingEmptySubsequences: false) {
      switch DiffLines.Kind(line) {
      case .added: element("ins", text: String(line))
      case .removed: element("del", text: String(line))
      case .hint: element("span", [("class", "hint")], text: String(line))
      case .place: element("span", [("class", "place")], text: String(line))
      case .same: add(line)
      }
      markup("\n")
    }
  }
}
