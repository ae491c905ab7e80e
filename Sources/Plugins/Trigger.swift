import Core
import EventLoop
import Formats
import Identity
import Logging
import XMLRPC

/// Runs the programs in Trigger after each configuration, with the client's name, profile and groups. No client waits for
/// them. They run in the order of the configurations, as many at once as `[server] programs` allows, and no longer than
/// `[server] program_timeout`.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Trigger.py.
final class TriggerPlugin: Plugin, ClientRunHooks {
  override class var name: String { "Trigger" }

  /// How much a program may write before it is killed.
  private static let outputLimitBytes = 1 << 20

  private let scripts: ScriptFolder
  /// Runs that have not ended, or not begun.
  private(set) var running = 0

  var stages: Set<ClientRunStage> { [.end] }

  required init(_ context: PluginContext) {
    scripts = ScriptFolder(context.folder, monitor: context.core.fileMonitor)
    super.init(context)
  }

  func endClientRun(_ metadata: ClientMetadata) {
    let groups = Self.ordered(metadata).joined(separator: ":")
    let arguments = [metadata.hostname.text, "-p", metadata.profile ?? "", "-g", groups]
    for script in scripts.scripts {
      let command = [scripts.path(of: script)] + arguments
      running += 1
      // The plugin does not own its core; the task does, so that the core lives as long as the program runs.
      Task { [core] in
        await run(command)
        running -= 1
        withExtendedLifetime(core) {}
      }
    }
  }

  /// The groups in the order of a set of Python 2.7 that had the profile first, then all others at once.
  private static func ordered(_ metadata: ClientMetadata) -> [String] {
    var (groups, others) = (PythonDictionary<Void>(), PythonDictionary<Void>())
    if let profile = metadata.profile, metadata.groups.contains(profile) { groups.set(profile, ()) }
    for group in metadata.groups.sorted() where groups[group] == nil { others.set(group, ()) }
    groups.merge(others)
    return groups.items.map(\.name)
  }

  private func run(_ command: [String]) async {
    debugLog("Running \(command.joined(separator: " "))")
    do {
      let output = try await ChildProcess.run(
        command, outputLimitBytes: Self.outputLimitBytes, urgency: .background, on: core.loop)
      if let failure = output.failure {
        logger.error("Trigger: Error running \(command[0]): \(failure)")
      } else if !output.standardError.isEmpty {
        debugLog("Trigger: Error: \(output.errorText)")
      }
    } catch {
      logger.error("Trigger: Error running \(command[0]): \(error)")
    }
  }
}
