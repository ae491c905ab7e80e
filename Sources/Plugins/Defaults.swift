public import Core
public import Repository
import ServerSettings

/// Defaults: attributes for entries that are already bound, of whichever generator, where they have none of that name.
///
/// Files are as those of Rules, and names are always regular expressions.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Defaults.py.
public final class DefaultsPlugin: Plugin, GoalValidator {
  public override class var name: String { "Defaults" }

  // Made once the plugin's folder exists, which `super.init` sees to.
  private var defaults: PriorityDirectory!

  public required init(core: ServerCore) throws {
    try super.init(core: core)
    defaults = PriorityDirectory(
      folder: folder, rootTags: ["Defaults", "Rules"], monitor: core.fileMonitor, logger: logger,
      compatibility: core.settings.compatibility, usesRegex: true,
      replacesName: core.settings.defaultsReplaceName, encryption: Encryption(core.settings),
      renderer: core.xmlTemplateRenderer)
  }

  public func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) async {
    await defaults.prepare(metadata)
    for structure in configuration.children {
      for entry in structure.children {
        do {
          try defaults.bind(entry, metadata)
        } catch {
          // No defaults for the entry, which is most entries; or several of one priority, which `bind` has logged.
          continue
        }
      }
    }
  }

  public override func settingsChanged() {
    super.settingsChanged()
    defaults.encryption = Encryption(core.settings)
    defaults.replacesName = core.settings.defaultsReplaceName
  }
}
