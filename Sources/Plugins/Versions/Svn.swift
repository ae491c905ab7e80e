import Core
import EventLoop
import Logging
import Repository
import ServerSettings
import XMLRPC

/// Revisions of a Subversion working copy, by the svn program.
///
/// `[svn]` has the options of 1.4: `user`, `password` (given on standard input, never in arguments), `always_trust`,
/// `conflict_resolution`.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Svn.py.
final class SvnPlugin: VersionPlugin {
  override class var name: String { "Svn" }
  override class var options: any OptionGroup { SvnOptions.standard }
  override class var metadataPath: String? { ".svn" }

  /// The values of `conflict_resolution`; Subversion's others need a person.
  private static let resolutions = [
    "base", "postpone", "mine-conflict", "theirs-conflict", "mine-full", "theirs-full",
  ]

  /// The working copy's database; before Subversion 1.7 a list in each folder.
  override var revisionFiles: [String] { ["\(root)/.svn/wc.db", "\(root)/.svn/entries"] }

  private var resolution = "postpone"
  /// One call that changes the working copy at a time.
  private var working: Task<Bool, Never>?

  override func load() throws {
    try super.load()
    readResolution()
  }

  override func settingsChanged() { readResolution() }

  private func readResolution() {
    resolution = "postpone"
    guard let text = core.settings[SvnOptions.standard.conflictResolution] else { return }
    let wanted = text.replacing("_", with: "-")
    if Self.resolutions.contains(wanted) {
      resolution = wanted
    } else {
      logger.warning(
        """
        \(core.settings.origin(of: SvnOptions.standard.conflictResolution)): Svn: Conflict resolver \(text) is none of \
        \(Self.resolutions.joined(separator: ", ")); using postpone
        """)
    }
  }

  override var rmi: [String: RemoteMethod] {
    super.rmi.merging([
      "Update": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "Update")
        return .bool(await alone { await self.update() })
      },
      "Commit": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "Commit")
        return .bool(await alone { await self.commit() })
      },
    ]) { $1 }
  }

  private func alone(_ body: @escaping @MainActor () async -> Bool) async -> Bool {
    while let working { _ = await working.value }
    let task = Task { await body() }
    working = task
    defer { working = nil }
    return await task.value
  }

  /// - Parameter asksServer: adds the credentials and the options of trust.
  private func svn(_ arguments: [String], asksServer: Bool = false) async throws -> ChildProcess.Output {
    var command = ["svn", "--non-interactive"]
    var input: [UInt8] = []
    if asksServer {
      if core.settings[SvnOptions.standard.trustsAlways] {
        command += ["--trust-server-cert-failures", "unknown-ca,cn-mismatch,expired,not-yet-valid,other"]
      }
      if let user = core.settings[SvnOptions.standard.user],
        let password = core.settings[SvnOptions.standard.password]
      {
        debugLog("Svn: Logging in with username: \(user)")
        command += ["--no-auth-cache", "--username", user, "--password-from-stdin"]
        input = Array(password.utf8)
      }
    }
    return try await run(
      command + arguments, input: input, timeout: asksServer ? Self.remoteTimeout : readTimeout)
  }

  override func getRevision() async throws -> String {
    let output = try await svn(["info", root])
    if let failure = output.failure { throw PluginExecutionError("Failed to read svn info: \(failure)") }
    guard let line = output.lines.last(where: { $0.hasPrefix("Revision: ") }) else {
      throw PluginExecutionError("Failed to read svn info: it has no revision")
    }
    return String(line.dropFirst("Revision: ".utf8.count))
  }

  /// Whether the working copy is up to date now.
  private func update() async -> Bool {
    do {
      let old = try await getRevision()
      let output = try await svn(["update", "--accept", resolution, root], asksServer: true)
      if let failure = output.failure {
        logger.error("Svn: Failed to update server repository: \(failure)")
        return false
      }
      core.fileMonitor.processPending()
      let new = try await getRevision()
      if new == old {
        logger.debug("repository is current")
      } else {
        logger.info("Updated \(root) from revision \(old) to \(new)")
      }
      return true
    } catch {
      logger.error("Svn: Failed to update server repository: \(error)")
      return false
    }
  }

  /// Whether the changes of the working copy are in the repository now.
  private func commit() async -> Bool {
    guard await update() else {
      logger.error("Failed to update svn repository, refusing to commit changes")
      return false
    }
    do {
      let output = try await svn(["commit", "-m", "Svn: autocommit", root], asksServer: true)
      if let failure = output.failure {
        logger.error("Svn: Failed to commit changes: \(failure)")
        return false
      }
      guard await update() else { return false }
      let revision = try await getRevision()
      logger.info("Svn: Commited changes. At \(revision)")
      return true
    } catch {
      logger.error("Svn: Failed to commit changes: \(error)")
      return false
    }
  }
}
