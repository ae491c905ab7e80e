import Core
import Logging
import Repository
import ServerSettings

/// A file that is sent as it is.
final class CfgPlainFile: CfgGenerator {
  private var current: FileContents?

  override func load() {
    super.load()
    current = data.map { FileContents($0, encoding: plugin.encoding) }
  }

  override func immediateContents() throws -> FileContents {
    if let current { return current }
    _ = try requireData()
    throw PluginExecutionError("Failed to read file \(path)")
  }
}

/// A `.crypt` file: decrypted when it is read, sent as the plain text.
final class CfgEncryptedFile: CfgGenerator {
  private var current: FileContents?

  override func load() {
    super.load()
    guard let data else {
      current = nil
      return
    }
    do throws(EncryptionError) {
      current = FileContents(try plugin.encryption.decryptWithAny(data), encoding: plugin.encoding)
    } catch {
      current = nil
      if plugin.encryption.isLax {
        plugin.logger.debug("Cfg: Failed to decrypt \(path): \(error)")
      } else {
        plugin.logger.error("Cfg: Failed to decrypt \(path): \(error)")
      }
    }
  }

  override func immediateContents() throws -> FileContents {
    if let current { return current }
    throw PluginExecutionError(loadError ?? "Failed to decrypt \(path)")
  }
}

/// info.xml: attributes by group, client and path.
final class CfgInfoXMLFile: CfgInfo {
  private let infoXML: InfoXML

  override init(path: String, specificity: Specificity, plugin: CfgPlugin) {
    infoXML = InfoXML(fileInfo: path, monitor: plugin.core.fileMonitor, logger: plugin.logger)
    infoXML.recordsReads = true
    super.init(path: path, specificity: specificity, plugin: plugin)
  }

  override func load() { infoXML.load() }

  /// Called when a file is read again, also one that it includes.
  override var onChange: (() -> Void)? {
    get { infoXML.onChange }
    set { infoXML.onChange = newValue }
  }

  override func stopWatching() { infoXML.stopWatching() }

  override var isImmediate: Bool { !infoXML.isTemplate }

  override var structureFile: StructFile? { infoXML }

  override func prepare(_ metadata: ClientMetadata) async throws {
    try await infoXML.prepare(metadata, by: plugin.core.xmlTemplateRenderer)
  }

  override func bindInfo(_ entry: Element, _ metadata: ClientMetadata) throws {
    if plugin.core.settings.compatibility == .v1_3 {
      try infoXML.bindEntry13(entry, metadata)
    } else {
      try infoXML.bindEntry(entry, metadata)
    }
  }
}

/// 1.3's `info` and `:info`: a line per attribute.
final class CfgLegacyInfoFile: CfgInfo {
  private var values: [(name: String, value: String)] = []

  override init(path: String, specificity: Specificity, plugin: CfgPlugin) {
    super.init(path: path, specificity: specificity, plugin: plugin)
    plugin.logger.warning("Cfg: \(path): Use of info/:info files is deprecated")
  }

  override func load() {
    super.load()
    guard let data else { return }
    values = []
    LegacyInfo.read(data, path: path, into: &values, logger: plugin.logger)
    LegacyInfo.completeMode(in: &values)
  }

  override func bindInfo(_ entry: Element, _ metadata: ClientMetadata) throws {
    for (name, value) in values { entry[name] = value }
  }
}
