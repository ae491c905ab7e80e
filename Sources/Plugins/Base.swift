import Core
import Repository

/// Entries that belong to no bundle: all files in Base make one `<Independent>` structure.
///
/// Source of the behaviour: 1.3.4's Server/Plugins/Base.py; 1.4 does not have it any more.
final class BasePlugin: Plugin, Structure {
  override class var name: String { "Base" }
  override class var isDeprecated: Bool { true }

  private let files: DirectoryBacked<StructFile>

  required init(_ context: PluginContext) {
    let (monitor, logger) = (context.core.fileMonitor, context.logger)
    files = DirectoryBacked(
      folder: context.folder, monitor: monitor, logger: logger, fits: DirectoryBacked<StructFile>.isXMLName
    ) {
      let file = StructFile(path: $0, monitor: monitor, logger: logger)
      file.rootTags = ["Base"]
      return file
    }
    super.init(context)
  }

  override func load() { files.watch() }

  func buildStructures(_ metadata: ClientMetadata) -> [Element] {
    let structure = Element("Independent", ["version": "2.0"])
    for file in files.children { structure.children += file.match(metadata) }
    return [structure]
  }
}
