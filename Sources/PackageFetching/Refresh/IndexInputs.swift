import PackageSources

/// What an index is made from, as text: a line for each file of each part. The index holds it as a fact, so the next refresh
/// knows whether something changed, and which files stand for a part that fails.
struct IndexInputs: Equatable {
  /// Another number is another way to read the same files: indexes of earlier ones are made again.
  private static let version = "1"
  static let fact = "inputs"

  struct File: Equatable {
    let role: PartInput.Role
    let sha256: String
    let name: String
  }

  struct Part: Equatable {
    var files: [File] = []
    var isKept = false
    var isMissing = false
  }

  var parts: [Part]

  init(parts: [Part]) { self.parts = parts }

  /// - Parameter fact: what an index holds; nil for one of another version.
  init?(fact: [UInt8]) {
    var lines = String(decoding: fact, as: UTF8.self).split(separator: "\n")[...]
    guard let first = lines.popFirst()?.split(separator: " "), first.count == 2, first[0] == Self.version,
      let count = Int(first[1]), count >= 0, count <= 1 << 16
    else { return nil }
    parts = [Part](repeating: Part(), count: count)
    for line in lines {
      let words = line.split(separator: " ", maxSplits: 3).map(String.init)
      guard words.count >= 2, let part = Int(words[0]), parts.indices.contains(part) else { return nil }
      switch words[1] {
      case "kept": parts[part].isKept = true
      case "missing": parts[part].isMissing = true
      default:
        guard words.count == 4, let role = PartInput.Role(rawValue: words[1]) else { return nil }
        parts[part].files.append(File(role: role, sha256: words[2], name: words[3]))
      }
    }
  }

  var fact: [UInt8] {
    var text = "\(Self.version) \(parts.count)\n"
    for (number, part) in parts.enumerated() {
      if part.isKept { text += "\(number) kept\n" }
      if part.isMissing { text += "\(number) missing\n" }
      for file in part.files { text += "\(number) \(file.role.rawValue) \(file.sha256) \(file.name)\n" }
    }
    return Array(text.utf8)
  }

  /// True where both are made from the same files, whether or not they were kept from an earlier time.
  func hasSameFiles(as other: IndexInputs) -> Bool { parts.map(\.files) == other.parts.map(\.files) }
}
