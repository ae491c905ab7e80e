public import Identity
import Logging
import OrderedCollections
import Repository
import ServerSettings
public import XMLRPC

// Calls of administrators: methods, statistics, debug state, caches.
extension ServerCore {
  /// The names of the methods that the caller may call, plugins' included.
  public func listMethods(_ caller: Caller) async throws -> Value {
    var names: [Value] = []
    for method in Self.exposedMethods.keys.sorted() where method != "ping" {
      if try await checkACLs(caller, method) { names.append(.string(method)) }
    }
    for method in listedRemoteMethods().sorted() {
      if try await checkACLs(caller, method) { names.append(.string(method)) }
    }
    return .array(names)
  }

  /// Sets debugging of core, plugins and file monitor, and returns the new state.
  @discardableResult
  public func setDebug(_ flag: Bool) -> Bool {
    for plugin in plugins.values { plugin.setDebug(flag) }
    setCoreDebug(flag)
    fileMonitor.isDebugging = flag
    return flag
  }

  /// Sets debugging of the core. While it is on, every log destination accepts debug messages.
  @discardableResult
  public func setCoreDebug(_ flag: Bool) -> Bool {
    isDebugging = flag
    logger.info("Core: debug = \(flag ? "True" : "False")")
    Log.setDebug(flag)
    for (destination, level) in Log.router.levels.sorted(by: { $0.key < $1.key }) {
      logger.debug("Setting \(destination) log handler to \(LogSetup.pythonName(level))")
    }
    return flag
  }

  func setFileMonitorDebug(_ flag: Bool, caller: ClientAddress) -> String {
    logger.warning("Deprecated method set_fam_debug called by \(caller.ip)")
    fileMonitor.isDebugging = flag
    return "This method is deprecated and will be removed in a future release\n\(flag ? "True" : "False")"
  }

  /// Expires the metadata cache of the client of that name. A text that cannot be a client's name has none.
  private func expireMetadataCache(named text: String) {
    guard let client = try? ClientName(recorded: text) else {
      return logger.info("No client can have this name, nothing was expired: \(text)")
    }
    expireMetadataCache(client)
  }

  func expireMetadataCache(hostnames: Value) throws {
    switch hostnames {
    case .nil: expireMetadataCache()
    case .array(let names):
      for name in names { expireMetadataCache(named: try name.pythonName()) }
    case .structure(let members):
      for member in members { expireMetadataCache(named: member.name) }
    case .string(let name):
      // Python iterates over the letters and expires nothing; the caller means that client.
      expireMetadataCache(named: name)
    default: throw ParameterError("'\(hostnames.pythonTypeName)' object is not iterable")
    }
  }
}
