import EventLoop
import Glibc
public import Repository
import XMLRPC

/// A file monitor that looks at the disk when it is asked: every difference to what it saw last is one event.
public final class ComparingMonitor: FileMonitor {
  private final class Watch {
    let path: String
    let isRecursive: Bool
    let handler: any FileEventHandler
    var seen: [Name: [UInt8]] = [:]

    init(path: String, isRecursive: Bool, handler: any FileEventHandler) {
      self.path = path
      self.isRecursive = isRecursive
      self.handler = handler
    }
  }

  public let name = "Comparing"
  public private(set) var generation: UInt64 = 0
  public private(set) var commonGeneration: UInt64 = 0
  public var isDebugging = false
  public var isHeld = false {
    didSet { if !isHeld { processPending() } }
  }
  private var watches: [Watch] = []

  public init() {}

  public func add(_ path: String, recursive: Bool, handler: any FileEventHandler) {
    let watch = Watch(path: path, isRecursive: recursive, handler: handler)
    watches.append(watch)
    deliver(watch, isFirst: true)
    handler.changesApplied()
  }

  public func remove(_ path: String?, handler: any FileEventHandler) {
    watches.removeAll { $0.handler === handler && (path == nil || $0.path == path) }
  }

  @discardableResult
  public func processPending() -> Int {
    if isHeld { return 0 }
    var count = 0
    var isNews = false
    var concernsAll = false
    for watch in watches {
      let delivered = deliver(watch, isFirst: false)
      if delivered > 0 {
        watch.handler.changesApplied()
        if !watch.handler.reportsChanges {
          isNews = true
          if !watch.handler.concernsReadersAlone { concernsAll = true }
        }
      }
      count += delivered
    }
    if isNews { generation += 1 }
    if concernsAll { commonGeneration += 1 }
    return count
  }

  public var hasPending: Bool { true }
  public func rescan() { processPending() }
  public func shutdown() { watches.removeAll() }
  public func listEventHandlers() -> [(path: String, handler: String)] {
    watches.map { ($0.path, $0.handler.handlerName) }
  }
  public func listWatches() -> [String] { watches.map(\.path) }
  public func listPaths() -> [String] { watches.map(\.path) }

  @discardableResult
  private func deliver(_ watch: Watch, isFirst: Bool) -> Int {
    let present = contents(watch)
    var events: [FileEvent] = []
    for path in Set(present.keys).union(watch.seen.keys).sorted() where present[path] != watch.seen[path] {
      let action: FileAction =
        present[path] == nil ? .deleted : watch.seen[path] != nil ? .changed : isFirst ? .exists : .created
      let relative = Name.areSame(path.text, watch.path) ? "" : String(path.text.dropFirst(watch.path.utf8.count + 1))
      events.append(FileEvent(action: action, path: path.text, relativePath: relative, isDirectory: false))
    }
    watch.seen = present
    for event in events { watch.handler.handleEvent(event) }
    return events.count
  }

  private func contents(_ watch: Watch) -> [Name: [UInt8]] {
    var found: [Name: [UInt8]] = [:]
    func look(_ path: String, _ depth: Int) {
      guard let directory = opendir(path) else {
        found[Name(path)] = try? AtomicFile.readFile(path, limitBytes: 1 << 28)
        return
      }
      defer { closedir(directory) }
      guard depth == 0 || watch.isRecursive else { return }
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != "..", !name.hasPrefix(".#") { look("\(path)/\(name)", depth + 1) }
      }
    }
    look(watch.path, 0)
    return found
  }
}
