import CoreSupport
import EventLoop
import Glibc
import Identity
import OrderedCollections
import Plugins
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core

private final class ConflictingPlugin: Plugin {
  override class var name: String { "Conflicting" }
  override class var conflicts: [String] { ["Fake", "Absent"] }
  override class var createsFolder: Bool { false }
  override class var isExperimental: Bool { true }
}

private final class DeprecatedPlugin: Plugin {
  override class var name: String { "Deprecated" }
  override class var createsFolder: Bool { false }
  override class var isDeprecated: Bool { true }
}

/// Fails as it is told by the name of a file in the repository.
private final class UnstartablePlugin: Plugin {
  override class var name: String { "Unstartable" }
  override class var createsFolder: Bool { false }

  override func load() throws {
    if fileExists(core.settings.repository + "/init") { throw PluginInitError("no program") }
    if fileExists(core.settings.repository + "/system") { throw SystemError(call: "open", errno: ENOENT) }
    throw Boom()
  }
}

/// The life of a core: loading, run, bcfg2.conf, shutdown.
@Suite struct CoreRunTests {
  /// A core of its own, not yet loaded.
  private func run(
    files: [String: String] = RepositoryFixture.twoClients, plugins: [String] = ["Metadata"],
    monitor: RepositoryFixture.Monitor = .comparing,
    _ body: (ServerCore, LogRecorder, TemporaryDirectory) async throws -> Void
  ) async throws {
    var settings = RepositoryFixture.settings
    settings.plugins = plugins
    try await RepositoryFixture.run(
      files: files, names: ["10.0.0.1": "one"], settings: settings, monitor: monitor, loading: .nothing
    ) { fixture async throws in
      try await body(fixture.core, fixture.log, fixture.repository)
    }
  }

  @Test func theRunLoadsThenStartsThenServes() async throws {
    try await run { core, log, _ in
      core.initPlugin(FakePlugin.self)
      try await core.run()
      let fake = core.plugins["Fake"] as? FakePlugin
      #expect(fake?.calls == ["startThreads", "getRevision"] && core.revision == "7")
      #expect(
        core.metadata.name == "Metadata" && core.fileMonitor.listPaths().contains(core.settings.configurationFile))
      #expect(log.has("debug Loading plugin Metadata"))
      #expect(log.lines.contains { $0.hasPrefix("debug Slept ") && $0.hasSuffix(" seconds while handling FAM events") })
      #expect(!core.isDatabaseAvailable)
      core.shutdown()
      core.shutdown()
      #expect(
        log.lines.suffix(4) == [
          "info Core: Shutting down core...", "info Core: FAM shut down", "info Core: All plugins shut down",
          "debug Core: Core already shut down",
        ])
    }
  }

  @Test func aRunThatFailsEndsShutDown() async throws {
    try await run(plugins: []) { core, log, _ in
      await #expect(throws: CoreInitError.self) { try await core.run() }
      #expect(core.isShutDown && log.has("error No Metadata plugin loaded; failed to instantiate Core"))
    }
    try await run { core, _, _ in
      core.initPlugin(FakePlugin.self)
      (core.plugins["Fake"] as? FakePlugin)?.failures["startThreads"] = Boom()
      await #expect(throws: Boom.self) { try await core.run() }
      #expect(core.isShutDown)
    }
  }

  @Test func aPluginThatNeverGetsReadyDoesNotHoldUpTheEnd() async throws {
    try await run { core, _, _ in
      let gate = Gate()
      core.initPlugin(FakePlugin.self)
      (core.plugins["Fake"] as? FakePlugin)?.gates["startThreads"] = gate
      let start = Task { try await core.run() }
      while gate.count == 0 { await core.loop.nextIteration() }
      core.shutdown()
      #expect(core.isShutDown)
      gate.open()
      try await start.value
    }
  }

  @Test func theFirstOfConflictingPluginsStays() async throws {
    try await run { core, log, _ in
      for type in [FakePlugin.self, ConflictingPlugin.self, DeprecatedPlugin.self] as [Plugin.Type] {
        core.initPlugin(type)
      }
      try core.loadPlugins()
      #expect(core.pluginBlacklist["Conflicting"] == ["Fake"] && core.plugins["Fake"] == nil)
      #expect(core.interfaces.generators.isEmpty)
      #expect(log.has("error The following plugins conflict with Conflicting; Unloading Fake"))
      #expect(log.has("info Loading experimental plugin(s): Conflicting"))
      #expect(log.has("info NOTE: Interfaces subject to change"))
      #expect(log.has("info Loading deprecated plugin(s): Deprecated"))
    }
  }

  @Test(arguments: [
    ("init", "error Failed to instantiate plugin Unstartable: no program"),
    ("system", "error Failed to add a file monitor while instantiating plugin Unstartable: "),
    ("else", "error Unexpected instantiation failure for plugin Unstartable: boom"),
  ])
  func aPluginThatCannotStartIsLeftOut(file: String, line: String) async throws {
    try await run(files: RepositoryFixture.twoClients.merging([file: ""]) { $1 }) { core, log, _ in
      core.initPlugin(UnstartablePlugin.self)
      try await core.run()
      #expect(core.plugins["Unstartable"] == nil && log.lines.contains { $0.hasPrefix(line) })
    }
  }

  @Test func editsOfBcfg2ConfAreTaken() async throws {
    try await run { core, log, folder in
      folder.write("first", to: "bcfg2.conf")
      var reads = 0
      core.readSettings = { [settings = core.settings] in
        reads += 1
        if reads == 2 { throw CoreInitError("torn") }
        var fresh = settings
        fresh.clientMetadataCache = .aggressive
        return fresh
      }
      try await core.run()
      #expect(reads == 0)
      folder.write("second", to: "bcfg2.conf")
      core.fileMonitor.processPending()
      #expect(reads == 1 && core.metadataCacheMode == .aggressive)
      _ = try await core.buildMetadata("one")
      #expect(core.metadataCache.count == 1)
      folder.write("third", to: "bcfg2.conf")
      core.fileMonitor.processPending()
      #expect(reads == 2 && core.metadataCache.count == 1)
      #expect(log.has("error bcfg2.conf was not read, the old settings stay: torn"))
      folder.write("fourth", to: "bcfg2.conf")
      core.fileMonitor.processPending()
      #expect(reads == 3 && core.metadataCache.isEmpty)
      unlink(folder.file("bcfg2.conf"))
      core.fileMonitor.processPending()
      core.handleEvent(FileEvent(action: .changed, path: "/else", relativePath: "", isDirectory: false))
      #expect(reads == 3 && log.has("error Got event for unknown file: /else"))
    }
  }

  @Test func whatIsWrongWithBcfg2ConfIsInTheLogOnce() async throws {
    try await run { core, log, folder in
      folder.write("first", to: "bcfg2.conf")
      var problem: String? = "torn"
      core.readSettings = { [settings = core.settings] in
        if let problem { throw CoreInitError(problem) }
        return settings
      }
      try await core.run()
      @MainActor func edited(_ text: String) -> Int {
        folder.write(text, to: "bcfg2.conf")
        core.fileMonitor.processPending()
        return log.lines.count { $0.hasPrefix("error bcfg2.conf was not read") }
      }
      // An editor that writes in several steps.
      #expect(edited("a") == 1 && edited("ab") == 1)
      problem = "otherwise"
      #expect(edited("abc") == 2)
      // Who asks for it is told again.
      core.reloadSettings()
      #expect(edited("abcd") == 3)
      problem = nil
      #expect(edited("good") == 3)
      problem = "otherwise"
      #expect(edited("bad") == 4)
    }
  }

  @Test func withoutBlockingTheFirstClientsComeBeforeTheRepository() async throws {
    try await run(monitor: .deferred) { core, _, _ in
      try await core.run()
      let address = ClientAddress(ip: "10.0.0.1", port: 1)
      let call = MethodCall(method: "GetProbes", params: [])
      // Nothing was awaited since `begin` read the first path.
      #expect(core.fileMonitor.listPaths().contains(core.settings.configurationFile))
      for _ in 0..<10 where core.fileMonitor.hasPending { await core.loop.nextIteration() }
      #expect(await core.dispatch(call, from: address).line == "<probes/>")
    }
    try await run(monitor: .deferred) { core, _, _ in
      try core.loadPlugins()
      let address = ClientAddress(ip: "10.0.0.1", port: 1)
      let call = MethodCall(method: "GetProbes", params: [])
      #expect(
        await core.dispatch(call, from: address).line.contains("Metadata has not been read yet"))
      core.blockForFileEvents(handlesEvents: true)
      #expect(await core.dispatch(call, from: address).line == "<probes/>")
    }
  }

  @Test func beforeMetadataIsLoadedNothingIsKnown() async throws {
    try await run { core, _, _ in
      await #expect(throws: MetadataRuntimeError.self) { try await core.buildMetadata("one") }
    }
  }

  @Test func debuggingReachesCorePluginsAndMonitor() async throws {
    try await run { core, log, _ in
      core.initPlugin(FakePlugin.self)
      try await core.run()
      let local = Caller("localhost")
      @MainActor func ask(_ method: String, _ parameters: [Value] = []) async -> String {
        await core.dispatch(MethodCall(method: method, params: parameters), from: local).line
      }
      #expect(await ask("toggle_debug") == "true")
      #expect(core.isDebugging && core.fileMonitor.isDebugging && core.plugins["Fake"]?.isDebugging == true)
      #expect(await ask("set_debug", ["False"]) == "false")
      #expect(!core.isDebugging && !core.fileMonitor.isDebugging && core.plugins["Fake"]?.isDebugging == false)
      #expect(await ask("set_core_debug", ["TRUE"]) == "true")
      #expect(core.isDebugging && !core.fileMonitor.isDebugging)
      #expect(await ask("toggle_core_debug") == "false")
      #expect(log.has("info Core: debug = True") && log.has("info Core: debug = False"))
      #expect(await ask("set_fam_debug", [true]).hasSuffix("\nTrue"))
      #expect(log.has("warning Deprecated method set_fam_debug called by 127.0.0.1"))
      #expect(await ask("Fake.toggle_debug") == "true")
      #expect(await ask("listMethods").contains("Fake.Ask"))
      #expect(await ask("methodHelp", ["nothing"]) == "")
    }
  }

  @Test func executionTimesAreLoggedNowAndThen() async throws {
    try await run { core, log, _ in
      var settings = core.settings
      settings.logsPerformance = true
      settings.performanceInterval = .milliseconds(1)
      core.settingsChanged(settings)
      core.statistics.add("Core:Bind:Path", .milliseconds(1500))
      core.startPerformanceLog()
      let line =
        "info Performance statistics: Core:Bind:Path min=1.500000, max=1.500000, average=1.500000, count=1"
      while !log.has(line) { await core.loop.nextIteration() }
    }
  }
}
