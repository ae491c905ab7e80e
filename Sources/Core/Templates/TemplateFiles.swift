import Glibc
import Repository
import Templates
import XMLRPC

/// Files of the repository that templates have read: watched, so that a change makes what was built with them old.
final class TemplateFiles: FileEventHandler {
  /// The most files that are watched for templates; where there are more, all are forgotten, with the results that look at
  /// them: the names may have come from clients.
  static var limit = 20_000
  /// The most of them that are watched for one template, so that none has all forgotten time and again.
  private static var shareOfOne: Int { limit / 2 }

  private unowned let core: ServerCore
  private var watched: NameSet = []
  /// How many of them each template was the first to read.
  private var counts: NameTable<Int> = [:]
  private var signatures: NameTable<(generation: UInt64, signature: String)> = [:]
  /// Grows when they are forgotten: what was watched before is not any more.
  private(set) var forgottenCount = 0

  init(core: ServerCore) { self.core = core }

  var handlerName: String { "TemplateFiles" }
  /// What exists when a watch is placed is no change.
  var reportsChanges: Bool { true }

  /// Watches files and folders, existing or not. False where they are too many, at once or for this template.
  func watch(_ paths: [String], for template: String) -> Bool {
    let new = NameSet(paths.filter { !watched.contains($0) })
    guard !new.isEmpty else { return true }
    guard (counts[template] ?? 0) + new.count <= Self.shareOfOne else { return false }
    if watched.count + new.count > Self.limit { forgetAll() }
    let missing = NameSet(paths.filter { !watched.contains($0) })
    guard watched.count + missing.count <= Self.limit else { return false }
    counts[template] = (counts[template] ?? 0) + missing.count
    for path in missing {
      watched.insert(path)
      // It may have been looked up while nobody would have told of a change.
      signatures[path] = nil
      core.fileMonitor.add(path, recursive: false, handler: self)
    }
    return true
  }

  /// Answers that are kept as a whole were made with the results that go: they are made anew.
  private func forgetAll() {
    guard !watched.isEmpty else { return }
    forgottenCount += 1
    core.fileMonitor.remove(nil, handler: self)
    watched.removeAll()
    counts.removeAll()
    signatures.removeAll()
    core.templates.kept.forget { $0.list?.first?.text == "file" }
    core.repositoryChanged()
  }

  func handleEvent(_ event: FileEvent) {
    guard event.action != .exists else { return }
    signatures.removeAll()
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
    // Those of results that went stay no longer than what is watched.
    if signatures.count >= Self.limit { signatures.removeAll() }
    signatures[path] = (generation, text)
    return text
  }
}
