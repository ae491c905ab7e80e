import EventLoop
import Glibc
import Repository

/// Files of a repository as they were committed, in a temporary folder. Nothing of the repository or its `.git` is changed.
@MainActor
struct RevisionTree {
  /// Data that servers write, which many sites neither commit nor ignore. Without it groups of probes would be missing.
  private static let data = ["Probes/probed", "Packages/cache", "SSHbase/", "Ohai/", "etc/"]

  private let repository: String
  private let git: GitReader
  /// Where the repository is below the top folder of the working copy.
  private let prefix: String

  /// - Throws: `InfoProblem` if the repository is in no working copy of git, or in that of another user.
  init(of repository: String, on loop: Reactor, patience: Duration = GitReader.patience) async throws {
    self.repository = repository
    git = try await GitReader(of: repository, on: loop, patience: patience)
    prefix = try await git.run(["rev-parse", "--show-prefix"]).trimmedEnd
  }

  /// Writes the files of a revision below a folder, and links what servers wrote in the repository.
  ///
  /// - Returns: the repository's path there.
  /// - Throws: `InfoProblem` for a revision that is none.
  func write(_ revision: String, to folder: String) async throws -> String {
    let commit = try await commit(revision)
    guard !commit.isEmpty else { throw InfoProblem("\(revision) is no revision of \(repository)") }
    try await git.write(commit, to: folder)
    var path = folder
    for step in prefix.split(separator: "/") {
      path += "/\(step)"
      guard Self.kind(of: path) == S_IFDIR else { throw InfoProblem("\(revision) has no folder \(prefix)") }
    }
    guard fileExists(path) else { throw InfoProblem("\(revision) has no files") }
    try await linkData(to: path)
    return path
  }

  /// Whether a text names a commit.
  func hasRevision(_ text: String) async throws -> Bool { try await !commit(text).isEmpty }

  /// The commit that a text names; empty for none.
  private func commit(_ revision: String) async throws -> String {
    try await git.run(
      ["rev-parse", "--verify", "--quiet", "--end-of-options", "\(revision)^{commit}"], emptyStatus: 1
    ).trimmedEnd
  }

  private func linkData(to tree: String) async throws {
    let ignored = try await git.run(["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"])
    let others = try await git.run(
      ["ls-files", "-z", "--others", "--exclude-standard", "--"] + Self.data.map { "\($0)*" })
    for name in (ignored.split(separator: "\0") + others.split(separator: "\0")) {
      let name = name.hasSuffix("/") ? name.dropLast() : name
      let path = "\(tree)/\(name)"
      guard Self.makeFolders(of: name, in: tree), Self.kind(of: path) == nil else { continue }
      guard symlink("\(repository)/\(name)", path) == 0 || errno == EEXIST else {
        throw InfoProblem("\(path): \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Makes the folders on the way to a file that git has no files in.
  ///
  /// - Returns: false where something else is on the way. A committed link may lead out of the tree.
  private static func makeFolders(of name: Substring, in tree: String) -> Bool {
    var place = tree
    for step in name.split(separator: "/").dropLast() {
      place += "/\(step)"
      mkdir(place, 0o700)
      guard kind(of: place) == S_IFDIR else { return false }
    }
    return true
  }

  /// The type of a file, of a link itself; nil where there is none.
  private static func kind(of path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }
}
