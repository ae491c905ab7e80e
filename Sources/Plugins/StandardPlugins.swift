public import Core

extension PluginRegistry {
  /// The plugins of this server. A plugin joins it by one line here.
  public static let standard = PluginRegistry(
    [
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
      TCheetahPlugin.self,
      TemplateHelperPlugin.self,
      TGenshiPlugin.self,
      TriggerPlugin.self,
    ], retired: retiredPlugins, planned: plannedPlugins,
    plannedOptions: [PlannedOptions.standard, PackagesOptions.standard])
}
