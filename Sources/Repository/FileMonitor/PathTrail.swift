/// The way that a path takes (`PathWalk`), each step watched before it is looked at: so that a link that is swapped, a
/// folder that is moved and a file that comes into being are noticed wherever they are.
///
/// It ends at the first name that does not exist, whose folder is the nearest that does.
final class PathTrail {
  private struct Step {
    let watch: Watch
    let name: [UInt8]
    let subscription: Watch.NameSubscription
  }

  private var steps: [Step] = []
  private let watches: WatchTable
  /// False where a folder on the way cannot be watched: the way must be gone again to learn of changes.
  private(set) var isWatched = true
  /// Where it ended.
  let end: PathWalk.End

  /// Goes the way.
  ///
  /// - Parameters:
  ///   - path: absolute, or relative to the folder.
  ///   - folder: absolute.
  ///   - node: told of what happens to a name on the way.
  init(_ path: String, from folder: String, for node: FileNode, watches: WatchTable) {
    self.watches = watches
    var steps: [Step] = []
    var isWatched = true
    var last: Watch.NameSubscription?
    end = PathWalk.go(path, from: folder) { folder, name, isLast in
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

  /// Gives up the watches.
  func drop() {
    for step in steps { watches.unsubscribe(step.watch, name: step.name, step.subscription) }
    steps = []
  }
}
