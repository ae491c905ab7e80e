public import Core
public import EventLoop
import OrderedCollections
import Plugins
public import ServerSettings
public import Support

/// A core with some plugins on a temporary repository, for tests of plugins.
public final class RepositoryFixture {
  public let repository = TemporaryDirectory()
  public let monitor = ComparingMonitor()
  public let core: ServerCore

  /// Settings with the Metadata plugin and the password `foobat`.
  public static var settings: Settings {
    var settings = Settings()
    settings.plugins = ["Metadata"]
    settings.password = "foobat"
    return settings
  }

  private init(
    loop: Reactor, files: [String: String], resolver: any AddressResolver, settings: Settings
  ) throws {
    var settings = settings
    settings.repository = repository.path
    for (name, text) in files { repository.write(text, to: name) }
    core = ServerCore(
      settings: settings, loop: loop, fileMonitor: monitor, resolver: resolver, registry: .standard)
    try core.loadPlugins()
  }

  /// Runs the body with a core.
  /// - Parameters:
  ///   - files: the repository, path to contents.
  ///   - names: what name service knows, address to name.
  ///   - resolver: another name service.
  ///   - settings: all but the repository's path.
  public static func run(
    files: [String: String], names: [String: String] = [:], resolver: (any AddressResolver)? = nil,
    settings: Settings = RepositoryFixture.settings, _ body: (RepositoryFixture) async throws -> Void
  ) async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try RepositoryFixture(
        loop: loop, files: files, resolver: resolver ?? FixedResolver(names), settings: settings)
      try await body(fixture)
      fixture.core.shutdown()
    }
  }

  /// A loaded plugin by its type.
  public func plugin<P: Plugin>(_ type: P.Type) throws -> P {
    guard let plugin = core.plugins[type.name] as? P else { throw PluginInitError("\(type.name) is not loaded") }
    return plugin
  }

  /// Writes a file of the repository and lets the monitor see it.
  public func edit(_ name: String, _ text: String) {
    repository.write(text, to: name)
    monitor.processPending()
  }

  /// The text of a file of the repository.
  public func text(_ name: String) throws -> String {
    String(decoding: try AtomicFile.readFile(repository.file(name), limitBytes: 1 << 28), as: UTF8.self)
  }
}
