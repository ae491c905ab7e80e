import Core
import Logging
import Repository
import Templates

/// A template: Genshi, Cheetah or Jinja2, encrypted or not.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgGenshiGenerator.py and its siblings.
final class CfgTemplateFile: CfgGenerator {
  private let kind: TemplateJob.Kind
  private let isEncrypted: Bool
  private let source: TemplateSource

  init(path: String, specificity: Specificity, kind: TemplateJob.Kind, isEncrypted: Bool, plugin: CfgPlugin) {
    self.kind = kind
    self.isEncrypted = isEncrypted
    source = TemplateSource(path: path, kind: kind, isEncrypted: isEncrypted)
    super.init(path: path, specificity: specificity, plugin: plugin)
  }

  /// Waits for the process that renders.
  override var isImmediate: Bool { false }

  override func load() {
    super.load()
    guard let data, loadError == nil else { return }
    guard isEncrypted else { return source.update(data) }
    do throws(EncryptionError) {
      source.update(try plugin.encryption.decryptWithAny(data))
    } catch {
      let message = "Cfg: Failed to decrypt \(path): \(error)"
      if plugin.encryption.isLax { plugin.logger.debug("\(message)") } else { plugin.logger.error("\(message)") }
    }
  }

  /// How it is rendered for an entry.
  func request(for name: String) -> TemplateRenderer.Request {
    let encoding = plugin.encoding
    return TemplateRenderer.Request(
      kind: kind, source: source, entryName: name, limitBytes: plugin.limitBytes, limitOption: "[cfg] max_file_size",
      isEncrypted: isEncrypted
    ) { FileContents($0, encoding: encoding) }
  }

  override func contents(_ entry: Element, _ metadata: ClientMetadata) async throws -> FileContents {
    if let loadError { throw PluginExecutionError(loadError) }
    return try contents(try await plugin.core.templates.render(request(for: Self.name(of: entry)), metadata))
  }

  override func readyContents(_ entry: Element, _ metadata: ClientMetadata) throws -> FileContents? {
    if let loadError { throw PluginExecutionError(loadError) }
    let made = try plugin.core.templates.ready(
      kind, source, entryName: Self.name(of: entry), limitBytes: plugin.limitBytes, metadata)
    return try made.map { try contents($0) }
  }

  private static func name(of entry: Element) -> String { entry["realname"] ?? entry.name ?? "" }

  private func contents(_ made: AnyObject) throws -> FileContents {
    guard let contents = made as? FileContents else {
      throw PluginExecutionError("\(path): a result of another kind is kept")
    }
    return contents
  }
}
