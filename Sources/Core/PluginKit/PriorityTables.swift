package import Logging
package import Repository
import XMLRPC

/// A folder of XML files with priorities, each compiled into a table of entries.
///
/// If several files have a value for an entry, the highest priority wins.
///
/// Source of the contract: 1.3.4's Server/Plugin/helpers.py, PrioDir and XMLSrc.
package final class PriorityTables<Value> {
  private struct Source {
    let file: PriorityStructFile
    let version: UInt64
    let table: ConditionalTable<Value>
  }

  private let directory: DirectoryBacked<PriorityStructFile>
  private let compile: (_ root: Element, _ path: String) -> ConditionalTable<Value>
  private var sources: [Source] = []

  /// Reads the folder and watches it.
  package init(
    folder: String, rootTag: String, monitor: any FileMonitor, logger: Logger,
    compile: @escaping (_ root: Element, _ path: String) -> ConditionalTable<Value>
  ) {
    self.compile = compile
    directory = DirectoryBacked(
      folder: folder, monitor: monitor, logger: logger, fits: DirectoryBacked<PriorityStructFile>.isXMLName
    ) {
      let file = PriorityStructFile(path: $0, monitor: monitor, logger: logger)
      file.rootTags = [rootTag]
      return file
    }
    directory.onChange = { [unowned self] in update() }
    directory.watch()
  }

  private func update() {
    let known = sources
    sources = directory.children.compactMap { file in
      guard let root = file.root else { return nil }
      if let source = known.first(where: { $0.file === file && $0.version == file.version }) { return source }
      return Source(file: file, version: file.version, table: compile(root, file.path))
    }
  }

  /// Whether any file names the entry, for any client.
  package func hasName(_ name: String, tag: String) -> Bool {
    sources.contains { $0.table.names[tag]?.contains(name) ?? false }
  }

  /// Names of a tag, sorted.
  package func names(tag: String) -> [String] {
    sources.reduce(into: NameSet()) { $0.formUnion($1.table.names[tag] ?? []) }.sorted()
  }

  /// Number of files with a value for an entry.
  package func count(tag: String, name: String?, _ metadata: ClientMetadata) -> Int {
    sources.count { $0.table.value(tag: tag, name: name, metadata) != nil }
  }

  /// The values of all files that have one, the highest priority first.
  package func candidates(
    tag: String, name: String?, _ metadata: ClientMetadata
  ) -> [(path: String, priority: Int, value: Value)] {
    sources.compactMap { source in
      source.table.value(tag: tag, name: name, metadata).map { (source.file.path, source.file.priority, $0) }
    }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }
  }

  /// The value of the file with the highest priority; nil if no file has one.
  ///
  /// - Throws: `TiedPriorities` if several files of that priority have one.
  package func value(tag: String, name: String?, _ metadata: ClientMetadata) throws -> Value? {
    var best: (priority: Int, value: Value)?
    var files: [String] = []
    for source in sources {
      guard let value = source.table.value(tag: tag, name: name, metadata) else { continue }
      let priority = source.file.priority
      if let known = best, known.priority > priority { continue }
      if best.map({ $0.priority < priority }) ?? true { files = [] }
      best = (priority, value)
      files.append(source.file.path)
    }
    guard let best else { return nil }
    if files.count > 1 { throw TiedPriorities(priority: best.priority, files: files) }
    return best.value
  }
}

/// Several files of one priority have a value for one entry.
package struct TiedPriorities: Error {
  package let priority: Int
  package let files: [String]
}
