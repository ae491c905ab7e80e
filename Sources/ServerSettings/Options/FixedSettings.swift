/// Why a changed setting waits for a restart. A running server follows all settings that give no reason, at SIGHUP and when
/// bcfg2.conf is edited.
public nonisolated enum RestartReason: String, Sendable, CaseIterable {
  case privileges = "privileges were given up at the start"
  case sockets = "the sockets were bound at the start, with the privileges for it"
  case monitor = "the repository is watched since the start"
  case plugins = "plugins are loaded at the start"
  case data = "data was brought into this form at the start"
  case database = "the database is opened once"
  case core = "the core was made at the start"
  case processes = "the child processes were planned at the start"
}

nonisolated extension Settings {
  /// These settings, but with the running server's values of those that cannot change, and a notice for each of these.
  ///
  /// - Returns: one line without a final period for each that differs.
  package func adapted(to running: Settings) -> (settings: Settings, notices: [String]) {
    var adapted = self
    var notices: [String] = []
    for definition in registry.fixed {
      guard let reason = definition.fixed else { continue }
      let (section, option) = (definition.section, definition.option)
      guard value(section, option)?.value != running.value(section, option)?.value else { continue }
      notices.append(
        "\(origin(of: section, option)): [\(section)] \(option) changes at the next start only: \(reason.rawValue)")
      adapted.table[SettingDefinition.Place(section: section, option: option)] = running.value(section, option)
    }
    adapted.repository = running.repository
    adapted.compatibility = running.compatibility
    return (adapted, notices)
  }
}
