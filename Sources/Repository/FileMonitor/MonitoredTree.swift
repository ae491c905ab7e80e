import EventLoop
import Glibc

/// A monitored path and everything found below it: a model that is compared with the file system.
///
/// Kernel events only say what to check. `reconcile` places watches, calls stat(2), and records differences to the
/// model in `changes`. Many events of one path therefore make one change, and an unnecessary check is harmless.
///
/// An unreadable path is not deleted: see TreeAbsence.swift.
final class MonitoredTree {
  let path: String
  let isRecursive: Bool
  let handler: any FileEventHandler
  let context: TreeContext
  /// Whether files `.bcfg2-ignore` hide paths of it.
  let obeysIgnoreFiles: Bool
  var changes = ChangeSet()
  private(set) var root: FileNode!
  private var isFirstScan = true

  /// - Parameter path: absolute, without a trailing slash.
  init(path: String, isRecursive: Bool, handler: any FileEventHandler, context: TreeContext) {
    self.path = path
    self.isRecursive = isRecursive
    self.handler = handler
    self.context = context
    obeysIgnoreFiles = handler.followsRepository && context.ignoreFiles.covers(path)
    root = FileNode(rootOf: self)
  }

  /// Performs the first scan.
  func begin() {
    reconcile(root, .path)
    isFirstScan = false
  }

  /// Removes all watches without events.
  func end() {
    vanish(root)
    root.trail?.drop()
    root.trail = nil
    root.isAttached = false
    context.unwatched[ObjectIdentifier(root)] = nil
    changes = ChangeSet()
  }

  // MARK: Looking

  /// Checks a name in a folder of the tree.
  func reconcile(_ name: [UInt8], in parent: FileNode, _ hint: Hint) {
    guard parent.isAttached, let folder = parent.folder, parent.listsChildren else { return }
    if let child = folder.children[name] { return reconcile(child, hint) }
    guard let text = String(validating: name, as: UTF8.self) else {
      let shown = String(decoding: name, as: UTF8.self)
      return context.warnOnce("\(parent.path)/\(shown): the name is not UTF-8, ignored")
    }
    if context.ignored.matches(text), !(obeysIgnoreFiles && name == Self.ignoreFileName) {
      return context.debugLog("Ignoring \(parent.path)/\(text)")
    }
    let child = FileNode(name: name, text: text, in: parent)
    folder.children[name] = child
    reconcile(child, hint)
  }

  /// Checks a path and records differences.
  func reconcile(_ node: FileNode, _ hint: Hint) {
    // While the monitored path is missing, everything below it is elsewhere, or nowhere.
    guard node.isAttached, node.isRoot || !isAway else { return }
    var hint = hint
    let status: stat
    switch inspect(node, &hint) {
    case .there(let found): status = found
    case .gone:
      vanish(node)
      return settle(node)
    case .kept(let trouble, let holder):
      keepContent(of: holder, trouble)
      return settle(node)
    case .inOtherFolder:
      if let parent = node.parent { reconcile(parent, [.path, .compare]) }
      return
    }
    if node.trouble?.kind == .path {
      context.troubles.clear(node)
      // Nothing below it was checked while it was missing.
      hint.formUnion([.path, .compare, .deep])
    }
    let found = kind(of: status, at: node)
    if let found, isHidden(node, found) { return hide(node) }
    if node.kind != nil && node.kind != found { vanish(node) }
    switch found {
    case nil: break
    case .file: reconcileFile(node, status, hint)
    case .folder: reconcileFolder(node, FileIdentity(status), hint)
    }
    settle(node)
  }

  private func settle(_ node: FileNode) {
    updateUnwatched(node)
    if case .absent = node.content, node.trail == nil { detach(node) }
  }

  /// The new trail already holds its watches, so those shared with the old one survive.
  func replaceTrail(_ node: FileNode, _ trail: PathTrail?) {
    node.trail?.drop()
    node.trail = trail
  }

  private func kind(of status: stat, at node: FileNode) -> ChangeSet.Kind? {
    switch FileSystem.type(status) {
    case S_IFREG: return .file
    case S_IFDIR:
      if isIgnoreFile(node) {
        context.warnOnce("\(node.path): a folder, ignored")
        return nil
      }
      let identity = FileIdentity(status)
      var above = node.parent
      while let folder = above {
        if folder.folder?.identity == identity {
          context.warnOnce("\(node.path): a symbolic link to a folder above it, ignored")
          return nil
        }
        above = folder.parent
      }
      return .folder
    default:
      context.debugLog("Ignoring \(node.path): neither a file nor a folder")
      return nil
    }
  }

  // MARK: Files

  private func reconcileFile(_ node: FileNode, _ status: stat, _ hint: Hint) {
    guard case .file(let old) = node.content else {
      if isUnfinished(node, status, hint) { return }
      node.content = .file(FileState(status, path: node.path))
      return record(node, from: nil, to: .file)
    }
    let new = FileState(status, path: node.path)
    let isChanged =
      !hint.isDisjoint(with: [.closed, .moved]) || node.trouble != nil
      || (hint.contains(.compare) ? new.differsStrictly(from: old, path: node.path) : new.differs(from: old))
    // Check readability first: the lease below needs an open file.
    if isChanged, let errno = FileSystem.readError(node.path), errno != ENOENT {
      return keepContent(of: node, NodeTrouble(kind: .contents, path: node.path, errno: errno))
    }
    if isChanged && isUnfinished(node, status, hint) { return }
    context.troubles.clear(node)
    node.content = .file(new)
    if isChanged { record(node, from: .file, to: .file) }
  }

  /// Whether a writer still has the file open; a later event reports that it was closed.
  private func isUnfinished(_ node: FileNode, _ status: stat, _ hint: Hint) -> Bool {
    if isFirstScan || !hint.isDisjoint(with: [.closed, .moved, .settled]) { return false }
    if hint.contains(.created) && status.st_nlink > 1 { return false }
    return FileSystem.isBeingWritten(node.path) ?? !hint.isDisjoint(with: [.created, .touched])
  }

  // MARK: Folders

  private func reconcileFolder(_ node: FileNode, _ identity: FileIdentity, _ hint: Hint) {
    let isNew = !node.isFolder
    let folder = node.folder ?? FileNode.Folder(identity: identity)
    if isNew {
      node.content = .folder(folder)
      record(node, from: nil, to: .folder)
    }
    guard node.listsChildren else {
      folder.identity = identity
      return
    }
    // Watch before listing. If the folder is replaced in between, the watch of its parent reports it, and the check
    // here finds another watch or inode.
    let watch = context.watches.watch(node.path, WatchTable.fileMask)
    let isReplaced = !isNew && (identity != folder.identity || (watch !== folder.watch && folder.watch != nil))
    let old = folder.watch
    if let watch, watch !== old { context.watches.subscribe(watch, folder: node) }
    folder.watch = watch
    folder.identity = identity
    if let old, old !== watch { context.watches.unsubscribe(old, folder: node) }
    if isNew || isReplaced || hint.contains(.compare) || (watch != nil && old == nil) {
      list(node, folder, isReplaced ? hint.union([.path, .compare, .deep]) : hint)
    } else if hint.contains(.touched) {
      list(node, folder, [.path, .compare])
    }
  }

  private func list(_ node: FileNode, _ folder: FileNode.Folder, _ hint: Hint) {
    var names: [[UInt8]]
    switch FileSystem.names(in: node.path) {
    case .success(let found): names = found
    case .failure(let error):
      // If it was deleted meanwhile, its parent folder reports it.
      if error.errno == ENOENT || error.errno == ENOTDIR { return }
      guard folder.wasListed else { return context.warnOnce("\(error)") }
      return keepContent(of: node, NodeTrouble(kind: .list, path: node.path, errno: error.errno))
    }
    folder.wasListed = true
    let present = Set(names)
    for name in folder.children.keys where !present.contains(name) { names.append(name) }
    // Paths that could not be checked may have changed unnoticed.
    let hint = node.trouble == nil ? hint : hint.union([.path, .compare, .deep])
    let below: Hint = hint.intersection([.path, .compare, .deep, .settled])
    folder.hasHiddenNames = false
    // What it hides is not looked at.
    if obeysIgnoreFiles {
      if let place = names.firstIndex(of: Self.ignoreFileName) {
        names.swapAt(place, 0)
      } else {
        context.ignoreFiles.loadIfKnown(node.path)
      }
    }
    for name in names {
      if let child = folder.children[name] {
        reconcile(child, child.isFolder && !hint.contains(.deep) ? .path : below)
      } else {
        reconcile(name, in: node, below.union(.path))
      }
    }
    if !folder.hasHiddenNames { context.troubles.clear(node) }
  }

  // MARK: Ends

  /// Removes the content of the node and of everything below it.
  private func vanish(_ node: FileNode) {
    context.troubles.clear(node, isGone: true)
    guard let kind = node.kind else { return }
    if let folder = node.folder {
      for child in folder.children.values {
        vanish(child)
        replaceTrail(child, nil)
        detach(child)
      }
      if let watch = folder.watch { context.watches.unsubscribe(watch, folder: node) }
    }
    node.content = .absent
    record(node, from: kind, to: nil)
  }

  /// Removes a node that is hidden; the monitored path itself stays watched.
  private func hide(_ node: FileNode) {
    vanish(node)
    if !node.isRoot { replaceTrail(node, nil) }
    settle(node)
  }

  private func detach(_ node: FileNode) {
    guard let parent = node.parent else { return }
    node.isAttached = false
    context.troubles.clear(node, isGone: true)
    parent.folder?.children[node.name] = nil
    context.unwatched[ObjectIdentifier(node)] = nil
  }

  func updateUnwatched(_ node: FileNode) {
    let isUnwatched =
      node.trail?.isWatched == false || node.trouble.map { !$0.hasEvents } == true
      || (node.listsChildren && node.folder.map { $0.watch == nil } == true)
    context.unwatched[ObjectIdentifier(node)] = isUnwatched ? node : nil
  }
}
