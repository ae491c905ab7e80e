import Core
import Formats
import Logging
import Repository
import ServerSettings
import Templates
import XMLRPC

/// A template of a folder of TGenshi or TCheetah.
final class LegacyTemplateFile: SpecificData {
  /// The kind of template, from its name.
  fileprivate(set) var kind: TemplateJob.Kind?
  /// Set once the file has been read.
  private(set) lazy var source = TemplateSource(path: path, kind: kind ?? .genshi)

  override func index() {
    if let data { source.update(data) }
  }
}

/// The folder of one entry of TGenshi or TCheetah: `template` files by group and client, and info.xml.
final class LegacyTemplateSet: EntrySet {
  private unowned let plugin: GroupSpool<LegacyTemplateSet>
  /// Endings of template files, with the kinds that they mean.
  private let kinds: [(ending: String, kind: TemplateJob.Kind)]

  init(path: String, plugin: GroupSpool<LegacyTemplateSet>, kinds: [(ending: String, kind: TemplateJob.Kind)]) {
    self.plugin = plugin
    self.kinds = kinds
    let core = plugin.core
    super.init(
      baseName: "template", folder: path, defaults: Self.defaults(core.settings),
      compatibility: core.settings.compatibility, monitor: core.fileMonitor, logger: plugin.logger
    ) { [logger = plugin.logger] path, specificity in
      let file = LegacyTemplateFile(path: path, specificity: specificity, logger: logger)
      let name = RepositoryPath.name(of: path)
      file.kind = kinds.first { Specificity(fileName: name, baseName: "template" + $0.ending) != nil }?.kind
      return file
    }
    renderer = { [unowned core] in core.xmlTemplateRenderer }
  }

  /// The defaults of 1.3, since only 1.3 has these plugins.
  private static func defaults(_ settings: Settings) -> Settings.PathDefaults {
    var defaults = settings.pathDefaults
    if settings.origin(of: "mdata", "important") == .builtIn { defaults.important = "False" }
    return defaults
  }

  /// `template.newtxt.G10_group`: the group comes last.
  override func specificity(ofFileNamed name: String) -> Specificity? {
    kinds.lazy.compactMap { Specificity(fileName: name, baseName: self.baseName + $0.ending) }.first
  }

  override var binder: EntryBinder { .later { [self] in try await bind($0, $1) } }

  /// How an entry is rendered for a client.
  func request(for name: String, _ metadata: ClientMetadata) -> TemplateRenderer.Request? {
    (matching(metadata).first as? LegacyTemplateFile).flatMap { request(for: name, $0) }
  }

  /// How a file is rendered.
  func request(for name: String, path: String) -> TemplateRenderer.Request? {
    (entries.values.first { $0.path == path } as? LegacyTemplateFile).flatMap { request(for: name, $0) }
  }

  private func request(for name: String, _ file: LegacyTemplateFile) -> TemplateRenderer.Request? {
    guard let kind = file.kind else { return nil }
    let encoding = TextEncoding(plugin.core.settings.encoding)
    return TemplateRenderer.Request(
      kind: kind, source: file.source, entryName: name, limitBytes: 64 << 20
    ) { FileContents($0, encoding: encoding) }
  }

  private func bind(_ entry: Element, _ metadata: ClientMetadata) async throws {
    defaults.apply(to: entry)
    try await prepareInfo(metadata)
    try bindInfo(to: entry, metadata)
    entry["type"] = "file"
    let file = try bestMatching(metadata)
    guard let request = request(for: entry["realname"] ?? entry.name ?? "", metadata) else {
      throw PluginExecutionError("Failed to load template \(file.path)")
    }
    let made: AnyObject
    do {
      made = try await plugin.core.templates.render(request, metadata)
    } catch {
      throw PluginExecutionError("\(plugin.name): template error: \(error)")
    }
    guard let contents = made as? FileContents else {
      throw PluginExecutionError("\(file.path): a result of another kind is kept")
    }
    guard !contents.bytes.isEmpty else {
      entry["empty"] = "true"
      return
    }
    do throws(FileTextError) {
      entry.content = .shared(entry["encoding"] == "base64" ? contents.base64() : try contents.text())
    } catch {
      throw PluginExecutionError("\(file.path): the output cannot be sent as text: \(error)")
    }
  }
}

/// What 1.3's two plugins for files from templates have in common.
class LegacyTemplatePlugin: GroupSpool<LegacyTemplateSet>, @MainActor TemplateGenerator {
  override class var isDeprecated: Bool { true }

  var hasTemplates: Bool { !entrySets.isEmpty }

  func templateRequest(
    tag: String, name: String, realName: String, _ metadata: ClientMetadata
  ) -> TemplateRenderer.Request? {
    tag == entryType ? entrySets[name]?.request(for: realName, metadata) : nil
  }

  func templateRequest(path: String) -> TemplateRenderer.Request? {
    entrySets.lazy.compactMap { $1.request(for: $0, path: path) }.first
  }
}

/// TGenshi: 1.3's plugin for files from Genshi templates, which became Cfg's `.genshi` files.
///
/// `TGenshi/PATH/template.txt` is in Genshi's older text syntax, `template.newtxt` in the newer one, `template.xml` in XML.
///
/// Source of the behaviour: 1.3.4's Server/Plugins/TGenshi.py.
final class TGenshiPlugin: LegacyTemplatePlugin {
  override class var name: String { "TGenshi" }

  override func makeEntrySet(name: String, path: String) -> LegacyTemplateSet {
    LegacyTemplateSet(
      path: path, plugin: self, kinds: [(".txt", .oldGenshi), (".newtxt", .genshi), (".xml", .genshiXML)])
  }
}

/// TCheetah: 1.3's plugin for files from Cheetah templates, `TCheetah/PATH/template`.
///
/// Source of the behaviour: 1.3.4's Server/Plugins/TCheetah.py.
final class TCheetahPlugin: LegacyTemplatePlugin {
  override class var name: String { "TCheetah" }

  override func makeEntrySet(name: String, path: String) -> LegacyTemplateSet {
    LegacyTemplateSet(path: path, plugin: self, kinds: [("", .cheetah)])
  }
}
