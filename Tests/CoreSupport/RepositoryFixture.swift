public import Core
public import EventLoop
import Logging
import OrderedCollections
public import Plugins
public import Repository
public import ServerSettings
public import Support

/// A temporary repository with a core on it.
///
/// Files, settings, file monitor, name service and the kind of core are options; what a few tests want besides is an
/// extension beside them. `FixtureClients` has a small repository with two clients, `FixtureTemplates` one of templates,
/// `FixtureFakes` a plugin that does what a test says.
public final class RepositoryFixture {
  /// How the core hears of edits.
  public enum Monitor {
    /// Looks at the disk when it is asked.
    case comparing
    /// The same, and reads the repository while the loop goes on.
    case deferred
    case inotify
    case given(any FileMonitor)
  }

  /// Which plugins are loaded at once.
  public enum Loading {
    /// Those of the settings.
    case settings
    /// These, whatever the settings say, and no Metadata unless it is among them.
    case only([Plugin.Type])
    /// None: the test has them loaded.
    case nothing
  }

  /// Makes the core; an initializer of `ServerCore` or of a class below it.
  public typealias MakeCore =
    @MainActor (Settings, Reactor, any FileMonitor, any AddressResolver, PluginRegistry) -> ServerCore

  /// Holds the repository, and what else a test puts beside it.
  public let folder = TemporaryDirectory()
  /// The folder `repo` in it.
  public let repository: TemporaryDirectory
  public let core: ServerCore
  /// What the core has logged since its plugins were loaded.
  public let log = LogRecorder(level: .debug)
  /// What its inotify monitor has logged, from warnings on.
  public let monitorLog = LogRecorder()

  public var monitor: any FileMonitor { core.fileMonitor }
  public var loop: Reactor { core.loop }

  /// Settings with the Metadata plugin and the password `foobat`.
  public static var settings: Settings {
    var settings = Settings()
    settings.plugins = ["Metadata"]
    settings.password = "foobat"
    return settings
  }

  /// - Parameters:
  ///   - files: the repository, path to contents.
  ///   - programs: paths of those that may be executed.
  ///   - names: what name service knows, address to name.
  ///   - resolver: another name service.
  ///   - settings: all but the repository's path and that of bcfg2.conf, which is in it.
  ///   - recordsPlugins: whether `log` has what plugins log, too.
  public init(
    files: [String: String], programs: Set<String> = [], names: [String: String] = [:],
    resolver: (any AddressResolver)? = nil, settings: Settings = RepositoryFixture.settings,
    monitor: Monitor = .comparing, registry: PluginRegistry = .standard, loading: Loading = .settings,
    recordsPlugins: Bool = false,
    core makeCore: MakeCore = ServerCore.init(settings:loop:fileMonitor:resolver:registry:), on loop: Reactor
  ) throws {
    repository = TemporaryDirectory(named: "repo", in: folder)
    for (name, text) in files { repository.write(text, to: name, mode: programs.contains(name) ? 0o755 : 0o644) }
    var settings = settings
    settings.repository = repository.path
    settings.configurationFile = repository.file("bcfg2.conf")
    // Tests share the processors with others: a time that is over there says nothing, unless the test is about it.
    if settings.origin(of: TemplateOptions.standard.timeout) == .builtIn {
      settings[TemplateOptions.standard.timeout] = .seconds(600)
    }
    let made: any FileMonitor =
      switch monitor {
      case .comparing: ComparingMonitor()
      case .deferred: DeferredMonitor(ComparingMonitor(), on: loop)
      case .inotify: InotifyMonitor(logger: monitorLog.logger, on: loop)
      case .given(let monitor): monitor
      }
    core = makeCore(settings, loop, made, resolver ?? FixedResolver(names), registry)
    core.holdLimit = .seconds(600)
    log.listen(to: core)
    if recordsPlugins { core.makePluginLogger = { [log] in log.logger(label: $0) } }
    switch loading {
    case .settings: try core.loadPlugins()
    case .only(let types): for type in types { core.initPlugin(type) }
    case .nothing: break
    }
    log.take()
  }

  isolated deinit {
    if !core.isShutDown { core.shutdown() }
  }

  /// Runs the body with a core, on a loop that goes on while the body waits.
  public static func run(
    files: [String: String], programs: Set<String> = [], names: [String: String] = [:],
    resolver: (any AddressResolver)? = nil, settings: Settings = RepositoryFixture.settings,
    monitor: Monitor = .comparing, registry: PluginRegistry = .standard, loading: Loading = .settings,
    recordsPlugins: Bool = false,
    core makeCore: MakeCore = ServerCore.init(settings:loop:fileMonitor:resolver:registry:),
    _ body: (RepositoryFixture) async throws -> Void
  ) async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try RepositoryFixture(
        files: files, programs: programs, names: names, resolver: resolver, settings: settings, monitor: monitor,
        registry: registry, loading: loading, recordsPlugins: recordsPlugins, core: makeCore, on: loop)
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
  public func edit(_ name: String, _ text: String, mode: UInt32 = 0o644) {
    repository.write(text, to: name, mode: mode)
    monitor.processPending()
  }

  /// Removes a file or an empty folder of the repository and lets the monitor see it.
  public func remove(_ name: String) {
    repository.remove(name)
    monitor.processPending()
  }

  /// The text of a file of the repository.
  public func text(_ name: String) throws -> String { try repository.text(name) }

  /// Waits for a condition, at most 1,000 iterations of the loop.
  public func wait(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<1000 {
      if condition() { return true }
      await loop.nextIteration()
    }
    return condition()
  }
}

extension LogRecorder {
  /// Takes what a core logs from now on, and what it says of templates.
  @MainActor public func listen(to core: ServerCore) {
    core.logger = logger(label: "bcfg2-server")
    core.templates.logger = logger(label: "Templates")
  }
}
