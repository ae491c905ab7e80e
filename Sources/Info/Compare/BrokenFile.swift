/// A file of a repository that cannot be used, at one revision.
struct BrokenFile: Codable, Hashable {
  /// As it was named; `worktree` for the files as they are now.
  let revision: String
  /// Its path in the repository.
  let file: String
  let line: Int?
  let problem: String

  /// - Parameters:
  ///   - path: absolute.
  ///   - problem: what was said of it, which may begin with the path and a line.
  ///   - root: where the repository of this revision lies.
  init(_ path: String, _ problem: String, in root: String, revision: String) {
    self.revision = revision
    var rest = problem[...]
    var file = path
    var line: Int?
    // A file that it includes may be the broken one.
    if rest.hasPrefix(root + "/"), let colon = rest.firstIndex(of: ":") {
      file = String(rest[..<colon])
      rest = rest[rest.index(after: colon)...]
      if let end = rest.firstIndex(of: ":"), let number = Int(rest[..<end]) {
        line = number
        rest = rest[rest.index(after: end)...]
      }
      rest = rest.drop { $0 == " " }
    }
    self.file = file.hasPrefix(root + "/") ? String(file.dropFirst(root.count + 1)) : file
    self.line = line
    self.problem = String(rest).replacing(root + "/", with: "")
  }

  /// `Bundler/web.xml:12 at HEAD~1: Premature end of data`.
  var text: String {
    let place = revision == DiffItem.worktree ? "in the working copy" : "at \(revision)"
    return "\(file)\(line.map { ":\($0)" } ?? "") \(place): \(problem)"
  }
}

/// What `diff --json` has in its list, and what the processes for parts of the clients answer.
enum DiffItem: Codable {
  case group(ChangeGroups.Group)
  case broken(BrokenFile)

  /// What stands for a revision where the files are those of now.
  static let worktree = "worktree"

  private enum Keys: String, CodingKey { case revision }

  init(from decoder: any Decoder) throws {
    let isBroken = try decoder.container(keyedBy: Keys.self).contains(.revision)
    self = isBroken ? .broken(try BrokenFile(from: decoder)) : .group(try ChangeGroups.Group(from: decoder))
  }

  func encode(to encoder: any Encoder) throws {
    switch self {
    case .group(let group): try group.encode(to: encoder)
    case .broken(let file): try file.encode(to: encoder)
    }
  }
}
