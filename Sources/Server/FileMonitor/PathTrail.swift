import Glibc

/// The way that a path takes through folders and symbolic links, each step watched before it is looked at: so that a
/// link that is swapped, a folder that is moved and a file that comes into being are noticed wherever they are.
///
/// It ends at the first name that does not exist, whose folder is the nearest that does.
final class PathTrail {
  /// As the kernel's MAXSYMLINKS: a longer chain, or a loop, leads nowhere.
  private static let linkLimit = 40

  private struct Step {
    let watch: Watch
    let name: [UInt8]
    let subscription: Watch.NameSubscription
  }

  private var steps: [Step] = []
  private let watches: WatchTable
  /// False where a folder on the way cannot be watched: the way must be gone again to learn of changes.
  private(set) var isWatched = true

  /// Goes the way.
  ///
  /// - Parameters:
  ///   - path: absolute, or relative to the folder.
  ///   - folder: absolute.
  ///   - node: told of what happens to a name on the way.
  init(_ path: String, from folder: String, for node: FileNode, watches: WatchTable) {
    self.watches = watches
    var current = folder
    var rest: [String] = []
    func push(_ path: String) {
      if path.utf8.first == UInt8(ascii: "/") { current = "/" }
      rest += path.utf8.split(separator: UInt8(ascii: "/")).reversed().map { String(Substring($0)) }
    }
    push(path)
    var links = 0
    while let name = rest.popLast() {
      if name == "." { continue }
      let next = current == "/" ? "/" + name : current + "/" + name
      if name == ".." {
        current = next
        continue
      }
      let isLast = rest.isEmpty
      let subscription = Watch.NameSubscription(node, isLast: isLast)
      add(current, [UInt8](name.utf8), subscription)
      guard let status = FileSystem.linkStatus(next) else { return }
      switch FileSystem.type(status) {
      case S_IFLNK:
        subscription.isLast = false
        links += 1
        guard links <= PathTrail.linkLimit, let target = FileSystem.linkTarget(next) else { return }
        push(target)
      case S_IFDIR: current = next
      default: if !isLast { return }
      }
    }
  }

  private func add(_ folder: String, _ name: [UInt8], _ subscription: Watch.NameSubscription) {
    guard let watch = watches.watch(folder, subscription.isLast ? WatchTable.fileMask : WatchTable.nameMask) else {
      isWatched = false
      return
    }
    watches.subscribe(watch, name: name, subscription)
    steps.append(Step(watch: watch, name: name, subscription: subscription))
  }

  /// Gives up the watches.
  func drop() {
    for step in steps { watches.unsubscribe(step.watch, name: step.name, step.subscription) }
    steps = []
  }
}
