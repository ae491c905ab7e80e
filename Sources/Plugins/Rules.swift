public import Core
public import Repository
import ServerSettings

/// Rules: literal attributes for abstract entries, from files with priorities.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Rules.py.
public final class RulesPlugin: Plugin, Generator {
  public override class var name: String { "Rules" }

  // Made once the plugin's folder exists, which `super.init` sees to.
  private var rules: PriorityDirectory!
  /// What binds an entry where no template has to be rendered first.
  private var binding: EntryBinder!

  public required init(core: ServerCore) throws {
    try super.init(core: core)
    rules = PriorityDirectory(
      folder: folder, rootTags: ["Rules"], monitor: core.fileMonitor, logger: logger,
      compatibility: core.settings.compatibility, usesRegex: core.settings.rulesRegex,
      replacesName: core.settings.rulesReplaceName, encryption: Encryption(core.settings),
      renderer: core.xmlTemplateRenderer)
    binding = .now { [unowned self] entry, metadata in try rules.bind(entry, metadata) }
  }

  public func binder(tag: String, name: String) -> EntryBinder? {
    guard rules.hasEntry(tag: tag, name: name) else { return nil }
    if rules.hasTemplates {
      return .later { [unowned self] entry, metadata in
        await rules.prepare(metadata)
        try rules.bind(entry, metadata)
      }
    }
    return binding
  }

  public func entryNames(tag: String) -> [String] { rules.entryNames(tag: tag) }

  public func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async -> Bool {
    await rules.prepare(metadata)
    return rules.handles(entry, metadata)
  }

  public func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async throws {
    await rules.prepare(metadata)
    try rules.bind(entry, metadata)
  }

  public override func settingsChanged() {
    super.settingsChanged()
    rules.encryption = Encryption(core.settings)
    rules.usesRegex = core.settings.rulesRegex
    rules.replacesName = core.settings.rulesReplaceName
  }
}
