import EventLoop
public import Logging
public import ServerSettings
public import XMLRPC

/// The base of every plugin: a name, a folder of the repository, a logger, and methods that administrators may call.
///
/// A plugin class also conforms to the interfaces (`Generator`, `Structure`, `Connector` ...) of what it does; the core
/// finds it by them. It reaches other plugins only through the core's interfaces.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/base.py.
open class Plugin {
  /// The name in `[server] plugins`, of the folder in the repository and in RMI names.
  open class var name: String { fatalError("\(self) must name itself") }
  /// True: loading it is logged, its interfaces may change.
  open class var isExperimental: Bool { false }
  /// True: loading it is logged, it will be removed.
  open class var isDeprecated: Bool { false }
  /// Names of plugins that are unloaded when this one is loaded after them.
  open class var conflicts: [String] { [] }
  /// True: the plugin's folder is created where it does not exist.
  open class var createsFolder: Bool { true }
  /// The options of bcfg2.conf that the plugin reads. They are known, and their values are checked, whether or not the
  /// plugin is loaded.
  open class var options: any OptionGroup { NoOptions() }

  /// Plugins of one interface are asked in ascending order of this, then of their names.
  open var sortOrder: Int { 500 }

  /// The core that loaded the plugin; it outlives it.
  public final unowned let core: ServerCore
  public final let logger: Logger
  /// The plugin's folder: `<repository>/<name>`.
  public final let folder: String
  /// State of the `toggle_debug`, `set_debug` family.
  public final private(set) var isDebugging: Bool

  public var name: String { type(of: self).name }

  /// Creates the plugin, whose folder exists. A subclass makes its state here, and leaves what needs `self` to `load`.
  public required init(_ context: PluginContext) {
    core = context.core
    folder = context.folder
    logger = context.logger
    isDebugging = context.core.isDebugging
  }

  /// Reads the repository and begins to watch it. The core calls it once, after `init`.
  ///
  /// - Throws: `PluginInitError` if the plugin cannot work; the server then runs without it.
  open func load() throws {}

  /// The methods that the plugin exposes over XML-RPC as `NAME.method`. A subclass adds its own to `super.rmi`.
  open var rmi: [String: RemoteMethod] {
    [
      "toggle_debug": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "toggle_debug")
        return .bool(setDebug(!isDebugging))
      },
      // The answer is what was sent, as Bcfg2's is.
      "set_debug": RemoteMethod { [unowned self] arguments in
        try arguments.require(1, of: "set_debug")
        setDebug(arguments[0].isTruthy)
        return arguments[0]
      },
    ]
  }

  /// Methods of `rmi` that the multiprocessing core forwards to its children, with the method to call there: Bcfg2's
  /// `__child_rmi__`.
  open var childRMI: [String: String] { ["toggle_debug": "toggle_debug", "set_debug": "set_debug"] }

  /// Turns debug messages of this plugin on or off. Returns the new state.
  @discardableResult
  open func setDebug(_ flag: Bool) -> Bool {
    isDebugging = flag
    debugLog("\(name): debug = \(flag ? "True" : "False")", force: true)
    return flag
  }

  /// Logs if debugging is on, at error level as in Bcfg2, so that every log level shows it.
  public func debugLog(_ message: @autoclosure () -> String, force: Bool = false) {
    if isDebugging || force { logger.error("\(message())") }
  }

  /// Runs once, when the core shuts down.
  open func shutdown() {
    debugLog("Shutting down \(name) plugin")
  }

  /// Whether answers to a client may be cached until files, settings or the client's own data change.
  ///
  /// Return false if what the plugin adds to this client's metadata or configuration depends on more: a program, a name
  /// server, the time, other clients. If only some entries do, call `ClientMetadata.markUncacheable` while they are made.
  open func allowsCaching(for metadata: ClientMetadata) -> Bool { true }

  /// True: the plugin calls `ServerCore.clientChanged` and `repositoryChanged` when probe data or a watched file differs
  /// from before. False: each upload and each event of a watched file counts as a change.
  open var reportsChanges: Bool { false }

  /// Called when settings may have changed (SIGHUP, or bcfg2.conf was edited). Read again what was stored from them.
  open func settingsChanged() {}
}

/// The parameters of a plugin's `init`.
public struct PluginContext {
  /// The core that loads the plugin.
  public unowned let core: ServerCore
  /// The plugin's folder: `<repository>/<name>`.
  public let folder: String
  public let logger: Logger

  /// Creates the plugin's folder if it does not exist and the type wants one.
  ///
  /// - Throws: `SystemError` if it cannot be created.
  init(_ type: Plugin.Type, _ core: ServerCore) throws {
    self.core = core
    logger = core.makePluginLogger(type.name)
    folder = core.settings.repository + "/" + type.name
    // A child of the multiprocessing core never writes: its parent has created the folder, or it is missing.
    guard type.createsFolder, !core.isChild, !fileExists(folder) else { return }
    logger.warning("\(type.name): \(folder) does not exist, creating")
    try makeFolders(folder)
  }
}

/// A method that a plugin or the file monitor exposes over XML-RPC. The caller's address is not passed.
public struct RemoteMethod {
  /// Whether `listMethods` names it. Methods that Bcfg2 does not have are left out: programs compare
  /// the list.
  public let isListed: Bool
  /// Called with the parameters of the call.
  public let call: @MainActor ([Value]) async throws -> Value

  public init(isListed: Bool = true, _ call: @escaping @MainActor ([Value]) async throws -> Value) {
    self.isListed = isListed
    self.call = call
  }
}

/// The parameters of a call do not fit its method. Shown to the caller as a fault of code 1.
public struct ParameterError: Error, CustomStringConvertible {
  public let description: String
  public init(_ message: String) { description = message }
}

extension [Value] {
  /// Checks the number of parameters of a plugin's or the file monitor's method.
  ///
  /// - Throws: `ParameterError` in the words of the Python server, which counts the object itself.
  public func require(_ expected: Int, of method: String) throws {
    guard count != expected else { return }
    let noun = expected == 0 ? "argument" : "arguments"
    throw ParameterError("\(method)() takes exactly \(expected + 1) \(noun) (\(count + 1) given)")
  }
}
