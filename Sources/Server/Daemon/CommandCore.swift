package import Core
package import EventLoop
import Glibc
import Plugins
package import Repository
package import ServerSettings
import Templates

/// Cores of commands, which serve nobody: made, loaded, and shut down behind the command's work.
package enum CommandCore {
  /// Runs `body` with a core that has read the repository.
  ///
  /// - Parameter followsEdits: whether edits that are made meanwhile are seen.
  /// - Throws: `CoreInitError`; what the body throws.
  package static func with<Made: ServerCore, Result>(
    _ settings: Settings, on loop: Reactor, followsEdits: Bool = false, make: (any FileMonitor, HostResolver) -> Made,
    body: (Made) async throws -> Result
  ) async throws -> Result {
    let driver = followsEdits ? "inotify" : "pseudo"
    guard let monitor = FileMonitorFactory.make(driver, ignoring: settings.ignoredFiles, on: loop) else {
      throw CoreInitError("Failed to instantiate fam driver \(driver)")
    }
    let resolver = HostResolver(on: loop)
    let core = make(monitor, resolver)
    core.opensDatabases()
    let duty = EndingDuty { core.shutdown() }
    defer {
      core.shutdown()
      resolver.shutdown()
      withExtendedLifetime(duty) {}
    }
    core.templates.checks.gather()
    core.templates.dropsWrites = true
    core.templates.rendersOnce = true
    // An administrator who is not root sees the template's output under his own user.
    core.templates.keepsUser = geteuid() != 0
    try core.loadPlugins()
    core.blockForFileEvents(handlesEvents: true)
    await core.beginDatabase()
    return try await body(core)
  }
}

/// A core for commands that change the repository in the server's place: files and the database, in the way in which a running
/// server does it, which then sees the change.
package final class ChangingCore: ServerCore {
  package override var name: String { "ChangingCore" }
  package override var isChild: Bool { isPartner }

  /// Whether it leaves to a server what only one process may do, as a child does: folders of plugins, and tables of the
  /// database.
  private var isPartner = false

  /// Runs `body` with a core that has read the repository; run by root, it becomes the server's user.
  ///
  /// - Parameters:
  ///   - plugins: the only ones to load; nil: all. All are loaded as those of a child.
  /// - Throws: `SystemError` if privileges cannot be dropped; `CoreInitError`; what the body throws.
  package static func with<Result>(
    _ settings: Settings, plugins: [String]? = nil, on loop: Reactor, _ body: (ServerCore) async throws -> Result
  ) async throws -> Result {
    if geteuid() == 0 { try Privileges.drop(user: settings.user, group: settings.group) }
    var settings = settings
    if let plugins { settings.plugins = settings.plugins.filter(plugins.contains) }
    return try await CommandCore.with(settings, on: loop) { monitor, resolver in
      let core = ChangingCore(
        settings: settings, loop: loop, fileMonitor: monitor, resolver: resolver, registry: .standard)
      core.isPartner = plugins == nil
      return core
    } body: { core in
      try await body(core)
    }
  }
}
