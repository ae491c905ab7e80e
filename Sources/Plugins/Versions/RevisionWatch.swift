import Repository

/// Watches the few files that change when a version control program makes another revision.
final class RevisionWatch: FileEventHandler {
  private let monitor: any FileMonitor
  private let files: () -> [String]
  private let onChange: () -> Void
  private var watched: Set<String> = []
  private var isWatching = false

  var handlerName: String { "RevisionWatch" }
  /// What changes is the revision, not the repository.
  var reportsChanges: Bool { true }
  var followsRepository: Bool { false }

  /// - Parameters:
  ///   - files: which files these are now.
  ///   - onChange: called after changes to any of them.
  init(monitor: any FileMonitor, files: @escaping () -> [String], onChange: @escaping () -> Void) {
    self.monitor = monitor
    self.files = files
    self.onChange = onChange
    watch()
  }

  func handleEvent(_ event: FileEvent) {}

  func changesApplied() {
    // The watch is placed before the files are read.
    guard !isWatching else { return }
    watch()
    onChange()
  }

  /// The watch comes before the read: which files there are is asked again after each new watch.
  private func watch() {
    isWatching = true
    defer { isWatching = false }
    for _ in 0..<Self.limitRounds {
      let wanted = Set(files())
      for path in watched.subtracting(wanted).sorted() { monitor.remove(path, handler: self) }
      let new = wanted.subtracting(watched).sorted()
      watched = wanted
      if new.isEmpty { return }
      for path in new { monitor.add(path, recursive: false, handler: self) }
    }
  }

  /// Files name other files: HEAD a branch, which may be symbolic again.
  private static let limitRounds = 8
}
