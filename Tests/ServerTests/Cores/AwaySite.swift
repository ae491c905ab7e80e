import CoreSupport
import EventLoop
import Glibc
import Identity
import OrderedCollections
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins
@testable import Server

/// A repository that can be moved away, and a core that reads it under inotify.
final class AwaySite {
  let folder = TemporaryDirectory()
  let core: NetworkCore
  let log = LogCapture()
  private let loop: Reactor

  /// - Parameters:
  ///   - files: of the repository, which is the folder `repo`, beside two clients and a bundle.
  ///   - allowsCaching: false: each answer is made when it is asked for.
  init(
    _ plugins: [String], bundle: String = "", _ files: [String: String] = [:], allowsCaching: Bool = false,
    on loop: Reactor
  ) throws {
    self.loop = loop
    for (path, text) in PluginRepository.files(bundle: bundle, files) {
      folder.write(text, to: "repo/\(path)", mode: path.hasPrefix("PuppetENC") ? 0o755 : 0o644)
    }
    var settings = RepositoryFixture.settings
    settings.repository = folder.file("repo")
    settings.plugins = ["Bundler", "Metadata"] + plugins
    if !allowsCaching { settings.answerCacheBytes = 0 }
    let monitor = InotifyMonitor(logger: log.logger, on: loop)
    core = NetworkCore(
      settings: settings, loop: loop, fileMonitor: monitor, resolver: FixedResolver(["192.0.2.1": "one.example.com"]),
      registry: .standard)
    try core.loadPlugins()
    core.fileMonitor.processPending()
  }

  isolated deinit { core.shutdown() }

  var monitor: any FileMonitor { core.fileMonitor }

  /// Moves something of the temporary folder.
  func move(_ from: String, _ to: String) {
    #expect(rename(folder.file(from), folder.file(to)) == 0, "\(from) to \(to)")
  }

  /// What a call of the first client answers.
  func ask(_ method: String, _ parameters: [Value] = []) async -> String {
    let call = MethodCall(method: method, params: parameters)
    return FakePluginFixture.text(await core.dispatch(call, from: ClientAddress(ip: "127.0.0.1", port: 1)))
  }

  /// Waits for programs that nobody else waits for.
  func finish() async {
    while let trigger = core.plugins["Trigger"] as? TriggerPlugin, trigger.running > 0 { await loop.nextIteration() }
  }

  /// Changes how long what was read last is served.
  func setGrace(_ grace: Duration?) {
    var settings = core.settings
    settings.repositoryGrace = grace
    core.settingsChanged(settings)
  }

  /// Names in `get_statistics` of what is away.
  func awayStatistics() async throws -> [String] {
    let call = MethodCall(method: "get_statistics", params: [])
    guard case .value(let value) = await core.dispatch(call, from: ClientAddress(ip: "127.0.0.1", port: 1)) else {
      throw PluginExecutionError("no statistics")
    }
    return (value.members ?? []).map(\.name).filter { $0.contains(" away since ") }
  }
}
