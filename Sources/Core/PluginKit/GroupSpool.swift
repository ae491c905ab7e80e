import Logging
public import Repository
public import XMLRPC

/// A folder of a `GroupSpool`: the files that make one entry.
public protocol EntryFolder: AnyObject {
  /// One event of a file in the folder.
  func handleEvent(_ event: FileEvent)
  /// The folder is gone: ends the watches of its files.
  func stopWatching()
  /// How entries are bound.
  var binder: EntryBinder { get }
}

/// A plugin whose folders are entries: a file's folder below the plugin's is the name of the entry.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, GroupSpool.
open class GroupSpool<Folder: EntryFolder>: Plugin, Generator, FileEventHandler {
  /// The tag of the entries that the plugin binds.
  open var entryType: String { "Path" }
  /// Sets by entry name: the path of the folder below the plugin's, with a slash at the front.
  public private(set) var entrySets: NameTable<Folder> = [:]

  open var handlerName: String { "\(name): \(folder)" }

  public required init(core: ServerCore) throws {
    try super.init(core: core)
    core.fileMonitor.add(folder, recursive: true, handler: self)
  }

  /// Makes the set for a folder in which the first file was found.
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
      // Bcfg2 compares the bytes of the name with the text of the entry, which never fit.
      if event.action != .deleted {
        logger.error("\(event.path): no entry is bound to a folder whose name is not ASCII, as in Bcfg2")
      }
      return
    }
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

  /// Forgets every folder and reads all of them again: what the settings say of files has changed.
  public func reload() {
    core.fileMonitor.remove(nil, handler: self)
    for set in entrySets.values { set.stopWatching() }
    entrySets.removeAll()
    core.fileMonitor.add(folder, recursive: true, handler: self)
  }

  /// A file below the plugin's folder was written by the plugin itself. It is not left to the file monitor to tell:
  /// `pseudo` never would.
  package func tellOfWrittenFile(_ path: String) {
    core.repositoryChangedByAnswer()
    let relative = String(path.utf8.dropFirst(folder.utf8.count + 1)) ?? path
    handleEvent(FileEvent(action: .created, path: path, relativePath: relative, isDirectory: false))
  }

  private func forget(_ relativePath: String) {
    let name = "/" + relativePath
    for known in entrySets.keys where RepositoryPath.isSameOrBelow(known, name) {
      entrySets.removeValue(forKey: known)?.stopWatching()
    }
  }

  open func binder(tag: String, name: String) -> EntryBinder? {
    tag == entryType ? entrySets[name]?.binder : nil
  }

  open func entryNames(tag: String) -> [String] {
    tag == entryType ? entrySets.keys.sorted() : []
  }
}
