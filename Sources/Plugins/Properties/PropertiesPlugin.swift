public import Core
import EventLoop
import Logging
public import Repository
public import ServerSettings
public import Templates
public import XMLRPC

/// Properties: files of data for templates, as `metadata.Properties`.
///
/// `*.xml` may hold Group and Client conditions, which `[properties] automatch` or the root's `automatch` attribute has
/// resolved for each client; `*.json`, `*.yaml` and `*.yml` are data as they are. Schemas (`*.xsd`) are not data.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Properties.py.
public final class PropertiesPlugin: Plugin, Connector, TemplateFileWriter {
  public override class var name: String { "Properties" }
  public override class var options: any OptionGroup { PropertiesOptions.standard }

  private let files: PropertiesFolder
  /// What every client gets until a file changes.
  private var data = PropertiesData(files: [:], sources: [:], problems: [])

  public required init(_ context: PluginContext) {
    let (monitor, logger) = (context.core.fileMonitor, context.logger)
    files = PropertiesFolder(
      folder: context.folder, monitor: monitor, logger: logger,
      fits: { name in ["xml", "json", "yaml", "yml", "xsd"].contains { name.hasSuffix(".\($0)") } },
      makeChild: { [unowned core = context.core] path in
        if path.hasSuffix(".xml") {
          let file = XMLPropertyFile(path: path, monitor: monitor, logger: logger)
          file.encryption = Encryption(core.settings)
          return file
        }
        if path.hasSuffix(".json") { return JSONPropertyFile(path: path, monitor: monitor, logger: logger) }
        if path.hasSuffix(".xsd") { return FileBacked(path: path, monitor: monitor, logger: logger) }
        return YAMLPropertyFile(path: path, monitor: monitor, logger: logger)
      })
    super.init(context)
  }

  public override func load() {
    files.onChange = { [unowned self] in
      collect()
      // Also reports the change.
      core.expireMetadataCache()
    }
    files.watch()
    collect()
  }

  private func collect() {
    var contents: NameTable<PropertyContents> = [:]
    var sources: NameTable<TemplateFile> = [:]
    var problems: [(name: String, problem: String)] = []
    let matchesAll = core.settings[PropertiesOptions.standard.matchesAll]
    for (name, file) in files.entries {
      guard let file = file as? any PropertyFile else { continue }
      contents[name] = file.contents(matches: matchesAll)
      sources[name] = file.source(
        matches: matchesAll, rendersTemplates: core.settings.compatibility != .v1_3)
      if sources[name] == nil, let problem = file.lastProblem { problems.append((name, problem)) }
    }
    data = PropertiesData(files: contents, sources: sources, problems: problems)
  }

  public override func settingsChanged() {
    for case let file as XMLPropertyFile in files.children {
      file.encryption = Encryption(core.settings)
      file.load()
    }
    collect()
  }

  /// Names of the XML files, sorted.
  package var fileNames: [String] { files.entries.sorted().filter { $0.value is XMLPropertyFile }.map(\.key) }

  /// A file that templates get as it is.
  package struct NotMatched: Error, CustomStringConvertible {
    let name: String
    package var description: String { "Automatch not enabled on \(name)" }
  }

  /// The contents of an XML file for a client, as `bcfg2-info automatch` shows them; nil if there is no such file.
  ///
  /// - Parameter isForced: whether a file that is not matched for templates counts, too.
  /// - Throws: `NotMatched`; what is wrong with the file.
  package func matched(_ name: String, _ metadata: ClientMetadata, isForced: Bool) async throws -> Element? {
    guard let file = files.entries[name] as? XMLPropertyFile else { return nil }
    guard isForced || file.isMatched(core.settings[PropertiesOptions.standard.matchesAll]) else {
      throw NotMatched(name: name)
    }
    return try await file.resolved(metadata, by: core.xmlTemplateRenderer).xmlMatch(metadata)
  }

  public func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? { data }

  /// Replaces a file by what a template made of its data. It is on disk when this returns.
  ///
  /// - Throws: `PluginExecutionError` where `[properties] writes_enabled` is off, there is no such file, or it cannot be
  ///   written.
  public func writeTemplateFile(_ bytes: [UInt8], to name: String) async throws {
    guard core.settings[TemplateOptions.standard.writesProperties] else {
      throw PluginExecutionError("Properties files write-back is disabled in the configuration")
    }
    guard let file = files.entries[name], file is any PropertyFile else {
      throw PluginExecutionError("\(name) is no file of Properties")
    }
    do {
      if file is XMLPropertyFile { _ = try RepositoryXML.parse(bytes, path: file.path) }
      try await overwrite(file, name, with: bytes)
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
    guard core.settings[TemplateOptions.standard.writesProperties] else {
      throw PluginExecutionError("Properties files write-back is disabled in the configuration")
    }
    guard let file = files.entries[name] as? XMLPropertyFile else {
      throw PluginExecutionError("\(name) is no XML file of Properties")
    }
    let bytes = WireWriter.xml(root, isPretty: true)
    do {
      _ = try RepositoryXML.parse(bytes, path: file.path)
      try await overwrite(file, name, with: bytes)
    } catch {
      let message = "Failed to write \(file.path): \(error)"
      logger.error("\(message)")
      throw PluginExecutionError(
        message, forClients: "Failed to write \(core.textForClients(error, writing: file.path))")
    }
  }
}

extension PropertiesPlugin {
  /// Replaces a file and reads it. Later answers are made with the new contents; the answer that is being made while they
  /// are written keeps those it began with.
  private func overwrite(_ file: FileBacked, _ name: String, with bytes: [UInt8]) async throws(FileWriteError) {
    let answer = AnswerChanges.current
    try await core.loop.fileWriter.overwrite(
      file.path, with: bytes, mode: .ordinary, limitBytes: FileBacked.fileLimitBytes
    ) { [self] in
      core.applyChange(madeBy: answer) { files.recordWritten(bytes, to: name) }
    }
  }
}

/// The plugin's folder. It knows what the server itself wrote there, so that the file monitor's events of that change
/// nothing.
private final class PropertiesFolder: DirectoryBacked<FileBacked> {
  /// What the server wrote last, by path below the folder; forgotten with the next edit.
  private var written: NameTable<[UInt8]> = [:]

  /// The plugin says what has changed, by `onChange`.
  override var reportsChanges: Bool { true }

  func recordWritten(_ bytes: [UInt8], to name: String) {
    written[name] = nil
    let path = folder + "/" + name
    super.handleEvent(FileEvent(action: .changed, path: path, relativePath: name, isDirectory: false))
    changesApplied()
    written[name] = bytes
  }

  override func handleEvent(_ event: FileEvent) {
    if let bytes = written[event.relativePath] {
      let isOurs =
        event.action != .deleted
        && (try? AtomicFile.readFile(event.path, limitBytes: FileBacked.fileLimitBytes)) == bytes
      if isOurs { return }
    }
    for name in written.keys where RepositoryPath.isSameOrBelow(name, event.relativePath) { written[name] = nil }
    super.handleEvent(event)
  }
}

/// All Properties files by their path below the plugin's folder.
public struct PropertiesData: ConnectorData {
  public let files: NameTable<PropertyContents>
  /// The same as templates get them.
  public let sources: NameTable<TemplateFile>
  /// Files that had no good version yet, and what is wrong with each.
  let problems: [(name: String, problem: String)]

  public subscript(_ name: String) -> PropertyContents? { files[name] }
}

extension PropertiesData: TemplateFileData {
  public var templateForm: TemplateValue {
    guard !problems.isEmpty else { return ["form": "properties", "names": .texts(templateKeys)] }
    let broken = problems.map {
      TemplateValue.Member($0.name, .text("the file of Properties could not be read: \($0.problem)"))
    }
    return ["form": "properties", "names": .texts(templateKeys), "broken": .record(broken)]
  }
  public func templateItem(_ name: String) -> TemplateValue? {
    sources[name].map { [.int($0.version), .bool($0.isMatched)] }
  }
  public var templateKeys: [String] { sources.sorted().map(\.key) }
  public func templateFile(_ name: String) -> TemplateFile? { sources[name] }
}
