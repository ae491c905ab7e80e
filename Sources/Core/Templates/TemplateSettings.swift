import CLinux
import Glibc
package import ServerSettings
import Templates

extension Settings {
  /// Least `[templates] memory`: with less, Python with its libraries does not start.
  package static let leastRendererBytes = 96 << 20

  /// Looks whether renderers can be started: as `[templates] user`, by a process of a user that may give up its privileges,
  /// and within `memory`. A group goes with a user.
  ///
  /// - Throws: `SettingsError` where that needs root, and the server runs as another user; where memory is too small; where a group has no user.
  package func requireRenderers(startedAs user: UInt32 = geteuid()) throws(SettingsError) {
    let options = TemplateOptions.standard
    let bytes = self[options.memoryBytes]
    guard bytes >= Self.leastRendererBytes else {
      throw wrongValue(
        options.memoryBytes, value: "\(bytes)",
        allowed: "\(Self.leastRendererBytes >> 20)m or more: Python does not start with less")
    }
    let own = user == 0 ? self.user : user
    guard let wanted = self[options.user] else {
      guard let group = self[options.group] else { return }
      throw wrongValue(
        options.group, value: Accounts.names(of: 0, group).group,
        allowed: "nothing without [templates] user: renderers that run as the server's user keep its group")
    }
    guard own != 0, wanted != own else { return }
    throw wrongValue(
      options.user, value: Accounts.names(of: uid_t(wanted), 0).user,
      allowed: "nothing but the server's own user, \(Accounts.names(of: own, 0).user): only a server that runs as root "
        + "can start others' processes")
  }

  /// `[templates] cache_size`; 0 where results are not kept.
  var templateCacheBytes: Int {
    self[TemplateOptions.standard.caching] == .never ? 0 : self[TemplateOptions.standard.cacheBytes]
  }
}

extension RendererSettings {
  /// `[templates]`, and what else of bcfg2.conf templates depend on.
  ///
  /// - Parameter isChild: for a child of the multiprocessing core, which shares the processors with the others.
  init(_ settings: Settings, isChild: Bool) {
    let options = TemplateOptions.standard
    let processors = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let total = settings[options.processes] ?? processors
    self.init(
      python: settings[options.python],
      processes: isChild ? max(1, total / max(1, settings.children ?? processors)) : total,
      timeout: settings[options.timeout], memoryBytes: settings[options.memoryBytes],
      isTraced: settings[options.caching] == .traced, user: settings[options.user], group: settings[options.group],
      allowsNetwork: settings[options.allowsNetwork], repository: settings.repository, encoding: settings.encoding,
      writesProperties: settings[options.writesProperties])
  }
}
