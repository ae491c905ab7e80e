package import Core
package import EventLoop
import Glibc
package import Identity
import Plugins
import Repository
package import ServerSettings
import Templates

/// A core for commands: it reads the repository as a server does, serves nobody, and creates and changes no folder, store or
/// file of the repository. It does not disturb a running server.
package final class ReadingCore: ServerCore {
  package override var name: String { "ReadingCore" }
  package override var isChild: Bool { true }
  package override var isReadOnly: Bool { true }

  /// The settings of a process that only reads, with a log on standard error.
  ///
  /// - Parameter files: what another process has read of the disk; nil: this one reads it.
  /// - Throws: `SettingsError`, also for renderer settings that would stop a server from starting; `SystemError` if the
  ///   log cannot be opened.
  package static func settings(_ options: CommandLineOptions, files: ConfigurationFiles? = nil) throws -> Settings {
    let settings = try furtherSettings(options, files: files)
    try LogSetup.bootstrap(settings)
    return settings
  }

  /// The settings of a second core in the same process.
  ///
  /// - Throws: as `settings`, but for the log, which stays as it is.
  package static func furtherSettings(_ options: CommandLineOptions, files: ConfigurationFiles? = nil) throws
    -> Settings
  {
    var settings = try Settings.load(options, registry: PluginRegistry.standard.settings, files: files)
    // Check as for root, which starts the server.
    try settings.requireRenderers(startedAs: 0)
    _ = try settings.monitoringPlace()
    settings.logPath = nil
    settings.logsToSyslog = false
    settings.pidFile = nil
    AtomicFile.refuseWrites(below: settings.repository)
    return settings
  }

  /// Nobody is served: what plugins do around the run of a client, such as starting the programs of Trigger, is not done.
  package override func clientRunHook(_ stage: ClientRunStage, _ metadata: ClientMetadata) async {}

  /// Runs `body` with a core that has read the repository; run by root, it becomes the server's user.
  ///
  /// - Parameter followsEdits: whether edits that are made meanwhile are seen.
  /// - Throws: `SystemError` if privileges cannot be dropped; `CoreInitError`; what the body throws.
  package static func with<Result>(
    _ settings: Settings, on loop: Reactor, followsEdits: Bool = false,
    _ body: (ServerCore) async throws -> Result
  ) async throws -> Result {
    if geteuid() == 0 { try Privileges.drop(user: settings.user, group: settings.group) }
    TemporaryFolder.removeLeftovers(of: settings[TemplateOptions.standard.user])
    return try await CommandCore.with(settings, on: loop, followsEdits: followsEdits) {
      ReadingCore(settings: settings, loop: loop, fileMonitor: $0, resolver: $1, registry: .standard)
    } body: { core in
      try await body(core)
    }
  }

  /// Returns a client that the server knows.
  ///
  /// - Throws: `MetadataConsistencyError`.
  package static func client(_ name: String, _ core: ServerCore) throws -> ClientName {
    guard let client = try? ClientName(recorded: name), core.metadata.knowsClient(client) else {
      throw MetadataConsistencyError("there is no client \(name)")
    }
    return client
  }

  /// Prints a line on standard error.
  package static func printError(_ line: String) {
    var text = line + "\n"
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
