public import Core
import Formats
import Logging
public import Repository
public import ServerSettings
import XMLRPC

/// Configuration files: a folder per entry, the files in it by client and group.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg.
public final class CfgPlugin: GroupSpool<CfgEntrySet>, PullTarget, @MainActor TemplateGenerator {
  public override class var name: String { "Cfg" }
  public override class var options: any OptionGroup { CfgOptions.standard }

  public override var concernsReadersAlone: Bool { true }

  private(set) var rules: FileRules

  /// How files of Cfg are read, by bcfg2.conf: where that changes, all are read again.
  struct FileRules: Equatable {
    /// How bytes become text, from `[components] encoding`.
    let encoding: TextEncoding
    /// How `.crypt` files are read.
    let encryption: Encryption
    /// The kinds of files that are known, from `[cfg] handlers` and `[server] compatibility`.
    let handlers: Set<CfgHandler>
    /// The most bytes of a file, from `[cfg] max_file_size`.
    let limitBytes: Int
    /// Whether tests of files are run, from `[cfg] validation`.
    let validates: Bool

    init(_ settings: Settings) {
      encoding = TextEncoding(settings.encoding)
      encryption = Encryption(settings)
      let all = CfgHandler.all(settings.compatibility)
      handlers =
        settings[CfgOptions.standard.handlers].map {
          Set($0.compactMap(CfgHandler.init(named:))).intersection(all)
        } ?? all
      limitBytes = settings[CfgOptions.standard.fileBytes]
      validates = settings[CfgOptions.standard.validates]
    }
  }

  var encoding: TextEncoding { rules.encoding }
  var encryption: Encryption { rules.encryption }
  public var limitBytes: Int { rules.limitBytes }

  public required init(_ context: PluginContext) {
    rules = FileRules(context.core.settings)
    super.init(context)
  }

  public override func load() throws {
    try super.load()
    warnOfUnknownHandlers()
  }

  private func warnOfUnknownHandlers() {
    let option = CfgOptions.standard.handlers
    for name in core.settings[option] ?? [] where CfgHandler(named: name) == nil {
      logger.error("\(core.settings.origin(of: option)): unknown handler \(name) in [cfg] handlers")
    }
  }

  public override func makeEntrySet(name: String, path: String) -> CfgEntrySet {
    CfgEntrySet(name: name, path: path, plugin: self)
  }

  public var hasTemplates: Bool { setsWithTemplates > 0 }

  /// How many entries have a template among their files. The entry sets keep count.
  var setsWithTemplates = 0
  /// The same of those that read structure files which may be templates.
  var setsThatReadTemplates = 0

  public func templateRequest(
    tag: String, name: String, realName: String, _ metadata: ClientMetadata
  ) -> TemplateRenderer.Request? {
    guard tag == entryType else { return nil }
    return entrySets[name]?.template(for: metadata)?.request(for: realName)
  }

  public func structureFiles(tag: String, name: String, _ metadata: ClientMetadata) -> [StructFile] {
    guard setsThatReadTemplates > 0, tag == entryType else { return [] }
    return entrySets[name]?.structureFiles(for: metadata) ?? []
  }

  public func templateRequest(path: String) -> TemplateRenderer.Request? {
    for (name, set) in entrySets {
      if let file = set.generators.first(where: { $0.path == path }) as? CfgTemplateFile {
        return file.request(for: name)
      }
    }
    return nil
  }

  public override func settingsChanged() {
    super.settingsChanged()
    let new = FileRules(core.settings)
    guard new != rules else { return }
    rules = new
    warnOfUnknownHandlers()
    reload()
  }

  // MARK: PullTarget

  public func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String] {
    try requireEntrySet(entry).acceptChoices(entry, metadata)
  }

  public func acceptPullData(specificTo path: String, _ entry: Element) async throws {
    try await requireEntrySet(entry).write(entry, to: path)
    core.fileMonitor.processPending()
  }

  private func requireEntrySet(_ entry: Element) throws -> CfgEntrySet {
    guard let name = entry.name, let set = entrySets[name] else {
      throw PluginExecutionError("No base file found for \(entry.name ?? "None")")
    }
    return set
  }
}
