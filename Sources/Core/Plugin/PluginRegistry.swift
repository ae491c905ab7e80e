/// The plugins that a core can load, by the names of `[server] plugins`. Who makes the core gives it one.
public struct PluginRegistry {
  /// Every plugin that can be loaded.
  public let all: [Plugin.Type]
  /// Plugins that Bcfg2 had and has no more, or that are part of others now: what to use instead. Naming one is an error
  /// in the log and nothing else.
  public let retired: [String: String]
  /// Plugins of Bcfg2 that this server does not have yet: what clients and administrators miss without them.
  public let planned: [String: String]
  private let byName: [String: Plugin.Type]

  /// - Parameter all: no two of them have the same name.
  public init(_ all: [Plugin.Type], retired: [String: String] = [:], planned: [String: String] = [:]) {
    self.all = all
    self.retired = retired
    let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    self.byName = byName
    self.planned = planned.filter { byName[$0.key] == nil }
  }

  /// The type of a plugin; nil for a name that no plugin has.
  public func type(named name: String) -> Plugin.Type? { byName[name] }
}
