import Core
import EventLoop
import Logging
import Repository
import XMLRPC

/// Revisions of a Git working copy: the commit of HEAD.
///
/// The git program is run, not libgit2: it knows every form that a repository may have on this machine (worktrees,
/// reftable, SHA-256, alternates), it reads the administrator's configuration and credentials, and it adds nothing to
/// the daemon. What `Update` does would block the loop in a library.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Git.py.
final class GitPlugin: VersionPlugin {
  override class var name: String { "Git" }
  override class var metadataPath: String? { ".git" }

  /// One `Update` at a time.
  private var updating: Task<Void, any Error>?

  override var rmi: [String: RemoteMethod] {
    super.rmi.merging([
      "Update": RemoteMethod { [unowned self] arguments in
        guard arguments.count <= 1 else {
          throw ParameterError("Update() takes at most 2 arguments (\(arguments.count + 1) given)")
        }
        let reference = arguments.first ?? .nil
        try await update(reference.isTruthy ? try reference.pythonName() : nil)
        return .bool(true)
      }
    ]) { $1 }
  }

  /// HEAD, the branches that it names one after the other, the packed ones, and the list of a reftable.
  override var revisionFiles: [String] { GitFiles(root: root).revisionFiles }

  private func git(
    _ arguments: [String], timeout: Duration? = nil
  ) async throws -> ChildProcess.Output {
    let command = ["git", "--git-dir", "\(root)/.git", "--work-tree", root]
    return try await run(command + arguments, environment: ["GIT_TERMINAL_PROMPT": "0"], timeout: timeout)
  }

  override func getRevision() async throws -> String {
    // The repository may belong to another user than the server's: reading a commit runs nothing of it. `Update` may, and
    // leaves the check of the owner to git.
    let output = try await git(["-c", "safe.directory=*", "rev-parse", "HEAD"])
    return try firstLine(output, failure: "Git: Error getting revision from \(root)")
  }

  /// Brings the working copy up to date, after checking out `reference` where there is one.
  private func update(_ reference: String?) async throws {
    while let updating { _ = await updating.result }
    let task = Task { try await updateNow(reference) }
    updating = task
    defer { updating = nil }
    try await task.value
  }

  private func updateNow(_ reference: String?) async throws {
    logger.info("Git: Git.Update(ref='\(reference ?? "None")')")
    debugLog("Git: Performing garbage collection on repo at \(root)")
    try await warnOfFailure(["gc", "--auto"], "Git: Failed to perform garbage collection")
    debugLog("Git: Fetching all refs for repo at \(root)")
    try await warnOfFailure(["fetch", "--all"], "Git: Failed to fetch refs")
    if let reference {
      // A reference that git reads as an option could run programs of the caller's choice.
      guard !reference.hasPrefix("-") else { throw PluginExecutionError("Git: Failed to checkout \(reference)") }
      debugLog("Git: Checking out \(reference)")
      let output = try await git(["checkout", "-f", reference], timeout: Self.remoteTimeout)
      try require(output, "Git: Failed to checkout \(reference)")
    }
    let branch = try await git(["symbolic-ref", "-q", "--short", "HEAD"])
    if branch.status.isSuccess, let name = branch.lines.first {
      debugLog("Git: Determining if \(name) is a tracking branch")
      let upstream = try await git(["rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}"])
      if upstream.status.isSuccess, let tracking = upstream.lines.first {
        debugLog("Git: \(name) is a tracking branch, pulling from \(tracking)")
        let output = try await git(["pull", "--rebase"], timeout: Self.remoteTimeout)
        try require(output, "Git: Failed to pull from upstream")
      }
    }
    core.fileMonitor.processPending()
    let revision = try await getRevision()
    logger.info("Git: Repo at \(root) updated to \(revision)")
  }

  private func warnOfFailure(_ arguments: [String], _ message: String) async throws {
    let output = try await git(arguments, timeout: Self.remoteTimeout)
    log(output)
    if let failure = output.failure { logger.warning("\(message): \(failure)") }
  }

  private func require(_ output: ChildProcess.Output, _ message: String) throws {
    log(output)
    if let failure = output.failure { throw PluginExecutionError("\(message): \(failure)") }
  }

  private func log(_ output: ChildProcess.Output) {
    for line in output.lines where !line.isEmpty { debugLog("Git: \(line)") }
  }
}
