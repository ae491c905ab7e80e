import EventLoop

/// Properties: files of data for templates, as `metadata.Properties`.
///
/// `*.xml` may hold Group and Client conditions, which `[properties] automatch` or the root's `automatch` attribute has
/// resolved for each client; `*.json`, `*.yaml` and `*.yml` are data as they are. Schemas (`*.xsd`) are not data.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Properties.py.
public final class PropertiesPlugin: Plugin, Connector, TemplateFileWriter {
  public override class var name: String { "Properties" }

  private var files: DirectoryBacked<FileBacked>!
  /// What every client gets until a file changes.
  private var data = PropertiesData(files: [:], sources: [:])

  public required init(core: ServerCore) throws {
    try super.init(core: core)
    let monitor = core.fileMonitor
    let logger = logger
    files = DirectoryBacked(
      folder: folder, monitor: monitor, logger: logger,
      fits: { name in ["xml", "json", "yaml", "yml", "xsd"].contains { name.hasSuffix(".\($0)") } },
      makeChild: { [unowned core] path in
        if path.hasSuffix(".xml") {
          let file = XMLPropertyFile(path: path, monitor: monitor, logger: logger)
          file.encryption = Encryption(core.settings)
          return file
        }
        if path.hasSuffix(".json") { return JSONPropertyFile(path: path, monitor: monitor, logger: logger) }
        if path.hasSuffix(".xsd") { return FileBacked(path: path, monitor: monitor, logger: logger) }
        return YAMLPropertyFile(path: path, monitor: monitor, logger: logger)
      })
    files.onChange = { [unowned self] in
      collect()
      self.core.expireMetadataCache()
    }
    files.watch()
    collect()
  }

  private func collect() {
    var contents: NameTable<PropertyContents> = [:]
    var sources: NameTable<TemplateFile> = [:]
    for (name, file) in files.entries {
      guard let file = file as? any PropertyFile else { continue }
      contents[name] = file.contents(matches: core.settings.propertiesAutomatch)
      sources[name] = file.source(
        matches: core.settings.propertiesAutomatch, rendersTemplates: core.settings.compatibility != .bcfg213)
    }
    data = PropertiesData(files: contents, sources: sources)
  }

  public override func settingsChanged() {
    for case let file as XMLPropertyFile in files.children {
      file.encryption = Encryption(core.settings)
      file.load()
    }
    collect()
  }

  public func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? { data }

  /// Replaces a file by what a template made of its data. It is on disk when this returns.
  ///
  /// - Throws: `PluginExecutionError` where `[properties] writes_enabled` is off, there is no such file, or it cannot be
  ///   written.
  public func writeTemplateFile(_ bytes: [UInt8], to name: String) async throws {
    guard core.settings.propertiesWritesEnabled else {
      throw PluginExecutionError("Properties files write-back is disabled in the configuration")
    }
    guard let file = files.entries[name], file is any PropertyFile else {
      throw PluginExecutionError("\(name) is no file of Properties")
    }
    do {
      if file is XMLPropertyFile { _ = try RepositoryXML.parse(bytes, path: file.path) }
      try await core.loop.fileWriter.overwrite(
        file.path, with: bytes, mode: .ordinary, limitBytes: FileBacked.fileLimitBytes)
    } catch {
      throw PluginExecutionError("Failed to write \(file.path): \(error)")
    }
  }

  /// Replaces an XML file by what a template made of its data. It is on disk when this returns.
  ///
  /// - Parameter name: path below the plugin's folder.
  /// - Throws: `PluginExecutionError` where `[properties] writes_enabled` is off, there is no such file, or it cannot be
  ///   written.
  public func write(_ root: Element, to name: String) async throws {
    guard core.settings.propertiesWritesEnabled else {
      throw PluginExecutionError("Properties files write-back is disabled in the configuration")
    }
    guard let file = files.entries[name] as? XMLPropertyFile else {
      throw PluginExecutionError("\(name) is no XML file of Properties")
    }
    let bytes = WireWriter.xml(root, isPretty: true)
    do {
      _ = try RepositoryXML.parse(bytes, path: file.path)
      try await core.loop.fileWriter.overwrite(
        file.path, with: bytes, mode: .ordinary, limitBytes: FileBacked.fileLimitBytes)
    } catch {
      let message = "Failed to write \(file.path): \(error)"
      logger.error("\(message)")
      throw PluginExecutionError(
        message, forClients: "Failed to write \(core.textForClients(error, writing: file.path))")
    }
  }
}

/// All Properties files by their path below the plugin's folder.
public struct PropertiesData: ConnectorData {
  public let files: NameTable<PropertyContents>
  /// The same as templates get them.
  public let sources: NameTable<TemplateFile>

  public subscript(_ name: String) -> PropertyContents? { files[name] }
}
