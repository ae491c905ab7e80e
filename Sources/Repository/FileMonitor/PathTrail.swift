/// Resolves a path (`PathWalk`) and watches each step before following it, so that replaced links, moved folders and
/// new files are noticed anywhere on it.
///
/// It ends at the first missing name, in the nearest existing folder.
final class PathTrail {
  private struct Step {
    let watch: Watch
    let name: [UInt8]
    let subscription: Watch.NameSubscription
  }

  private var steps: [Step] = []
  private let watches: WatchTable
  /// False if a folder on the way cannot be watched: only walking again finds changes.
  private(set) var isWatched = true
  /// The end of the walk.
  let end: PathWalk.End

  /// Walks the path.
  ///
  /// - Parameters:
  ///   - path: absolute, or relative to the folder.
  ///   - folder: absolute.
  /// - node: checked when a name on the way changes.
  init(_ path: String, from folder: String, for node: FileNode, watches: WatchTable) {
    self.watches = watches
    var steps: [Step] = []
    var isWatched = true
    var last: Watch.NameSubscription?
    end = PathWalk.walk(path, from: folder) { folder, name, isLast in
      let subscription = Watch.NameSubscription(node, isLast: isLast)
      last = subscription
      guard let watch = watches.watch(folder, isLast ? WatchTable.fileMask : WatchTable.nameMask) else {
        isWatched = false
        return
      }
      let bytes = [UInt8](name.utf8)
      watches.subscribe(watch, name: bytes, subscription)
      steps.append(Step(watch: watch, name: bytes, subscription: subscription))
    } link: {
      last?.isLast = false
    }
    self.steps = steps
    self.isWatched = isWatched
  }

  /// Removes the watches.
  func drop() {
    for step in steps { watches.unsubscribe(step.watch, name: step.name, step.subscription) }
    steps = []
  }
}
