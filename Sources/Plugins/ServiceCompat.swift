import Core
import Logging
import Repository

/// Gives Service entries the older `mode` for `restart` and `install`, for clients before 1.3.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/ServiceCompat.py.
final class ServiceCompatPlugin: Plugin, GoalValidator {
  override class var name: String { "ServiceCompat" }
  override class var createsFolder: Bool { false }

  var treatsStructuresApart: Bool { true }

  func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) {
    guard metadata.isOlderThan13 else { return }
    configuration.forEachDescendant { entry in
      if entry.tag == "Service" || entry.tag == "BoundService" { entry["mode"] = mode(of: entry, metadata) }
    }
  }

  private func mode(of entry: Element, _ metadata: ClientMetadata) -> String {
    switch ((entry["restart"] ?? "true").lowercased(), (entry["install"] ?? "true").lowercased()) {
    case ("true", "true"): return "default"
    case ("interactive", "true"): return "interactive_only"
    case ("false", "false"): return "manual"
    default:
      logger.info(
        """
        Could not map restart and install settings of \(entry.tag):\(entry.name ?? "None") to an old-style Service mode \
        for \(metadata.hostname); using 'manual'
        """)
      return "manual"
    }
  }
}
