import EventLoop
import Glibc
import Repository

/// Files of a repository as they were committed, in a temporary folder. Nothing of the repository or its `.git` is changed.
@MainActor
struct RevisionTree {
  /// Data that servers write, which many sites neither commit nor ignore. Without it groups of probes would be missing.
  private static let data = ["Probes/probed", "Packages/cache", "SSHbase/", "Ohai/", "etc/"]
  private static let outputLimitBytes = 64 << 20
  private static let timeout = Duration.seconds(600)

  private let repository: String
  private let loop: Reactor
  /// The top folder of the working copy, and where the repository is below it.
  private let top: String
  private let prefix: String

  /// - Throws: `InfoProblem` if the repository is in no working copy of git.
  init(of repository: String, on loop: Reactor) async throws {
    self.repository = repository
    self.loop = loop
    let found = try await Self.git(["rev-parse", "--show-toplevel", "--show-prefix"], in: repository, on: loop)
    let lines = found.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 2 else { throw InfoProblem("git tells no top folder of \(repository)") }
    top = String(lines[0])
    prefix = String(lines[1])
  }

  /// Writes the files of a revision below a folder, and links what servers wrote in the repository.
  ///
  /// - Returns: the repository's path there.
  /// - Throws: `InfoProblem` for a revision that is none.
  func write(_ revision: String, to folder: String) async throws -> String {
    let commit = try await git(["rev-parse", "--verify", "--quiet", "--end-of-options", "\(revision)^{commit}"])
      .trimmed(orThrow: InfoProblem("\(revision) is no revision of \(repository)"))
    let index = ["GIT_INDEX_FILE": "\(folder).index"]
    _ = try await git(["read-tree", commit], in: top, index)
    _ = try await git(["checkout-index", "--all", "--force", "--prefix=\(folder)/"], in: top, index)
    var path = "\(folder)/\(prefix)"
    while path.hasSuffix("/") { path.removeLast() }
    guard fileExists(path) else { throw InfoProblem("\(revision) has no \(prefix)") }
    try await linkData(to: path)
    return path
  }

  private func linkData(to tree: String) async throws {
    let ignored = try await git(["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"])
    let others = try await git(["ls-files", "-z", "--others", "--exclude-standard", "--"] + Self.data.map { "\($0)*" })
    for name in (ignored.split(separator: "\0") + others.split(separator: "\0")) {
      let name = name.hasSuffix("/") ? name.dropLast() : name
      let path = "\(tree)/\(name)"
      var status = stat()
      guard lstat(path, &status) != 0 else { continue }
      // Folders on the way that git has no files in.
      var place = tree
      for step in name.split(separator: "/").dropLast() {
        place += "/\(step)"
        mkdir(place, 0o700)
      }
      guard symlink("\(repository)/\(name)", path) == 0 || errno == EEXIST else {
        throw InfoProblem("\(path): \(String(cString: strerror(errno)))")
      }
    }
  }

  private func git(
    _ arguments: [String], in folder: String? = nil, _ more: [String: String] = [:]
  ) async throws -> String {
    try await Self.git(arguments, in: folder ?? repository, more, on: loop)
  }

  /// The output of git.
  ///
  /// - Throws: `InfoProblem` with what it says.
  private static func git(
    _ arguments: [String], in folder: String, _ more: [String: String] = [:], on loop: Reactor
  ) async throws -> String {
    // The repository may belong to another user: nothing of it is run.
    let command = ["git", "-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-C", folder]
    var environment: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG", "TMPDIR"] {
      if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    environment.merge(more) { $1 }
    environment["GIT_TERMINAL_PROMPT"] = "0"
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    let output = try await ChildProcess.run(
      command + arguments, environment: environment, timeout: timeout, outputLimitBytes: outputLimitBytes,
      on: loop)
    guard output.status.isSuccess else {
      let text = String(decoding: output.standardError, as: UTF8.self)
      if arguments.contains("--quiet") { return "" }
      throw InfoProblem("git \(arguments[0]): \(text.isEmpty ? "\(output.status)" : text.trimmedEnd)")
    }
    return String(decoding: output.standardOutput, as: UTF8.self)
  }
}

extension String {
  fileprivate var trimmedEnd: String {
    var text = self
    while text.last?.isWhitespace ?? false { text.removeLast() }
    return text
  }

  fileprivate func trimmed(orThrow problem: InfoProblem) throws -> String {
    let text = trimmedEnd
    guard !text.isEmpty else { throw problem }
    return text
  }
}
