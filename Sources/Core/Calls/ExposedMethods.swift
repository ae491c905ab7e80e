import Identity
import Logging
import OrderedCollections
import Repository
import XMLRPC

/// A method of the core that clients and administrators may call.
struct ExposedMethod {
  /// The text that `methodHelp` returns.
  let help: String
  /// Number of parameters, without the caller.
  let parameters: ClosedRange<Int>
  /// Whether the arguments may be documents, bounded by the request's budget alone. Arguments of other methods are
  /// names and versions, bounded by `HTTPLimits.argumentBytes`.
  let takesDocuments: Bool
  let call: @MainActor (ServerCore, Caller, [Value]) async throws -> Value

  init(
    _ parameters: ClosedRange<Int>, takesDocuments: Bool = false, _ help: String,
    _ call: @escaping @MainActor (ServerCore, Caller, [Value]) async throws -> Value
  ) {
    self.parameters = parameters
    self.takesDocuments = takesDocuments
    self.help = help
    self.call = call
  }
}

extension ServerCore {
  /// The core's exposed methods by wire name. `remoteMethods` has those of plugins and the file monitor.
  static let exposedMethods: [String: ExposedMethod] = [
    "AssertProfile": ExposedMethod(1...1, "Sets the profile of the calling client. Answers true.") {
      try await $0.assertProfile($1, $2[0].pythonName())
    },
    "DeclareVersion": ExposedMethod(1...1, "Records the version of the calling client. Answers true.") {
      guard case .string(let version) = $2[0] else {
        throw ParameterError("Argument must be bytes or unicode, got '\($2[0].pythonTypeName)'")
      }
      return try await $0.declareVersion($1, version)
    },
    "GetProbes": ExposedMethod(0...0, "Answers the probes of the calling client, as an XML document.") {
      core, caller, _ in
      try await core.getProbes(caller)
    },
    "RecvProbeData": ExposedMethod(
      1...1, takesDocuments: true, "Takes the output of probes, as an XML document. Answers true."
    ) {
      try await $0.recvProbeData($1, $2[0].pythonText())
    },
    "GetConfig": ExposedMethod(0...0, "Answers the configuration of the calling client, as an XML document.") {
      core, caller, _ in try await core.getConfig(caller)
    },
    "RecvStats": ExposedMethod(
      1...1, takesDocuments: true, "Takes the statistics of a client run, as an XML document. Answers true."
    ) {
      try await $0.recvStats($1, $2[0].pythonText())
    },
    "GetDecisionList": ExposedMethod(
      1...1, "Answers pairs of entry type and entry name for a mode, whitelist or blacklist."
    ) { core, caller, parameters in
      let mode: String = if case .string(let text) = parameters[0] { text } else { "" }
      return try await core.getDecisionList(caller, mode: mode)
    },
    "listMethods": ExposedMethod(0...0, "Answers the names of the methods that the caller may call.") {
      core, caller, _ in try await core.listMethods(caller)
    },
    "methodHelp": ExposedMethod(1...1, "Answers what a method does, by its name.") { core, _, parameters in
      guard case .string(let method) = parameters[0] else {
        throw ParameterError("getattr(): attribute name must be string")
      }
      // Python's server has ping, but not as one of the core's methods.
      return .string(method == "ping" ? "" : ServerCore.exposedMethods[method]?.help ?? "")
    },
    "get_statistics": ExposedMethod(
      0...0, "Answers execution times by name: minimum, maximum, mean in seconds, and count."
    ) { core, _, _ in
      .structure((try await core.getStatistics().members ?? []) + core.troubleStatistics)
    },
    "toggle_debug": ExposedMethod(0...0, "Turns debugging of core, plugins and file monitor on or off.") { core, _, _ in
      .bool(core.setDebug(!core.isDebugging))
    },
    "set_debug": ExposedMethod(1...1, "Sets debugging of core, plugins and file monitor.") {
      .bool($0.setDebug(try $2[0].debugFlag()))
    },
    "toggle_core_debug": ExposedMethod(0...0, "Turns debugging of the core on or off.") { core, _, _ in
      .bool(core.setCoreDebug(!core.isDebugging))
    },
    "set_core_debug": ExposedMethod(1...1, "Sets debugging of the core.") {
      .bool($0.setCoreDebug(try $2[0].debugFlag()))
    },
    "toggle_fam_debug": ExposedMethod(0...0, "Turns debugging of the file monitor on or off. Deprecated.") {
      core, caller, _ in .string(core.setFileMonitorDebug(!core.fileMonitor.isDebugging, caller: caller.address))
    },
    "set_fam_debug": ExposedMethod(1...1, "Sets debugging of the file monitor. Deprecated.") {
      .string($0.setFileMonitorDebug(try $2[0].debugFlag(), caller: $1.address))
    },
    "expire_metadata_cache": ExposedMethod(
      0...1, "Forgets cached metadata of the clients named in a list, or of all."
    ) { core, _, parameters in
      try core.expireMetadataCache(hostnames: parameters.first ?? .nil)
      return .nil
    },
    "ping": ExposedMethod(0...Int.max, takesDocuments: true, "Answers its parameters, after the caller's address.") {
      core, caller, parameters in
      let address = caller.address
      let pair: Value = .array([.string(address.ip), .int(Int64(address.port))])
      core.logger.info("ping(('\(address.ip)', \(address.port))) with \(parameters.count) parameters")
      return .array([pair] + parameters)
    },
  ]

  /// The methods of plugins and of the file monitor, `Plugin.method`.
  package func remoteMethods() -> [String: RemoteMethod] {
    var methods: [String: RemoteMethod] = [:]
    for (method, call) in fileMonitorMethods() { methods["\(fileMonitor.name).\(method)"] = call }
    for plugin in plugins.values {
      for (method, call) in plugin.rmi { methods["\(plugin.name).\(method)"] = call }
    }
    return methods
  }

  /// The names that the lists of methods include.
  func listedRemoteMethods() -> [String] { remoteMethods().filter { $0.value.isListed }.map(\.key) }

  private func fileMonitorMethods() -> [String: RemoteMethod] {
    let monitor = fileMonitor
    var methods: [String: RemoteMethod] = [
      "toggle_debug": RemoteMethod { arguments in
        try arguments.require(0, of: "toggle_debug")
        monitor.isDebugging.toggle()
        return .bool(monitor.isDebugging)
      },
      "set_debug": RemoteMethod { arguments in
        try arguments.require(1, of: "set_debug")
        monitor.isDebugging = arguments[0].isTruthy
        return arguments[0]
      },
      "list_event_handlers": RemoteMethod { arguments in
        try arguments.require(0, of: "list_event_handlers")
        return .structure(monitor.listEventHandlers().map { Value.Member($0.path, .string($0.handler)) })
      },
    ]
    guard monitor.name == "Inotify" else { return methods }
    methods["list_watches"] = RemoteMethod { arguments in
      try arguments.require(0, of: "list_watches")
      return .array(monitor.listWatches().map { .string($0) })
    }
    methods["list_paths"] = RemoteMethod { arguments in
      try arguments.require(0, of: "list_paths")
      return .array(monitor.listPaths().map { .string($0) })
    }
    return methods
  }
}
