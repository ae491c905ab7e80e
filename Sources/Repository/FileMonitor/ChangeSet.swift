/// What differs between two states of one monitored path; at most one event a path comes of it.
///
/// A path that was a file and is now a folder, or the reverse, is the one exception: `deleted`, then `created`.
struct ChangeSet {
  /// What is at a path, as far as handlers are told.
  nonisolated enum Kind: Equatable, Sendable { case file, folder }

  private struct Change {
    let relativePath: String
    /// Before the set, and now.
    let was: Kind?
    var now: Kind?
  }

  /// By the bytes of the relative path: strings that are equal in Unicode's eyes can name two files.
  private var changes: [[UInt8]: Change] = [:]

  var isEmpty: Bool { changes.isEmpty }

  /// Notes a step of a path's history; only the first `from` and the last `to` of a set count.
  mutating func record(_ relativePath: String, from was: Kind?, to now: Kind?) {
    changes[[UInt8](relativePath.utf8), default: Change(relativePath: relativePath, was: was, now: now)].now = now
  }

  /// Ends the set.
  ///
  /// - Returns: what is gone, files before the folders that held them; then what is new or differs, folders before
  ///   their files; each in path order. A folder that was there before and is now tells nothing itself.
  mutating func take(root: String, isFirstScan: Bool) -> (deleted: [FileEvent], present: [FileEvent]) {
    var deleted: [(key: [UInt8], event: FileEvent)] = []
    var present: [(key: [UInt8], event: FileEvent)] = []
    for (key, change) in changes {
      let path = key.isEmpty ? root : (root == "/" ? "" : root) + "/" + change.relativePath
      func event(_ action: FileAction, _ kind: Kind) -> FileEvent {
        FileEvent(action: action, path: path, relativePath: change.relativePath, isDirectory: kind == .folder)
      }
      if let was = change.was, was != change.now {
        // 0xFF is in no UTF-8: a folder comes after all that is below it.
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
