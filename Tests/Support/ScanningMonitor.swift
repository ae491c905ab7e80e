import Glibc
public import Repository

/// A file monitor that looks instead of being told: `processPending` compares folders with what it saw before.
public final class ScanningMonitor: FileMonitor {
  public let name = "Pseudo"
  public private(set) var generation: UInt64 = 0
  public var isDebugging = false
  public var isHeld = false {
    didSet { if !isHeld { processPending() } }
  }
  public let hasPending = true

  private struct State: Equatable {
    var isDirectory: Bool
    var stamp: [Int]
  }

  private final class Watch {
    let path: String
    let isRecursive: Bool
    let handler: any FileEventHandler
    var known: [String: State] = [:]

    init(path: String, isRecursive: Bool, handler: any FileEventHandler) {
      self.path = path
      self.isRecursive = isRecursive
      self.handler = handler
    }
  }

  private var watches: [Watch] = []

  public init() {}

  public func add(_ path: String, recursive: Bool, handler: any FileEventHandler) {
    let watch = Watch(path: path, isRecursive: recursive, handler: handler)
    watches.append(watch)
    deliver(to: watch, found: .exists)
  }

  public func remove(_ path: String?, handler: any FileEventHandler) {
    watches.removeAll { $0.handler === handler && (path == nil || $0.path == path) }
  }

  @discardableResult public func processPending() -> Int {
    if isHeld { return 0 }
    return watches.map { deliver(to: $0, found: .created) }.reduce(0, +)
  }

  public func rescan() { processPending() }
  public func shutdown() { watches = [] }
  public func listEventHandlers() -> [(path: String, handler: String)] {
    watches.map { ($0.path, $0.handler.handlerName) }
  }
  public func listWatches() -> [String] { [] }
  public func listPaths() -> [String] { watches.map(\.path) }

  @discardableResult private func deliver(to watch: Watch, found: FileAction) -> Int {
    var now: [String: State] = [:]
    scan(watch.path, "", watch.isRecursive, into: &now)
    var events: [(action: FileAction, path: String, isDirectory: Bool)] = []
    for (path, state) in watch.known where now[path]?.isDirectory != state.isDirectory {
      events.append((.deleted, path, state.isDirectory))
    }
    // The files of a folder go before it.
    events.sort { $0.path > $1.path }
    for (path, state) in now.sorted(by: { $0.key < $1.key }) where watch.known[path] != state {
      let isKnown = watch.known[path]?.isDirectory == state.isDirectory
      if isKnown && state.isDirectory { continue }
      events.append((isKnown ? .changed : found, path, state.isDirectory))
    }
    watch.known = now
    for event in events {
      let path = event.path.isEmpty ? watch.path : "\(watch.path)/\(event.path)"
      watch.handler.handleEvent(
        FileEvent(action: event.action, path: path, relativePath: event.path, isDirectory: event.isDirectory))
    }
    if !events.isEmpty {
      generation += 1
      watch.handler.changesApplied()
    }
    return events.count
  }

  private func scan(_ path: String, _ relative: String, _ isRecursive: Bool, into found: inout [String: State]) {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    let isDirectory = status.st_mode & S_IFMT == S_IFDIR
    found[relative] = State(
      isDirectory: isDirectory,
      stamp: [
        Int(status.st_ino), Int(status.st_size), status.st_mtim.tv_sec, status.st_mtim.tv_nsec, Int(status.st_mode),
      ])
    guard isDirectory, isRecursive || relative.isEmpty, let stream = opendir(path) else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      // `.#` are the temporary names of files that are being replaced.
      if name == "." || name == ".." || name.hasPrefix(".#") { continue }
      scan("\(path)/\(name)", relative.isEmpty ? name : "\(relative)/\(name)", isRecursive, into: &found)
    }
  }
}
