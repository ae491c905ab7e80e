import Core
import Databases
import EventLoop
import Identity
import Logging
import OrderedCollections
import Repository
import ServerSettings
import XMLRPC

/// The core of a child process: complete, with a file monitor of its own, but without clients. It builds configurations
/// for its parent, which sends it the data that is not in the repository's files.
///
/// It never writes to the repository. A build that has to (a new client, a key to create) is returned to the parent, so
/// that there is one writer.
///
/// Source of the contract: the server core's development document, ChildCore.
final class ChildCore: ServerCore {
  /// The state of one build, for the task that runs it.
  private nonisolated final class Build: Sendable {
    let request: UInt64
    let begunHooks: RenderRequest.HookSet

    init(request: UInt64, begunHooks: RenderRequest.HookSet) {
      self.request = request
      self.begunHooks = begunHooks
    }
  }

  private nonisolated enum Scope {
    @TaskLocal static var build: Build?
  }

  /// The methods that the parent may call: Bcfg2's `exposed`.
  private static let exposedToParent: [String: @MainActor (ChildCore, [Value]) async throws -> Value] = [
    "expire_metadata_cache": { core, parameters in
      core.expireMetadataCache(try client(parameters.first))
      // Without inotify the parent has to report that clients.xml was written.
      if core.fileMonitor.name != "Inotify" { await core.metadata.updateClientList() }
      return .nil
    },
    "expire_cache": { core, parameters in
      (try core.plugin(parameters) as? any Caching)?.expireCache(
        key: try client(parameters.count > 1 ? parameters[1] : nil))
      return .nil
    },
    "RecvProbeData": { core, parameters in
      try parameters.require(3, of: "RecvProbeData")
      guard let client = try client(parameters[1]), let data = parameters[2].contents else {
        throw ParameterError("no probe data")
      }
      // Where it differs from before, `expire_metadata_cache` follows.
      try (core.plugin(parameters) as? any Replicated)?.applyReplica(data, of: client)
      return .nil
    },
    "reload_replicas": { core, parameters in
      (try core.plugin(parameters) as? any Replicated)?.reloadReplicas()
      core.expireMetadataCache()
      return .nil
    },
    "get_statistics": { core, _ in try await core.getStatistics() },
    "metrics": { core, _ in SampleCoding.encode(core.childSamples()) },
    "set_debug": { core, parameters in .bool(core.setDebug(parameters.first?.bool ?? false)) },
    "set_core_debug": { core, parameters in .bool(core.setCoreDebug(parameters.first?.bool ?? false)) },
    "set_fam_debug": { core, parameters in
      core.fileMonitor.isDebugging = parameters.first?.bool ?? false
      return .nil
    },
    "settings": { core, parameters in
      let fresh = try ChildSettings.decode(parameters.first ?? .nil)
      core.settingsChanged(fresh.adapted(to: core.settings).settings)
      return .nil
    },
    "rescan": { core, _ in
      core.fileMonitor.rescan()
      return .nil
    },
  ]

  private let channel: RPCChannel

  override var name: String { "ChildCore" }
  override var isChild: Bool { true }
  /// Whether the core, the file monitor or any plugin has debugging on.
  var isDebuggingAnything: Bool {
    isDebugging || fileMonitor.isDebugging || plugins.values.contains(where: \.isDebugging)
  }

  init(
    channel: RPCChannel, settings: Settings, loop: Reactor, fileMonitor: any FileMonitor,
    resolver: any AddressResolver, registry: PluginRegistry
  ) {
    self.channel = channel
    super.init(settings: settings, loop: loop, fileMonitor: fileMonitor, resolver: resolver, registry: registry)
  }

  /// Reads the repository and applies the parent's debug state.
  ///
  /// - Parameter value: the parameter of the parent's first call.
  func start(_ value: Value) async throws {
    try loadPlugins()
    limitAnswerCache()
    for plugin in interfaces.threaded where !(plugin is any Statistics) { try await plugin.startThreads() }
    await beginDatabase()
    await updateRevisionIfNeeded()
    if let flag = value["core_debug"]?.bool, flag != isDebugging { setCoreDebug(flag) }
    if let flag = value["fam_debug"]?.bool { fileMonitor.isDebugging = flag }
    for member in value["plugin_debug"]?.members ?? [] {
      if let flag = member.value.bool, let plugin = plugins[member.name], plugin.isDebugging != flag {
        plugin.setDebug(flag)
      }
    }
  }

  /// Executes a frame of the parent. Calls start in order of arrival.
  func receive(_ frame: RPCFrame) {
    switch frame.kind {
    case .call: Task { await call(frame) }
    case .render:
      // The parent knows the request by the number.
      let label = RequestLabel(number: frame.request)
      Task { await RequestScope.labelled(label) { await render(frame) } }
    case .ping: channel.send(.alive)
    default: logger.error("Ignored a frame of kind \(frame.kind), which a parent process never sends")
    }
  }

  /// The client that the parent names; nil for none.
  private static func client(_ value: Value?) throws -> ClientName? {
    try value?.string.map { try ClientName(recorded: $0) }
  }

  private func plugin(_ parameters: [Value]) throws -> Plugin {
    guard let name = parameters.first?.string, let plugin = plugins[name] else {
      throw ParameterError("no such plugin")
    }
    return plugin
  }

  // MARK: Calls

  private func call(_ frame: RPCFrame) async {
    var name = ""
    do {
      let call = try MethodCall.decode(frame.payload, limits: RPCQueue.limits)
      name = call.method
      let value = try await execute(call)
      if frame.request != 0 { channel.send(.value, request: frame.request, MethodResponse.encode(value)) }
    } catch {
      logger.error("\(self.name): \(name): \(error)")
      if frame.request != 0 {
        channel.send(.failure, request: frame.request, ByteSegments(BuildErrorCode.encode(error)))
      }
    }
  }

  private func execute(_ call: MethodCall) async throws -> Value {
    if let method = Self.exposedToParent[call.method] { return try await method(self, call.params) }
    guard let dot = call.method.firstIndex(of: "."), let plugin = plugins[String(call.method[..<dot])] else {
      throw ParameterError("Method \(call.method) is not exposed")
    }
    let method = String(call.method[call.method.index(after: dot)...])
    guard plugin.childRMI.values.contains(method), let remote = plugin.rmi[method] else {
      throw ParameterError("Method \(call.method) is not exposed")
    }
    return try await remote.call(call.params)
  }

  // MARK: Configurations

  private func render(_ frame: RPCFrame) async {
    let name = String(decoding: frame.payload.dropFirst(), as: UTF8.self)
    let build = Build(
      request: frame.request, begunHooks: RenderRequest.HookSet(rawValue: frame.payload.first ?? 0))
    let refused = AtomicFile.refusedWrites
    let changes = ownChanges
    let cost = CallCost()
    let result: Result<(document: ByteSegments, cacheable: CacheableParts?), any Error>
    do {
      // Edits finished before the client's request are in the kernel's queue.
      await waitForHeldEdits()
      fileMonitor.processPending()
      result = .success(
        try await timed("GetConfig") {
          let client = try ClientName(recorded: name)
          try await checkDatabase(client)
          return try await cost.measuring {
            try await Scope.$build.withValue(build) { try await makeAnswer(client) }
          }
        })
    } catch {
      result = .failure(error)
    }
    // A write was refused during this build, perhaps by another one: return it in any case.
    if AtomicFile.refusedWrites != refused {
      channel.send(.refused, request: frame.request)
      return
    }
    if ownChanges != changes { channel.send(.repositoryChanged) }
    switch result {
    case .success(let (document, cacheable)):
      channel.send(.cost, request: frame.request, ByteSegments(cost.encoded))
      if let cacheable { channel.send(.cacheable, request: frame.request, ByteSegments(cacheable.encoded)) }
      channel.send(.configuration, request: frame.request, document)
    case .failure(let error):
      let error = error is DatabaseError ? Fault.failure(textForClients(error)) : error
      channel.send(.failure, request: frame.request, ByteSegments(BuildErrorCode.encode(error)))
    }
  }

  /// Whether the parent caches answers. With hooks of a client's run every request reaches the child, which runs them.
  private var parentCaches: Bool { settings.answerCacheBytes > 0 && !interfaces.hasRunHooks }

  override func settingsChanged(_ settings: Settings) {
    super.settingsChanged(settings)
    limitAnswerCache()
  }

  /// The parent keeps whole answers, the child what they are made of.
  private func limitAnswerCache() { answerCache.keepsAnswers = !parentCaches }

  private func makeAnswer(_ client: ClientName) async throws -> (document: ByteSegments, cacheable: CacheableParts?) {
    guard parentCaches else { return (try await renderConfiguration(client), nil) }
    let made = try await composeConfiguration(client)
    guard made.isCacheable, made.isMade(for: client), made.revision == revision, isCurrent(made) else {
      return (made.document, nil)
    }
    return (made.document, CacheableParts(of: made.document, revision: revision))
  }

  /// Runs a hook once for a request, even if a child dies after it and another one builds again.
  override func clientRunHook(_ stage: ClientRunStage, _ metadata: ClientMetadata) async {
    let plugins = interfaces.clientRunHooks.filter { !($0 is any Metadata) && $0.stages.contains(stage) }
    if let build = Scope.build, !plugins.isEmpty {
      let hooks = RenderRequest.HookSet(stage)
      if build.begunHooks.contains(hooks) {
        // Plugins still have to expire caches that last for one run.
        for case let plugin as any Caching in plugins { plugin.expireCache(key: nil) }
        return
      }
      channel.send(.hooks, request: build.request, ByteSegments([hooks.rawValue]))
      channel.flush()
    }
    await super.clientRunHook(stage, metadata)
  }
}
