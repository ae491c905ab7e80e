public import Core
import Formats
import Logging
public import Repository
import ServerSettings
import XMLRPC

/// Configuration files: a folder per entry, the files in it by client and group.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg.
public final class CfgPlugin: GroupSpool<CfgEntrySet>, PullTarget, @MainActor TemplateGenerator {
  public override class var name: String { "Cfg" }

  /// What is taken from bcfg2.conf.
  private(set) var options: Options

  /// What Cfg takes from bcfg2.conf.
  struct Options: Equatable {
    /// How bytes become text, from `[components] encoding`.
    let encoding: TextEncoding
    /// How `.crypt` files are read.
    let encryption: Encryption
    /// The kinds of files that are known, from `[cfg] handlers` and `[server] compatibility`.
    let handlers: Set<CfgHandler>
    /// The most bytes of a file, from `[cfg] max_file_size`.
    let limitBytes: Int

    init(_ settings: Settings) {
      encoding = TextEncoding(settings.encoding)
      encryption = Encryption(settings)
      let all = CfgHandler.all(settings.compatibility)
      handlers =
        settings.value("cfg", "handlers")?.value.list.map {
          Set($0.compactMap(CfgHandler.init(named:))).intersection(all)
        } ?? all
      limitBytes = settings.value("cfg", "max_file_size")?.value.integer ?? 64 << 20
    }
  }

  var encoding: TextEncoding { options.encoding }
  var encryption: Encryption { options.encryption }
  var limitBytes: Int { options.limitBytes }

  public required init(core: ServerCore) throws {
    options = Options(core.settings)
    try super.init(core: core)
    warnOfUnknownHandlers()
  }

  private func warnOfUnknownHandlers() {
    for name in core.settings.value("cfg", "handlers")?.value.list ?? [] where CfgHandler(named: name) == nil {
      logger.error("\(core.settings.origin(of: "cfg", "handlers")): unknown handler \(name) in [cfg] handlers")
    }
  }

  public override func makeEntrySet(name: String, path: String) -> CfgEntrySet {
    CfgEntrySet(name: name, path: path, plugin: self)
  }

  public var hasTemplates: Bool { setsWithTemplates > 0 }

  /// How many entries have a template among their files; each tells of its own.
  var setsWithTemplates = 0

  public func templateRequest(
    tag: String, name: String, realName: String, _ metadata: ClientMetadata
  ) -> TemplateRenderer.Request? {
    guard tag == entryType else { return nil }
    return entrySets[name]?.template(for: metadata)?.request(for: realName)
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
    let new = Options(core.settings)
    guard new != options else { return }
    options = new
    warnOfUnknownHandlers()
    reload()
  }

  /// The text of an option; nil where nobody set it.
  func option(_ section: String, _ option: String) -> String? { core.settings.value(section, option)?.value.text }

  // MARK: PullTarget

  public func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String] {
    try requireEntrySet(entry).acceptChoices(metadata)
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
