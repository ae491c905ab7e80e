import CLinux
import Glibc
package import ServerSettings
import Templates

extension Settings {
  /// Looks whether renderers can be given to `[templates] user`, by a process of a user that may give up its privileges.
  ///
  /// - Throws: `SettingsError` where that needs root, and the server runs as another user.
  package func requireRendererUser(startedAs user: UInt32 = geteuid()) throws(SettingsError) {
    let own = user == 0 ? self.user : user
    guard own != 0, let wanted = value("templates", "user")?.value.integer, wanted != Int(own) else { return }
    throw wrongValue(
      "templates", "user", value: "\(wanted)",
      allowed: "nothing but the server's own user, \(own): only a server that runs as root can start others' processes")
  }

  /// `[templates] cache_size`; 0 where results are not kept.
  var keptTemplateBytes: Int {
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
