import EventLoop
import Glibc
import Logging
import Repository
import Support
import Synchronization

/// What a plugin would know: built of events alone, each checked against what was known before.
final class FileMonitorModel: FileEventHandler {
  let handlerName: String
  /// Contents of files, "/" for folders, by relative path.
  private(set) var known: [String: String] = [:]
  /// `created a`, `deleted b/`, since `takeEvents`.
  private var events: [String] = []
  private(set) var setCount = 0
  /// Events that contradict what was known, or come in the wrong order.
  private(set) var faults: [String] = []
  /// Called with each event.
  var onEvent: (FileEvent) -> Void = { _ in }

  init(_ handlerName: String = "Model") { self.handlerName = handlerName }

  func takeEvents() -> [String] {
    defer { events = [] }
    return events
  }

  func handleEvent(_ event: FileEvent) {
    let path = event.relativePath
    let before = known[path]
    let text = "\(event.action) \(path)\(event.isDirectory ? "/" : "")"
    events.append(text)
    let parent = path.split(separator: "/").dropLast().joined(separator: "/")
    switch event.action {
    case .exists, .created:
      if before != nil { faults.append("\(text): known") }
      if !path.isEmpty && known[parent] != "/" { faults.append("\(text): no folder") }
      known[path] = event.isDirectory ? "/" : FileMonitorModel.contents(event.path)
    case .changed:
      if before == nil || event.isDirectory { faults.append("\(text): not a known file") }
      known[path] = FileMonitorModel.contents(event.path)
    case .deleted:
      if before == nil || (before == "/") != event.isDirectory { faults.append("\(text): not known so") }
      if known.keys.contains(where: { $0.hasPrefix(path + "/") }) { faults.append("\(text): not empty") }
      known[path] = nil
    }
    onEvent(event)
  }

  func changesApplied() { setCount += 1 }

  /// A fresh look at everything, by other means than the monitor's.
  static func scan(_ root: String, ignored: IgnoreList = IgnoreList()) -> [String: String] {
    var found: [String: String] = [:]
    func visit(_ path: String, _ relative: String, above: [ino_t]) {
      var status = stat()
      guard stat(path, &status) == 0, !above.contains(status.st_ino) else { return }
      if status.st_mode & S_IFMT == S_IFREG { found[relative] = contents(path) }
      guard status.st_mode & S_IFMT == S_IFDIR else { return }
      found[relative] = "/"
      guard let directory = opendir(path) else { return }
      defer { closedir(directory) }
      while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name == "." || name == ".." || ignored.matches(name) { continue }
        visit("\(path)/\(name)", relative.isEmpty ? name : "\(relative)/\(name)", above: above + [status.st_ino])
      }
    }
    visit(root, "", above: [])
    return found
  }

  /// "!" for what cannot be read. Mode and time count, as `touch` and `chmod` are to be told.
  static func contents(_ path: String) -> String {
    var status = stat()
    guard stat(path, &status) == 0, let file = try? FileDescriptor.open(path, O_RDONLY) else { return "!" }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = read(file.rawValue, &bytes, bytes.count)
    let mode = String(status.st_mode & 0o777, radix: 8)
    return "\(mode) \(status.st_mtim.tv_sec) \(String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self))"
  }
}

/// An inotify that fails as it is told to.
final class ScriptedWatchSource: WatchSource {
  nonisolated enum Fault: CaseIterable, Sendable {
    case none
    /// Every watch is refused: fs.inotify.max_user_watches is 0.
    case refusesAll
    /// Every second new watch is.
    case refusesHalf
    /// All records are lost but that of the overflow.
    case overflows
  }

  private let kernel: Inotify
  let fault: Fault
  private var placed: Set<Int32> = []
  private var asked = 0
  private var injected: [InotifyRecord] = []

  init(_ fault: Fault = .none) throws {
    kernel = try Inotify()
    self.fault = fault
  }

  var descriptor: Int32 { kernel.descriptor }

  func add(_ path: String, _ mask: InotifyMask) throws(SystemError) -> Int32 {
    asked += 1
    let isRefused = fault == .refusesAll || (fault == .refusesHalf && asked % 2 == 0)
    if isRefused { throw SystemError(call: "inotify_add_watch", errno: ENOSPC, detail: path) }
    let watch = try kernel.add(path, mask)
    placed.insert(watch)
    return watch
  }

  func remove(_ watch: Int32) {
    placed.remove(watch)
    kernel.remove(watch)
  }

  /// Reports these records of every watch before the kernel's next.
  func inject(_ records: (Int32) -> [InotifyRecord]) { injected += placed.sorted().flatMap(records) }

  func read() -> [InotifyRecord] {
    defer { injected = [] }
    if !injected.isEmpty { return injected }
    let records = kernel.read()
    if fault == .overflows && !records.isEmpty { return [InotifyRecord(watch: -1, mask: .overflow)] }
    return records
  }
}

/// A temporary folder with `repo`, which is monitored, and `out`, which is not.
final class MonitoredFolder {
  let directory: TemporaryDirectory
  let loop: Reactor
  let monitor: InotifyMonitor
  let model = FileMonitorModel()
  let source: ScriptedWatchSource
  let log: LogRecorder
  var root: String { directory.file("repo") }

  convenience init(
    _ setup: String = "", fault: ScriptedWatchSource.Fault = .none, logLevel: Logger.Level = .warning
  ) throws {
    let directory = TemporaryDirectory()
    MonitoredFolder.run("mkdir repo out; \(setup)", in: directory)
    try self.init(sharing: directory, fault: fault, logLevel: logLevel)
  }

  /// Another monitor of the same folder.
  init(
    sharing directory: TemporaryDirectory, fault: ScriptedWatchSource.Fault, logLevel: Logger.Level = .warning
  ) throws {
    log = LogRecorder(level: logLevel)
    self.directory = directory
    loop = try Reactor()
    let source = try ScriptedWatchSource(fault)
    self.source = source
    monitor = InotifyMonitor(logger: log.logger, on: loop) { () throws(SystemError) in source }
    monitor.add(root, recursive: true, handler: model)
  }

  isolated deinit { monitor.shutdown() }

  /// Runs commands in the temporary folder.
  func shell(_ commands: String) { MonitoredFolder.run(commands, in: directory) }

  private static func run(_ commands: String, in directory: TemporaryDirectory) {
    let status = system("cd \(directory.path) && set -e; \(commands)")
    precondition(status == 0, "\(commands): \(status)")
  }
}
