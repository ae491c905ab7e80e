import EventLoop
import Repository

/// Finds the files in which git stores the commit of HEAD (gitrepository-layout(5)). In a linked worktree or a submodule
/// `.git` is a file that names the folder.
struct GitFiles {
  /// Most bytes of a file that names another one, or a commit.
  private static let limitBytes = 4096
  /// As git's SYMREF_MAXDEPTH.
  private static let limitDepth = 5

  private let root: String

  /// - Parameter root: the top folder of the working copy.
  init(root: String) { self.root = root }

  /// Files that change where HEAD becomes another commit; some need not exist.
  var revisionFiles: [String] {
    let dotGit = root + "/.git"
    guard isFolder(dotGit) else {
      guard let folder = Self.text(dotGit).flatMap({ Self.value($0, after: "gitdir:") }) else { return [dotGit] }
      return [dotGit] + files(in: RepositoryPath.joined(root, folder))
    }
    return files(in: dotGit)
  }

  /// - Parameter own: git's folder of this working copy. In a linked worktree its file `commondir` names the folder with
  ///   the branches.
  private func files(in own: String) -> [String] {
    let common = Self.text("\(own)/commondir").map { RepositoryPath.joined(own, $0) } ?? own
    // A reftable is a list of files that is replaced as a whole; a worktree has its own for its HEAD.
    var files = ["\(own)/HEAD", "\(own)/reftable/tables.list", "\(common)/packed-refs"]
    if common != own { files.append("\(common)/reftable/tables.list") }
    var reference = Self.reference(in: "\(own)/HEAD")
    for _ in 0..<Self.limitDepth {
      guard let name = reference else { break }
      // Of a linked worktree, refs/bisect, refs/worktree and refs/rewritten are its own.
      let isOwn = ["refs/bisect/", "refs/worktree/", "refs/rewritten/"].contains { name.hasPrefix($0) }
      let path = "\(isOwn ? own : common)/\(name)"
      files.append(path)
      reference = Self.reference(in: path)
    }
    return files.map { RepositoryPath.normalised($0) }
  }

  /// The reference that a symbolic one names; nil for a commit, or for a name that git does not allow.
  private static func reference(in path: String) -> String? {
    guard let name = text(path).flatMap({ value($0, after: "ref:") }), name.hasPrefix("refs/"),
      !name.split(separator: "/", omittingEmptySubsequences: false).contains(where: { $0.isEmpty || $0 == ".." })
    else { return nil }
    return name
  }

  private static func value(_ text: String, after key: String) -> String? {
    guard text.hasPrefix(key) else { return nil }
    let value = text.dropFirst(key.utf8.count).drop { $0 == " " }
    return value.isEmpty ? nil : String(value)
  }

  /// The first line of a file; nil where there is none.
  private static func text(_ path: String) -> String? {
    guard let bytes = try? AtomicFile.readFile(path, limitBytes: limitBytes) else { return nil }
    let line = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    return line.isEmpty ? nil : line
  }
}
