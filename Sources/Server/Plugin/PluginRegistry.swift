/// The plugins that exist, by the names of `[server] plugins`.
///
/// A plugin joins the server by one line in `all`.
public enum PluginRegistry {
  /// Every plugin that can be loaded.
  public static let all: [Plugin.Type] = [
    ACLPlugin.self,
    BasePlugin.self,
    BundlerPlugin.self,
    BzrPlugin.self,
    CfgPlugin.self,
    CvsPlugin.self,
    DarcsPlugin.self,
    DecisionsPlugin.self,
    DefaultsPlugin.self,
    DepsPlugin.self,
    FileProbesPlugin.self,
    FossilPlugin.self,
    GitPlugin.self,
    GroupLogicPlugin.self,
    GroupPatternsPlugin.self,
    GuppyPlugin.self,
    HgPlugin.self,
    MetadataPlugin.self,
    NagiosGenPlugin.self,
    OhaiPlugin.self,
    PkgmgrPlugin.self,
    POSIXCompatPlugin.self,
    ProbesPlugin.self,
    PropertiesPlugin.self,
    PuppetENCPlugin.self,
    RulesPlugin.self,
    SEModulesPlugin.self,
    ServiceCompatPlugin.self,
    SSHbasePlugin.self,
    SSLCAPlugin.self,
    SvnPlugin.self,
    TriggerPlugin.self,
  ]

  private static let byName: [String: Plugin.Type] = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// The type of a plugin; nil for a name that no plugin has.
  public static func type(named name: String) -> Plugin.Type? { byName[name] }
}
