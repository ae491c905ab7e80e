/// Gives Path entries the older `perms` beside `mode`, for clients before 1.3.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/POSIXCompat.py.
final class POSIXCompatPlugin: Plugin, GoalValidator {
  override class var name: String { "POSIXCompat" }
  override class var createsFolder: Bool { false }

  func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) {
    guard metadata.isOlderThan13 else { return }
    for entry in configuration.children.lazy.flatMap(\.children) where entry.tag == "Path" {
      if let mode = entry["mode"] { entry["perms"] = mode }
    }
  }
}

extension ClientMetadata {
  /// True for clients that declared a version before every 1.3.0, its pre-releases included, or none.
  var isOlderThan13: Bool {
    guard let first = Bcfg2Version("1.3.0a0") else { preconditionFailure("1.3.0a0 is a version") }
    return versionInfo.map { $0 < first } ?? true
  }
}
