public import Core
public import Repository
public import ServerSettings

/// Rules: literal attributes for abstract entries, from files with priorities.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Rules.py.
public final class RulesPlugin: Plugin, Generator, SourceTelling {
  public override class var name: String { "Rules" }
  public override class var options: any OptionGroup { RulesOptions.standard }

  private let rules: PriorityDirectory
  /// What binds an entry where no template has to be rendered first.
  private let binding: EntryBinder

  public required init(_ context: PluginContext) {
    let (core, settings) = (context.core, context.core.settings)
    rules = PriorityDirectory(
      folder: context.folder, rootTags: ["Rules"], monitor: core.fileMonitor, logger: context.logger,
      compatibility: settings.compatibility, usesRegex: settings[RulesOptions.standard.usesRegex],
      replacesName: settings[RulesOptions.standard.replacesName], encryption: Encryption(settings),
      renderer: core.xmlTemplateRenderer, entryInputs: core.entryInputs)
    binding = .now { [unowned rules] entry, metadata in try rules.bind(entry, metadata) }
    super.init(context)
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

  public var entryTags: [String] { rules.entryTags }

  /// The files of all rules, by path.
  package var files: [StructFile] { rules.files }

  public func entryNames(tag: String) -> [String] { rules.entryNames(tag: tag) }

  public func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async -> Bool {
    await rules.prepare(metadata)
    return rules.handles(entry, metadata)
  }

  public func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async throws {
    await rules.prepare(metadata)
    try rules.bind(entry, metadata)
  }

  package func sources(of entry: Element, _ metadata: ClientMetadata) async -> [BindingSource] {
    await rules.prepare(metadata)
    return rules.sources(of: entry, metadata, kind: "rule")
  }

  public override func settingsChanged() {
    super.settingsChanged()
    rules.encryption = Encryption(core.settings)
    rules.usesRegex = core.settings[RulesOptions.standard.usesRegex]
    rules.replacesName = core.settings[RulesOptions.standard.replacesName]
  }
}

/// `[rules]`.
nonisolated struct RulesOptions: OptionGroup {
  static let standard = RulesOptions()

  let usesRegex = Option(
    "rules", "regex", .boolean, default: "false", help: "Read names in Rules as regular expressions")
  let replacesName = Option(
    "rules", "replace_name", .boolean, default: "false", .only1_4, help: "Replace %{name} in attributes set by Rules")
}
