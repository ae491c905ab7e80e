import Core
import Repository

/// Gives Path entries the older `perms` beside `mode`, for clients before 1.3.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/POSIXCompat.py.
final class POSIXCompatPlugin: Plugin, GoalValidator {
  override class var name: String { "POSIXCompat" }
  override class var createsFolder: Bool { false }

  var treatsStructuresApart: Bool { true }

  func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) {
    guard metadata.isOlderThan13 else { return }
    for entry in configuration.children.lazy.flatMap(\.children) where entry.tag == "Path" {
      if let mode = entry["mode"] { entry["perms"] = mode }
    }
  }
}
