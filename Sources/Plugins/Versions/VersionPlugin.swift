public import Core
import EventLoop
import Logging
import ServerSettings
import XMLRPC

/// The base of plugins that report the revision of the repository: where the working copy is, and how its program is run.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/interfaces.py, Version.
open class VersionPlugin: Plugin, Version {
  public override class var createsFolder: Bool { false }
  /// The file or folder by which a working copy is known; nil where there is none to look for.
  open class var metadataPath: String? { nil }

  /// The longest run of a program that only reads.
  final var readTimeout: Duration = .seconds(30)
  /// The longest run of a program that asks a remote repository.
  static let remoteTimeout: Duration = .seconds(300)
  private static let outputLimitBytes = 16 << 20

  private var revisionWatch: RevisionWatch?

  /// The folder whose programs go before those of PATH.
  var programFolder: String?

  /// `[server] vcs_root`; the repository, where it is not set.
  public var root: String { core.settings.versionControlRoot ?? core.settings.repository }

  /// - Throws: `PluginInitError` where `vcs_root` is no working copy.
  open override func load() throws {
    guard let path = Self.metadataPath else {
      watchRevision()
      return
    }
    guard fileExists("\(root)/\(path)") else { throw PluginInitError("\(root)/\(path) is not present") }
    logger.debug("Initialized \(name) plugin with directory \(root)/\(path)")
    watchRevision()
  }

  /// Absolute paths of files that the version control program writes when it makes another revision; some need not exist.
  ///
  /// Read again after each change to one of them, because their contents may name further files.
  open var revisionFiles: [String] { [] }

  /// Begins to watch `revisionFiles`, because a commit may change no file that a plugin reads.
  func watchRevision() {
    revisionWatch = RevisionWatch(monitor: core.fileMonitor) { [unowned self] in
      revisionFiles
    } onChange: {
      [unowned self] in
      core.revisionMayHaveChanged()
    }
  }

  open override var rmi: [String: RemoteMethod] {
    super.rmi.merging([
      "get_revision": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "get_revision")
        return .string(try await getRevision())
      }
    ]) { $1 }
  }

  open func getRevision() async throws -> String { fatalError("\(type(of: self)) must tell its revision") }

  /// Runs a program in the working copy, its messages untranslated, without asking anybody for anything.
  ///
  /// - Throws: `PluginExecutionError` if it cannot be run to its end. The caller judges the exit status.
  func run(
    _ command: [String], input: [UInt8] = [], environment: [String: String] = [:],
    timeout: Duration? = nil
  ) async throws -> ChildProcess.Output {
    debugLog("\(name): Running \(command.joined(separator: " "))")
    var variables = Environment.own
    variables["LC_ALL"] = "C"
    for (name, value) in environment { variables[name] = value }
    var command = command
    if let own = programFolder.map({ "\($0)/\(command[0])" }), fileExists(own) { command[0] = own }
    do {
      return try await ChildProcess.run(
        command, input: input, environment: variables, workingDirectory: root, timeout: timeout ?? readTimeout,
        outputLimitBytes: Self.outputLimitBytes, on: core.loop)
    } catch {
      throw PluginExecutionError("\(error)")
    }
  }

  /// The first line of an output, without white space around it.
  ///
  /// - Throws: `PluginExecutionError` with `failure` before the reason, where the program failed or said nothing.
  func firstLine(_ output: ChildProcess.Output, failure: String) throws -> String {
    if let reason = output.failure { throw PluginExecutionError("\(failure): \(reason)") }
    guard let line = output.lines.first else { throw PluginExecutionError("\(failure): no output") }
    return line
  }
}

extension ChildProcess.Output {
  /// Lines of standard output without white space around them; an empty line stays.
  nonisolated var lines: [String] {
    guard !standardOutput.isEmpty else { return [] }
    return outputText.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      var line = line.drop { $0.isWhitespace }
      while line.last?.isWhitespace ?? false { line.removeLast() }
      return String(line)
    }
  }
}
