public import Logging
public import XMLRPC

/// A folder of the repository, read recursively: every file with a matching name is a child.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, DirectoryBacked.
open class DirectoryBacked<Child: FileBacked>: FileEventHandler {
  /// Absolute path of the folder.
  public let folder: String
  public let monitor: any FileMonitor
  public let logger: Logger
  /// Called at the end of a change set that added, removed or changed a child.
  public var onChange: (() -> Void)?
  /// Children by their path below the folder.
  public private(set) var entries: NameTable<Child> = [:]
  private let fits: (String) -> Bool
  private let makeChild: (String) -> Child
  private var touched: NameSet = []
  private var hasChanged = false
  private var isApplying = false

  open var handlerName: String { "\(type(of: self)): \(folder)" }
  open var reportsChanges: Bool { false }
  /// Set by the owner of the folder: see `FileEventHandler`.
  public var concernsReadersAlone = false

  /// - Parameters:
  ///   - fits: whether a file of this name (not path) is a child.
  ///   - makeChild: makes a child for an absolute path; the folder passes events to it, so it must not watch itself.
  public init(
    folder: String, monitor: any FileMonitor, logger: Logger, fits: @escaping (String) -> Bool,
    makeChild: @escaping (String) -> Child
  ) {
    self.folder = folder
    self.monitor = monitor
    self.logger = logger
    self.fits = fits
    self.makeChild = makeChild
  }

  /// Whether a name is an XML file's: `*.xml`.
  public static func isXMLName(_ name: String) -> Bool { name.hasSuffix(".xml") }

  /// Watches the folder and reads everything in it before returning.
  public func watch() {
    monitor.add(folder, recursive: true, handler: self)
    changesApplied()
  }

  /// Children in the order of their paths.
  public var children: [Child] {
    entries.sorted().map(\.value)
  }

  open func handleEvent(_ event: FileEvent) {
    if event.relativePath.isEmpty, event.action != .deleted { return }
    if event.action == .deleted {
      remove(event.relativePath)
      return
    }
    if event.isDirectory { return }
    guard fits(event.fileName) else {
      if event.action != .changed { logger.warning("Could not process filename \(event.path); ignoring") }
      return
    }
    let child: Child
    if let known = entries[event.relativePath] {
      child = known
    } else {
      child = makeChild(event.path)
      child.onChange = { [weak self] in self?.childChanged() }
      entries[event.relativePath] = child
      hasChanged = true
    }
    child.handleEvent(event)
    touched.insert(event.relativePath)
  }

  open func changesApplied() {
    isApplying = true
    for name in touched.sorted() { entries[name]?.changesApplied() }
    touched.removeAll()
    isApplying = false
    notifyChange()
  }

  private func remove(_ relativePath: String) {
    for name in entries.keys where RepositoryPath.isSameOrBelow(name, relativePath) {
      entries.removeValue(forKey: name)?.stopWatching()
      hasChanged = true
    }
  }

  /// Handles new contents of a child, or of a file that it includes.
  private func childChanged() {
    hasChanged = true
    if !isApplying { notifyChange() }
  }

  private func notifyChange() {
    guard hasChanged else { return }
    hasChanged = false
    onChange?()
  }
}
