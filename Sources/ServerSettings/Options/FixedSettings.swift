/// Settings that hold from the start of a server to its end, and why.
///
/// Everything else is taken at SIGHUP, and when bcfg2.conf is edited.
nonisolated extension Settings {
  /// Why a changed setting waits for a restart.
  public enum RestartReason: String, Sendable, CaseIterable {
    case privileges = "privileges were given up at the start"
    case sockets = "the sockets were bound at the start, with the privileges for it"
    case monitor = "the repository is watched since the start"
    case plugins = "plugins are loaded at the start"
    case data = "data was brought into this form at the start"
    case processes = "the child processes were planned at the start"
  }

  /// Section, option and reason of each, in the order of the registry.
  public static let fixed: [(section: String, option: String, reason: RestartReason)] = [
    ("server", "repository", .monitor),
    ("server", "plugins", .plugins),
    ("server", "filemonitor", .monitor),
    ("server", "fam_blocking", .monitor),
    ("server", "ignore_files", .monitor),
    ("server", "listen_all", .sockets),
    ("server", "backend", .processes),
    ("server", "children", .processes),
    ("server", "child_timeout", .processes),
    ("server", "user", .privileges),
    ("server", "group", .privileges),
    ("server", "vcs_root", .plugins),
    ("server", "compatibility", .plugins),
    ("components", "bcfg2", .sockets),
    ("metadata", "use_database", .plugins),
    ("probes", "use_database", .plugins),
    ("probes", "layout", .data),
  ]

  /// These settings, with those that cannot change as they are in a running server, and what is to be said of them.
  ///
  /// - Returns: one line without a final period for each that differs.
  package func adapted(to running: Settings) -> (settings: Settings, notices: [String]) {
    var adapted = self
    var notices: [String] = []
    for (section, option, reason) in Self.fixed {
      guard value(section, option)?.value != running.value(section, option)?.value else { continue }
      let place = SettingDefinition.Place(section: section, option: option)
      notices.append(
        "\(origin(of: section, option)): [\(section)] \(option) changes at the next start only: \(reason.rawValue)")
      adapted.table[place] = running.value(section, option)
    }
    adapted.repository = running.repository
    adapted.plugins = running.plugins
    adapted.fileMonitor = running.fileMonitor
    adapted.isFileMonitorBlocking = running.isFileMonitorBlocking
    adapted.ignoredFiles = running.ignoredFiles
    adapted.listensOnAll = running.listensOnAll
    adapted.backend = running.backend
    adapted.children = running.children
    adapted.user = running.user
    adapted.group = running.group
    adapted.versionControlRoot = running.versionControlRoot
    adapted.compatibility = running.compatibility
    adapted.location = running.location
    adapted.metadataUsesDatabase = running.metadataUsesDatabase
    adapted.probesUseDatabase = running.probesUseDatabase
    adapted.probesLayout = running.probesLayout
    return (adapted, notices)
  }
}
