/// The plugins that a core can load, by the names of `[server] plugins`; passed to the core at its creation.
public struct PluginRegistry {
  /// Every loadable plugin.
  public let all: [Plugin.Type]
  /// Former plugins of Bcfg2, removed or merged into others, each with its replacement. Naming one only logs an error.
  public let retired: [String: String]
  /// Plugins of Bcfg2 that this server lacks, each with what clients and administrators miss.
  public let planned: [String: String]
  private let byName: [String: Plugin.Type]

  /// - Parameter all: plugins with distinct names.
  public init(_ all: [Plugin.Type], retired: [String: String] = [:], planned: [String: String] = [:]) {
    self.all = all
    self.retired = retired
    let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    self.byName = byName
    self.planned = planned.filter { byName[$0.key] == nil }
  }

  /// The type of a plugin; nil for an unknown name.
  public func type(named name: String) -> Plugin.Type? { byName[name] }
}
