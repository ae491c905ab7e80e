import Glibc
import Repository

/// Files of the repository that templates have read: watched, so that a change makes what was built with them old.
final class TemplateFiles: FileEventHandler {
  /// The most files that are watched for templates; a template that reads more is rendered each time.
  static let limit = 20_000

  private unowned let core: ServerCore
  private var watched: Set<String> = []
  private var signatures: [String: (generation: UInt64, signature: String)] = [:]

  init(core: ServerCore) { self.core = core }

  var handlerName: String { "TemplateFiles" }
  /// What exists when a watch is placed is no change.
  var reportsChanges: Bool { true }

  /// Watches a file or a folder, existing or not. False where there are too many.
  func watch(_ path: String) -> Bool {
    if watched.contains(path) { return true }
    guard watched.count < Self.limit else { return false }
    watched.insert(path)
    core.fileMonitor.add(path, recursive: false, handler: self)
    return true
  }

  func handleEvent(_ event: FileEvent) {
    guard event.action != .exists else { return }
    signatures.removeAll(keepingCapacity: true)
    core.repositoryChanged()
  }

  /// What tells one version of a file from another, as renderer/trace.py writes it; empty where there is none. Looked up
  /// once for each state of the repository.
  func signature(_ path: String) -> String {
    let generation = core.repositoryGeneration
    if let known = signatures[path], known.generation == generation { return known.signature }
    var status = stat()
    var text = ""
    if stat(path, &status) == 0 {
      let time = status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
      text = "\(time) \(status.st_size) \(status.st_ino) \(status.st_mode)"
    }
    signatures[path] = (generation, text)
    return text
  }
}
