import Core
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

@testable import Plugins
@testable import Server

extension RepositoryFixture {
  /// A repository that can be moved away, with two clients and a bundle, and a core that reads it under inotify.
  ///
  /// - Parameter allowsCaching: false: each answer is made when it is asked for.
  convenience init(
    away plugins: [String], bundle: String = "", _ files: [String: String] = [:], allowsCaching: Bool = false,
    on loop: Reactor
  ) throws {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Bundler", "Metadata"] + plugins
    if !allowsCaching { settings.answerCacheBytes = 0 }
    let files = RepositoryFixture.files(bundle: bundle, files)
    try self.init(
      files: files, programs: Set(files.keys.filter { $0.hasPrefix("PuppetENC") }),
      names: ["192.0.2.1": "one.example.com"], settings: settings, monitor: .inotify,
      core: NetworkCore.init(settings:loop:fileMonitor:resolver:registry:), on: loop)
    monitor.processPending()
  }

  /// Moves something of the temporary folder, in which the repository is `repo`.
  func move(_ from: String, _ to: String) {
    #expect(rename(folder.file(from), folder.file(to)) == 0, "\(from) to \(to)")
  }

  /// Waits for programs that nobody else waits for.
  func finishPrograms() async {
    while let trigger = core.plugins["Trigger"] as? TriggerPlugin, trigger.running > 0 { await loop.nextIteration() }
  }

  /// Changes how long the last state read is served.
  func setGrace(_ grace: Duration?) {
    var settings = core.settings
    settings.repositoryGrace = grace
    core.settingsChanged(settings)
  }

  /// Names of missing paths in `get_statistics`.
  func awayStatistics() async throws -> [String] {
    let call = MethodCall(method: "get_statistics", params: [])
    guard case .value(let value) = await core.dispatch(call, from: ClientAddress(ip: "127.0.0.1", port: 1)) else {
      throw PluginExecutionError("no statistics")
    }
    return (value.members ?? []).map(\.name).filter { $0.contains(" away since ") }
  }
}
