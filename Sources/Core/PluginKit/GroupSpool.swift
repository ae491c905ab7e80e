import Logging
public import Repository
public import XMLRPC

/// A folder of a `GroupSpool`: the files of one entry.
public protocol EntryFolder: AnyObject {
  /// Handles one event of a file in the folder.
  func handleEvent(_ event: FileEvent)
  /// Stops watching the files of a deleted folder.
  func stopWatching()
  /// Binds entries.
  var binder: EntryBinder { get }
}

/// A plugin whose folders are entries: the path of a folder below the plugin's is the name of the entry.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, GroupSpool.
open class GroupSpool<Folder: EntryFolder>: Plugin, Generator, FileEventHandler {
  /// The tag of the entries that the plugin binds.
  open var entryType: String { "Path" }
  /// Sets by entry name: the path below the plugin's folder, with a leading slash.
  public private(set) var entrySets: NameTable<Folder> = [:]

  open var handlerName: String { "\(name): \(folder)" }

  /// Binding an entry is all that a folder is read for, and the core records it.
  open var concernsReadersAlone: Bool { false }

  open override func load() throws {
    core.fileMonitor.add(folder, recursive: true, handler: self)
  }

  /// Makes the set for a folder when its first file appears.
  /// - Parameters:
  ///   - name: the name of the entry.
  ///   - path: absolute path of the folder.
  open func makeEntrySet(name: String, path: String) -> Folder {
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
    guard name.utf8.allSatisfy({ $0 < 0x80 }) else {
      // Bcfg2 compares the bytes of the name with the text of the entry, which are never equal.
      if event.action != .deleted {
        logger.error("\(event.path): no entry is bound to a folder whose name is not ASCII, as in Bcfg2")
      }
      return
    }
    defer { core.entryInputs.changed(tag: entryType, name: name) }
    if let set = entrySets[name] {
      set.handleEvent(event)
    } else if event.action == .deleted {
      logger.warning("Got deleted event for unknown file \(event.path)")
    } else {
      let set = makeEntrySet(name: name, path: RepositoryPath.folder(of: event.path))
      entrySets[name] = set
      core.entryInputs.names.changed()
      set.handleEvent(event)
    }
  }

  open func changesApplied() {}

  /// Drops every folder and reads all of them again, after settings about files changed.
  public func reload() {
    core.fileMonitor.remove(nil, handler: self)
    for set in entrySets.values { set.stopWatching() }
    entrySets.removeAll()
    core.fileMonitor.add(folder, recursive: true, handler: self)
  }

  /// Handles a file that the plugin itself wrote below its folder, at once: the `pseudo` file monitor would never
  /// report it.
  package func handleWrittenFile(_ path: String) {
    core.repositoryChangedByAnswer(isCommon: !concernsReadersAlone)
    let relative = String(path.utf8.dropFirst(folder.utf8.count + 1)) ?? path
    handleEvent(FileEvent(action: .created, path: path, relativePath: relative, isDirectory: false))
  }

  private func forget(_ relativePath: String) {
    let name = "/" + relativePath
    for known in entrySets.keys where RepositoryPath.isSameOrBelow(known, name) {
      entrySets.removeValue(forKey: known)?.stopWatching()
      core.entryInputs.names.changed()
      core.entryInputs.changed(tag: entryType, name: known)
    }
  }

  open func binder(tag: String, name: String) -> EntryBinder? {
    tag == entryType ? entrySets[name]?.binder : nil
  }

  public var entryTags: [String] { [entryType] }

  open func entryNames(tag: String) -> [String] {
    tag == entryType ? entrySets.keys.sorted() : []
  }
}
