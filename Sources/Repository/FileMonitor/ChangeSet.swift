/// Collects the differences between two states of one monitored path, at most one event a path.
///
/// Only a file that became a folder, or the reverse, gets two: `deleted`, then `created`.
struct ChangeSet {
  /// The kind of an existing path, as handlers know it.
  nonisolated enum Kind: Equatable, Sendable { case file, folder }

  private struct Change {
    let relativePath: String
    /// Before the set, and now.
    let was: Kind?
    var now: Kind?
  }

  /// By the bytes of the relative path: strings that Unicode considers equal can name two files.
  private var changes: [[UInt8]: Change] = [:]

  var isEmpty: Bool { changes.isEmpty }

  /// Records a step of a path's history. Only the first `from` and the last `to` of a set count.
  mutating func record(_ relativePath: String, from was: Kind?, to now: Kind?) {
    changes[[UInt8](relativePath.utf8), default: Change(relativePath: relativePath, was: was, now: now)].now = now
  }

  /// Ends the set and returns its events.
  ///
  /// - Returns: deletions, files before their folders; then new and changed paths, folders before their files; each in
  ///   path order. A folder that existed before and after has no event of its own.
  mutating func drain(root: String, isFirstScan: Bool) -> (deleted: [FileEvent], present: [FileEvent]) {
    var deleted: [(key: [UInt8], event: FileEvent)] = []
    var present: [(key: [UInt8], event: FileEvent)] = []
    for (key, change) in changes {
      let path = key.isEmpty ? root : (root == "/" ? "" : root) + "/" + change.relativePath
      func event(_ action: FileAction, _ kind: Kind) -> FileEvent {
        FileEvent(action: action, path: path, relativePath: change.relativePath, isDirectory: kind == .folder)
      }
      if let was = change.was, was != change.now {
        // 0xFF is in no UTF-8: it sorts a folder after everything below it.
        let order = was == .folder ? (key.isEmpty ? [0xFF] : key + [UInt8(ascii: "/"), 0xFF]) : key
        deleted.append((order, event(.deleted, was)))
      }
      guard let now = change.now else { continue }
      if now != change.was {
        present.append((key, event(isFirstScan ? .exists : .created, now)))
      } else if now == .file {
        present.append((key, event(.changed, now)))
      }
    }
    changes.removeAll()
    deleted.sort { $0.key.lexicographicallyPrecedes($1.key) }
    present.sort { $0.key.lexicographicallyPrecedes($1.key) }
    return (deleted.map(\.event), present.map(\.event))
  }
}
