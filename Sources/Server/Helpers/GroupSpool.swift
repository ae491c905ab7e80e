import Logging

/// A plugin whose folders are entries: a file's folder below the plugin's is the name of the entry.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, GroupSpool.
open class GroupSpool: Plugin, Generator, FileEventHandler {
  /// The tag of the entries that the plugin binds.
  open var entryType: String { "Path" }
  /// Sets by entry name: the path of the folder below the plugin's, with a slash at the front.
  public private(set) var entrySets: [String: EntrySet] = [:]

  open var handlerName: String { "\(name): \(folder)" }

  public required init(core: ServerCore) throws {
    try super.init(core: core)
    core.fileMonitor.add(folder, recursive: true, handler: self)
  }

  /// Makes the set for a folder in which the first file was found.
  /// - Parameters:
  ///   - name: the name of the entry.
  ///   - path: absolute path of the folder.
  open func makeEntrySet(name: String, path: String) -> EntrySet {
    fatalError("\(type(of: self)) must make its entry sets")
  }

  open func handleEvent(_ event: FileEvent) {
    if event.relativePath.isEmpty { return }
    if event.isDirectory {
      if event.action == .deleted { forget(event.relativePath) }
      return
    }
    let below = RepositoryPath.folder(of: event.relativePath)
    let name = below.isEmpty ? "" : "/" + below
    if let set = entrySets[name] {
      set.handleEvent(event)
    } else if event.action == .deleted {
      logger.warning("Got deleted event for unknown file \(event.path)")
    } else {
      let set = makeEntrySet(name: name, path: RepositoryPath.folder(of: event.path))
      entrySets[name] = set
      set.handleEvent(event)
    }
  }

  open func changesApplied() {}

  private func forget(_ relativePath: String) {
    let name = "/" + relativePath
    for known in entrySets.keys where known == name || known.hasPrefix(name + "/") {
      entrySets.removeValue(forKey: known)?.infoXML?.stopWatching()
    }
  }

  open func binder(tag: String, name: String) -> EntryBinder? {
    guard tag == entryType, let set = entrySets[name] else { return nil }
    return .now { entry, metadata in try set.bindEntry(entry, metadata) }
  }

  open func entryNames(tag: String) -> [String] {
    tag == entryType ? entrySets.keys.sorted() : []
  }

  open override func settingsChanged() {
    super.settingsChanged()
    for set in entrySets.values { set.defaults = core.settings.pathDefaults }
  }
}
