public import Core
import Logging
import Repository
public import Templates
import XMLRPC

/// TemplateHelper: modules in Python whose exports templates find in `metadata.TemplateHelper`, and whose `__default__`
/// names are variables of text templates.
///
/// The modules are read here, and run in the renderers. A module that cannot be loaded leaves what it exported before.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/TemplateHelper.py.
public final class TemplateHelperPlugin: Plugin, Connector, TemplateDataProvider, HelperModules {
  public override class var name: String { "TemplateHelper" }

  private let files: DirectoryBacked<HelperFile>
  /// Modules by name: of two files with one name the last one counts, by path.
  private var modules: NameTable<HelperFile> = [:]
  public private(set) var helperSerial = 0

  public required init(_ context: PluginContext) {
    let (monitor, logger) = (context.core.fileMonitor, context.logger)
    files = DirectoryBacked(
      folder: context.folder, monitor: monitor, logger: logger, fits: { $0.hasSuffix(".py") },
      makeChild: { HelperFile(path: $0, monitor: monitor, logger: logger) })
    super.init(context)
  }

  public override func load() {
    files.onChange = { [unowned self] in
      collect()
      core.expireMetadataCache()
    }
    files.watch()
    collect()
  }

  private func collect() {
    modules.removeAll()
    for file in files.children where !file.versions.isEmpty { modules[file.moduleName] = file }
    helperSerial = TemplateSource.nextNumber()
    if !modules.isEmpty { core.templates.checks.helpersChanged() }
  }

  public func additionalData(_ metadata: ClientMetadata) -> (any ConnectorData)? {
    var versions: NameTable<Int> = [:]
    for (name, file) in modules { versions[name] = file.versions.last?.number ?? 0 }
    return HelperData(versions: versions)
  }

  public func helperForm(known: TemplateValue?) -> TemplateValue {
    let items = modules.sorted().map { name, file -> TemplateValue in
      var members: [TemplateValue.Member] = [.init("name", .text(name)), .init("path", .text(file.path))]
      let newest = known?[name]?.int ?? -1
      let newer = file.versions.filter { $0.number > newest }
      if !newer.isEmpty { members.append(.init("versions", .list(newer.map { [.int($0.number), .bytes($0.bytes)] }))) }
      return .record(members)
    }
    return ["serial": .int(helperSerial), "modules": .list(items)]
  }
}

/// A module of TemplateHelper: the versions that it has had.
///
/// Renderers load them one after the other into one module, as Bcfg2 reloads its modules: names of an older version stay
/// unless a newer one defines them, and loading a broken version ends at its error. So all renderers have the same module,
/// whenever they were started.
final class HelperFile: FileBacked {
  /// Versions that are kept; an older one is forgotten.
  private static let limit = 8

  /// Oldest first.
  private(set) var versions: [TemplateSource.Version] = []

  /// The file's name without `.py`.
  var moduleName: String { String(RepositoryPath.name(of: path).dropLast(3)) }

  override func index(_ bytes: [UInt8]) throws {
    if let newest = versions.last, newest.bytes == bytes { return }
    versions.append(TemplateSource.Version(number: TemplateSource.nextNumber(), bytes: bytes))
    if versions.count > Self.limit { versions.removeFirst() }
  }
}

/// `metadata.TemplateHelper`: modules by name, with their versions.
public struct HelperData: TemplateReadable {
  let versions: NameTable<Int>

  public var templateForm: TemplateValue { ["form": "helpers"] }
  public func templateItem(_ name: String) -> TemplateValue? { versions[name].map { .int($0) } }
  public var templateKeys: [String] { versions.sorted().map(\.key) }
}
