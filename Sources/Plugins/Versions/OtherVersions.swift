import Core
import EventLoop
import ServerSettings

// Version plugins that only tell a revision. Sources of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Hg.py,
// Bzr.py, Cvs.py, Darcs.py, Fossil.py, and 1.3.4's where 1.4's cannot work.

/// Mercurial: the local number of the tip.
final class HgPlugin: VersionPlugin {
  override class var name: String { "Hg" }
  override class var metadataPath: String? { ".hg" }
  override var revisionFiles: [String] { ["\(root)/.hg/store/00changelog.i"] }

  override func getRevision() async throws -> String {
    let output = try await run(
      ["hg", "--cwd", root, "tip", "--template", "{rev}\n"], environment: ["HGPLAIN": "1"])
    return try firstLine(output, failure: "Failed to read hg repository")
  }
}

/// Bazaar, or Breezy: the number of the branch's revision, with a plus sign where the working tree differs from it.
final class BzrPlugin: VersionPlugin {
  override class var name: String { "Bzr" }
  override var revisionFiles: [String] { ["\(root)/.bzr/branch/last-revision"] }

  override func getRevision() async throws -> String {
    let output = try await run(["bzr", "revno", root])
    let number = try firstLine(output, failure: "Failed to read Bazaar branch")
    let status = try await run(["bzr", "status", "--short", root])
    if let failure = status.failure { throw PluginExecutionError("Failed to read Bazaar branch: \(failure)") }
    return status.standardOutput.isEmpty ? number : number + "+"
  }
}

/// CVS: the first line of its log, which is the first file's, as there is no revision of the whole.
final class CvsPlugin: VersionPlugin {
  override class var name: String { "Cvs" }
  override class var metadataPath: String? { "CVSROOT" }
  override var revisionFiles: [String] { ["\(root)/CVS/Entries"] }

  override func getRevision() async throws -> String {
    let output = try await run(["cvs", "log"])
    // 1.3.4 takes the fourth line, 1.4 the first one; both whatever the exit status.
    let index = core.settings.compatibility == .v1_3 ? 3 : 0
    guard output.lines.indices.contains(index) else {
      throw PluginExecutionError("Failed to read revision from CVS: \(output.failure ?? "no output")")
    }
    return output.lines[index]
  }
}

/// Darcs: the first line of its changes.
final class DarcsPlugin: VersionPlugin {
  override class var name: String { "Darcs" }
  override class var metadataPath: String? { "_darcs" }
  override var revisionFiles: [String] { ["\(root)/_darcs/hashed_inventory"] }

  override func getRevision() async throws -> String {
    try firstLine(try await run(["darcs", "changes"]), failure: "Failed to read revision from darcs")
  }
}

/// Fossil: the hash of the checkout. 1.4 takes one letter of a line for it; this is 1.3.4's.
final class FossilPlugin: VersionPlugin {
  override class var name: String { "Fossil" }
  override class var metadataPath: String? { "_FOSSIL_" }
  override var revisionFiles: [String] { ["\(root)/_FOSSIL_"] }

  override func getRevision() async throws -> String {
    let output = try await run(["fossil", "info"])
    if let failure = output.failure {
      throw PluginExecutionError("Failed to read revision from Fossil: \(failure)")
    }
    guard let line = output.lines.last(where: { $0.hasPrefix("checkout:") }),
      let hash = line.dropFirst("checkout:".utf8.count).split(whereSeparator: \.isWhitespace).first
    else { throw PluginExecutionError("Failed to read revision from Fossil: it has no checkout") }
    return String(hash)
  }
}
