import DequeModule
public import EventLoop

/// A file monitor that defers first scans until `begin`: `[server] fam_blocking = false`, `--no-fam-blocking`.
///
/// Paths added while plugins load are queued in order. After `begin` one of them is read in each turn of the loop, so
/// that clients get answers in between, from the paths read by then. A path added inside a handler is read at once, as
/// with any monitor.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Core.py, block_for_fam_events, where the thread of the
/// file monitor reads while requests are served.
public final class DeferredMonitor: FileMonitor {
  private struct Request {
    let path: String
    let isRecursive: Bool
    let handler: any FileEventHandler
  }

  private let base: any FileMonitor
  private let loop: Reactor
  private var waiting: Deque<Request> = []
  private var isDeferring = true
  private var hasBegun = false
  private var isReading = false
  private var isShutDown = false
  /// A turn was skipped because the monitor was held.
  private var isPaused = false

  /// - Parameter base: the monitor that does the reading.
  public init(_ base: any FileMonitor, on loop: Reactor) {
    self.base = base
    self.loop = loop
  }

  public var name: String { base.name }
  public var generation: UInt64 { base.generation }
  public var commonGeneration: UInt64 { base.commonGeneration }
  public var isDebugging: Bool {
    get { base.isDebugging }
    set { base.isDebugging = newValue }
  }
  public var repository: String? {
    get { base.repository }
    set { base.repository = newValue }
  }
  public var onProgress: (() -> Void)? {
    get { base.onProgress }
    set { base.onProgress = newValue }
  }
  public var troubles: [RepositoryTrouble] { base.troubles }
  public func couldNotRead(_ path: String, _ error: SystemError) { base.couldNotRead(path, error) }
  public var isHeld: Bool {
    get { base.isHeld }
    set {
      base.isHeld = newValue
      guard !newValue, isPaused else { return }
      isPaused = false
      readNext()
    }
  }
  /// True also while a first scan is queued.
  public var hasPending: Bool { !waiting.isEmpty || base.hasPending }

  public func add(_ path: String, recursive: Bool, handler: any FileEventHandler) {
    guard isDeferring, !isReading else {
      base.add(path, recursive: recursive, handler: handler)
      return
    }
    waiting.append(Request(path: path, isRecursive: recursive, handler: handler))
  }

  public func remove(_ path: String?, handler: any FileEventHandler) {
    waiting.removeAll { $0.handler === handler && (path == nil || $0.path == path) }
    base.remove(path, handler: handler)
  }

  /// Starts reading the queue, one path in each turn of the loop. Later calls do nothing.
  public func begin() {
    guard !hasBegun else { return }
    hasBegun = true
    readNext()
  }

  /// Reads the whole queue before returning.
  public func readAll() {
    hasBegun = true
    while let request = waiting.popFirst() { read(request) }
    isDeferring = false
  }

  private func readNext() {
    if isHeld {
      isPaused = true
      return
    }
    guard !isShutDown, let request = waiting.popFirst() else {
      isDeferring = false
      return
    }
    read(request)
    loop.post { [weak self] in self?.readNext() }
  }

  private func read(_ request: Request) {
    isReading = true
    base.add(request.path, recursive: request.isRecursive, handler: request.handler)
    isReading = false
  }

  @discardableResult
  public func processPending() -> Int { base.processPending() }
  public func rescan() { base.rescan() }
  public func hides(_ path: String) -> Bool { base.hides(path) }
  public func shutdown() {
    isShutDown = true
    waiting.removeAll()
    base.shutdown()
  }

  public func listEventHandlers() -> [(path: String, handler: String)] {
    base.listEventHandlers() + waiting.map { ($0.path, $0.handler.handlerName) }
  }
  public var counts: FileMonitorCounts { base.counts }
  public func listWatches() -> [String] { base.listWatches() }
  public func listPaths() -> [String] { base.listPaths() + waiting.map(\.path) }
}
