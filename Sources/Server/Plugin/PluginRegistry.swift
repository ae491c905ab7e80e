/// The plugins that exist, by the names of `[server] plugins`.
///
/// A plugin joins the server by one line in `all`.
public enum PluginRegistry {
  /// Every plugin that can be loaded.
  public static let all: [Plugin.Type] = [
    ACLPlugin.self,
    BundlerPlugin.self,
    CfgPlugin.self,
    DefaultsPlugin.self,
    MetadataPlugin.self,
    ProbesPlugin.self,
    PropertiesPlugin.self,
    RulesPlugin.self,
  ]

  private static let byName: [String: Plugin.Type] = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// The type of a plugin; nil for a name that no plugin has.
  public static func type(named name: String) -> Plugin.Type? { byName[name] }
}
