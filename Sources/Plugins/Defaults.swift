public import Core
public import Repository
public import ServerSettings

/// Defaults: adds attributes to bound entries that lack them, whichever generator bound them.
///
/// Files are as those of Rules, and names are always regular expressions.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Defaults.py.
public final class DefaultsPlugin: Plugin, GoalValidator, SourceTelling {
  public override class var name: String { "Defaults" }
  public override class var options: any OptionGroup { DefaultsOptions.standard }

  public var treatsStructuresApart: Bool { true }

  private let defaults: PriorityDirectory

  public required init(_ context: PluginContext) {
    let (core, settings) = (context.core, context.core.settings)
    defaults = PriorityDirectory(
      folder: context.folder, rootTags: ["Defaults", "Rules"], monitor: core.fileMonitor, logger: context.logger,
      compatibility: settings.compatibility, usesRegex: true,
      replacesName: settings[DefaultsOptions.standard.replacesName], encryption: Encryption(settings),
      renderer: core.xmlTemplateRenderer)
    super.init(context)
  }

  public func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) async {
    await defaults.prepare(metadata)
    for structure in configuration.children {
      for entry in structure.children {
        do {
          try defaults.bind(entry, metadata)
        } catch {
          // Most entries have no defaults. Several of one priority are none either; `bind` has logged that.
          continue
        }
      }
    }
  }

  package func sources(of entry: Element, _ metadata: ClientMetadata) async -> [BindingSource] {
    await defaults.prepare(metadata)
    return defaults.sources(of: entry, metadata, kind: "default")
  }

  public override func settingsChanged() {
    super.settingsChanged()
    defaults.encryption = Encryption(core.settings)
    defaults.replacesName = core.settings[DefaultsOptions.standard.replacesName]
  }
}

/// `[defaults]`.
nonisolated struct DefaultsOptions: OptionGroup {
  static let standard = DefaultsOptions()

  let replacesName = Option(
    "defaults", "replace_name", .boolean, default: "false", .only1_4,
    help: "Replace %{name} in attributes set by Defaults")
}
