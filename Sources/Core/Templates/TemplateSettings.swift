import CLinux
import Glibc
package import ServerSettings
import Templates

extension Settings {
  /// Least `[templates] memory`: with less, Python with its libraries does not start.
  package static let leastRendererBytes = 96 << 20

  /// Looks whether renderers can be started: as `[templates] user`, by a process of a user that may give up its privileges,
  /// and within `memory`.
  ///
  /// - Throws: `SettingsError` where that needs root, and the server runs as another user; where memory is too small.
  package func requireRenderers(startedAs user: UInt32 = geteuid()) throws(SettingsError) {
    if let bytes = value("templates", "memory")?.value.integer, bytes < Self.leastRendererBytes {
      throw wrongValue(
        "templates", "memory", value: "\(bytes)",
        allowed: "\(Self.leastRendererBytes >> 20)m or more: Python does not start with less")
    }
    let own = user == 0 ? self.user : user
    guard own != 0, let wanted = value("templates", "user")?.value.integer, wanted != Int(own) else { return }
    throw wrongValue(
      "templates", "user", value: Accounts.names(of: uid_t(wanted), 0).user,
      allowed: "nothing but the server's own user, \(Accounts.names(of: own, 0).user): only a server that runs as root "
        + "can start others' processes")
  }

  /// `[templates] cache_size`; 0 where results are not kept.
  var templateCacheBytes: Int {
    value("templates", "cache")?.value.text == "never" ? 0 : value("templates", "cache_size")?.value.integer ?? 64 << 20
  }
}

extension RendererSettings {
  /// `[templates]`, and what else of bcfg2.conf templates depend on.
  ///
  /// - Parameter isChild: for a child of the multiprocessing core, which shares the processors with the others.
  init(_ settings: Settings, isChild: Bool) {
    self.init()
    let processors = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    python = settings.value("templates", "python")?.value.text ?? python
    let total = settings.value("templates", "processes")?.value.integer ?? processors
    processes = isChild ? max(1, total / max(1, settings.children ?? processors)) : total
    timeout = settings.value("templates", "timeout")?.value.duration ?? timeout
    memoryBytes = settings.value("templates", "memory")?.value.integer ?? memoryBytes
    isTraced = settings.value("templates", "cache")?.value.text != "never"
    user = settings.value("templates", "user")?.value.integer.map { UInt32($0) }
    group = settings.value("templates", "group")?.value.integer.map { UInt32($0) }
    allowsNetwork = settings.value("templates", "network")?.value.boolean ?? allowsNetwork
    repository = settings.repository
    encoding = settings.encoding
    writesProperties = settings.propertiesWritesEnabled
  }
}
