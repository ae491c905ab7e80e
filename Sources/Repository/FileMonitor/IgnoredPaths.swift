import EventLoop
import Glibc

// Files `.bcfg2-ignore` of the repository are nodes of the trees that have their folders, so that they are watched and compared
// as all files are. They have no events: a change of one has the paths of its folder checked again.
extension MonitoredTree {
  nonisolated static let ignoreFileName = [UInt8](IgnoreFiles.fileName.utf8)

  /// Whether a node is a file with patterns.
  func isIgnoreFile(_ node: FileNode) -> Bool {
    node.isRoot ? handler is IgnoreFileHandler : obeysIgnoreFiles && node.name == Self.ignoreFileName
  }

  /// Records a difference for the handler; one of a file with patterns has that read.
  func record(_ node: FileNode, from was: ChangeSet.Kind?, to now: ChangeSet.Kind?) {
    guard isIgnoreFile(node) else { return changes.record(node.relativePath, from: was, to: now) }
    if let error = context.ignoreFiles.load(RepositoryPath.folder(of: node.path)) {
      couldNotRead(node.path, error.errno)
    }
  }

  /// Whether patterns hide a path of that kind.
  func isHidden(_ node: FileNode, _ kind: ChangeSet.Kind) -> Bool {
    guard obeysIgnoreFiles, !context.ignoreFiles.isEmpty, !isIgnoreFile(node) else { return false }
    if node.isRoot { return context.ignoreFiles.hides(node.path) }
    guard context.ignoreFiles.hides(node.path, isFolder: kind == .folder) else { return false }
    context.debugLog("Ignoring \(node.path)")
    return true
  }

  /// Checks everything of this tree in a folder whose patterns have changed.
  func checkAgain(below folder: String) {
    guard obeysIgnoreFiles else { return }
    let hint: Hint = [.path, .compare, .deep]
    if RepositoryPath.isSameOrBelow(path, folder) { return reconcile(root, hint) }
    guard RepositoryPath.isSameOrBelow(folder, path), let node = node(at: folder) else { return }
    reconcile(node, hint)
  }
}

/// The handler of files with patterns in folders that no tree has.
final class IgnoreFileHandler: FileEventHandler {
  var handlerName: String { "IgnoreFiles" }
  var followsRepository: Bool { false }
  func handleEvent(_ event: FileEvent) {}
}
