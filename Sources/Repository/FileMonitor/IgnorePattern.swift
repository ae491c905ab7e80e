import TextBytes

/// One line of a `.bcfg2-ignore`: names below its folder that are ignored, or taken back.
///
/// The forms are those of gitignore(5): `*` and `?` match no slash, `**` any number of folders; a slash at the end means
/// folders only, one elsewhere makes the pattern relative to the file's folder; `!` takes back; `\` makes the next character
/// literal.
nonisolated struct IgnorePattern: Sendable {
  /// Longer lines are refused.
  static let limitBytes = 1024

  private enum Part: Sendable {
    /// `**`
    case folders
    case name(Glob)
  }

  /// Whether it names what is not ignored after all.
  let takesBack: Bool
  let isForFolders: Bool
  /// Whether it is relative to the folder; otherwise it matches last components, at any depth.
  private let isRelative: Bool
  private let parts: [Part]

  /// Why a line is no pattern.
  struct Problem: Error, CustomStringConvertible {
    let description: String
  }

  /// Reads a line without its line feed; nil for an empty one and a comment.
  static func read(_ line: String) throws(Problem) -> IgnorePattern? {
    guard line.utf8.count <= limitBytes else { throw Problem(description: "longer than \(limitBytes) bytes") }
    var text = line.dropping(suffix: "\r") ?? line[...]
    while let rest = text.dropping(suffix: " ") ?? text.dropping(suffix: "\t") {
      // An escaped blank belongs to the name.
      let backslashes = rest.utf8.count - rest.dropping(trailing: "\\").utf8.count
      if backslashes % 2 == 1 { break }
      text = rest
    }
    guard !text.isEmpty, !text.begins(with: "#") else { return nil }
    return try IgnorePattern(text)
  }

  private init(_ line: Substring) throws(Problem) {
    let takenBack = line.dropping(prefix: "!")
    takesBack = takenBack != nil
    var text = takenBack ?? line
    guard !text.utf8.contains(0) else { throw Problem(description: "it has a zero byte") }
    isForFolders = text.ends(with: "/")
    text = text.dropping(trailing: "/")
    guard !text.isEmpty else { throw Problem(description: "no name") }
    isRelative = text.holds("/")
    text = text.dropping(prefix: "/") ?? text
    var parts: [Part] = []
    for name in text.parts(between: "/", omittingEmptySubsequences: false) {
      switch name {
      case "": throw Problem(description: "two slashes in a row")
      case ".", "..": throw Problem(description: "\(name) is no name in a folder")
      case "**" where isRelative: parts.append(.folders)
      default: parts.append(.name(try Self.glob(name)))
      }
    }
    // Everything inside of a folder, but not the folder.
    if case .folders? = parts.last { parts.append(.name(Glob("*"))) }
    self.parts = parts
  }

  /// A name's pattern with escapes as one that `Glob` knows.
  private static func glob(_ name: Substring) throws(Problem) -> Glob {
    var made = ""
    var scalars = name.unicodeScalars[...]
    while let scalar = scalars.popFirst() {
      switch scalar {
      case "\\":
        guard let next = scalars.popFirst() else { throw Problem(description: "a backslash without a character") }
        if "*?[".unicodeScalars.contains(next) { made += "[\(next)]" } else { made.unicodeScalars.append(next) }
      case "[":
        // A closing bracket at the beginning of a set is one of its characters.
        let members = scalars.first == "!" ? scalars.dropFirst() : scalars
        guard members.dropFirst().contains("]") else { throw Problem(description: "a set without its ]") }
        made += "["
      default: made.unicodeScalars.append(scalar)
      }
    }
    return Glob(made)
  }

  /// Whether it matches a path.
  ///
  /// - Parameters:
  ///   - names: the path's components below the folder, at least one.
  ///   - steps: grows by what it took.
  ///   - isFolder: asked where it matters.
  func matches(_ names: ArraySlice<String>, steps: inout Int, isFolder: () -> Bool) -> Bool {
    let isMatch: Bool
    if isRelative {
      isMatch = matches(names, &steps)
    } else if let last = names.last {
      isMatch = matchesName(parts[0], last, &steps)
    } else {
      isMatch = false
    }
    return isMatch && (!isForFolders || isFolder())
  }

  private func matchesName(_ part: Part, _ name: String, _ steps: inout Int) -> Bool {
    if case .name(let glob) = part { glob.matches(name, steps: &steps) } else { false }
  }

  private func matches(_ names: ArraySlice<String>, _ steps: inout Int) -> Bool {
    var place = names.startIndex
    var part = 0
    // To go back to the last `**` is enough, because it matches any folders.
    var back: (part: Int, place: Int)?
    while true {
      steps += 1
      if part < parts.count, case .folders = parts[part] {
        part += 1
        back = (part, place)
        continue
      }
      if place == names.endIndex, part == parts.count { return true }
      if place < names.endIndex, part < parts.count, matchesName(parts[part], names[place], &steps) {
        part += 1
        place += 1
        continue
      }
      guard let last = back, last.place < names.endIndex else { return false }
      back = (last.part, last.place + 1)
      (part, place) = (last.part, last.place + 1)
    }
  }
}

/// The patterns of one `.bcfg2-ignore`.
nonisolated struct IgnoreRules: Sendable {
  /// Most bytes of a file, and most patterns.
  static let limitBytes = 64 << 10
  static let patternLimit = 1000
  /// Lines that are told of as no patterns; more are counted, so that a file does not fill the log.
  static let problemLimit = 20

  private let text: [UInt8]
  private let patterns: [IgnorePattern]
  /// Lines that are no patterns, and why; behind `problemLimit` of them one for the rest.
  let problems: [(line: Int, problem: String)]

  var isEmpty: Bool { patterns.isEmpty }

  init(_ text: [UInt8]) {
    self.text = text
    var patterns: [IgnorePattern] = []
    var problems: [(line: Int, problem: String)] = []
    for (index, bytes) in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      guard let line = String(validating: bytes, as: UTF8.self) else {
        problems.append((index + 1, "it is not UTF-8"))
        continue
      }
      do throws(IgnorePattern.Problem) {
        guard let pattern = try IgnorePattern.read(line) else { continue }
        guard patterns.count < Self.patternLimit else {
          problems.append((index + 1, "more than \(Self.patternLimit) patterns, the rest is not read"))
          break
        }
        patterns.append(pattern)
      } catch {
        problems.append((index + 1, error.description))
      }
    }
    self.patterns = patterns
    if problems.count > Self.problemLimit {
      let rest = problems[Self.problemLimit...]
      problems.replaceSubrange(
        Self.problemLimit...,
        with: [(rest[Self.problemLimit].line, "this and \(rest.count - 1) more lines are no patterns")])
    }
    self.problems = problems
  }

  /// Whether a path is ignored; nil where no pattern matches. The last one that matches decides.
  func verdict(_ names: ArraySlice<String>, isFolder: () -> Bool) -> Bool? {
    var steps = 0
    return verdict(names, steps: &steps, isFolder: isFolder)
  }

  /// The same, and adds what it took, at most `stepLimit`.
  func verdict(_ names: ArraySlice<String>, steps: inout Int, isFolder: () -> Bool) -> Bool? {
    for pattern in patterns.reversed() where pattern.matches(names, steps: &steps, isFolder: isFolder) {
      return !pattern.takesBack
    }
    return nil
  }

  /// Steps for a path, at most: each byte of the file meets each byte of the path in few of them, however they are arranged.
  func stepLimit(_ names: ArraySlice<String>) -> Int {
    (7 * text.count + 8) * (names.reduce(0) { $0 + $1.utf8.count } + 2 * names.count + 4)
  }

  func isSame(as other: IgnoreRules?) -> Bool { other.map { text == $0.text } ?? isEmpty }
}
