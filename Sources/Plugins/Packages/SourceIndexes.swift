import Core
package import Logging
package import PackageSources
package import Repository
import XMLRPC

/// The index files of sources, each opened when it is first needed, and again after it was replaced.
///
/// `bcfg2-packages` writes them, started by the server or by cron; the file monitor tells of it.
package final class SourceIndexes: FileEventHandler {
  /// One file of the folder.
  private final class Slot {
    let input = BuildInput()
    /// Nil before it is needed; then what could be opened.
    var opened: PackageIndex??
  }

  /// `<cache>/indexes`.
  package let folder: String
  /// Grows with every change of a file.
  package private(set) var generation: UInt64 = 0
  /// Called after files were replaced.
  package var onChange: (() -> Void)?
  private let monitor: any FileMonitor
  private let logger: Logger
  private var slots: NameTable<Slot> = [:]
  private var hasChanged = false

  package var handlerName: String { "SourceIndexes: \(folder)" }
  package var concernsReadersAlone: Bool { true }
  package var followsRepository: Bool { false }

  package init(folder: String, monitor: any FileMonitor, logger: Logger) {
    self.folder = folder
    self.monitor = monitor
    self.logger = logger
  }

  /// Begins to watch the folder, which need not be there.
  package func watch() { monitor.add(folder, recursive: false, handler: self) }

  package func stopWatching() {
    monitor.remove(nil, handler: self)
    closeAll()
  }

  package func handleEvent(_ event: FileEvent) {
    guard event.fileName.hasSuffix(".index"), !event.isDirectory else { return }
    change(event.fileName)
  }

  package func changesApplied() {
    guard hasChanged else { return }
    hasChanged = false
    generation &+= 1
    onChange?()
  }

  private func change(_ name: String) {
    hasChanged = true
    guard let slot = slots[name] else { return }
    slot.opened = nil
    slot.input.changed()
  }

  /// Opens all files anew.
  package func closeAll() {
    for name in slots.keys { change(name) }
    hasChanged = true
    changesApplied()
  }

  /// Records that something is made from the index of a source.
  func read(_ source: PackageSource, _ metadata: ClientMetadata) { metadata.read(slot(source).input) }

  /// The index of a source; nil if there is none that can be used.
  package func index(of source: PackageSource) -> PackageIndex? {
    let slot = slot(source)
    if let opened = slot.opened { return opened }
    let opened = open(source)
    slot.opened = .some(opened)
    return opened
  }

  private func slot(_ source: PackageSource) -> Slot {
    let name = source.indexFileName
    if let known = slots[name] { return known }
    let slot = Slot()
    slots[name] = slot
    return slot
  }

  private func open(_ source: PackageSource) -> PackageIndex? {
    do throws(IndexOpenError) {
      return try PackageIndex(path: "\(folder)/\(source.indexFileName)", key: source.key)
    } catch {
      if error.isMissing { return nil }
      logger.error("Packages: The index of \(source.displayName) cannot be used: \(error)")
      return nil
    }
  }

  /// Forgets files of sources that are gone.
  func keepOnly(_ sources: [PackageSource]) {
    let names = NameSet(sources.map(\.indexFileName))
    for name in slots.keys where !names.contains(name) { slots[name] = nil }
  }
}
