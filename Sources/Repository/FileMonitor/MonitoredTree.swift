import EventLoop
import Glibc

/// A monitored path and what was found below it: the model that is compared with the file system.
///
/// Events of the kernel only say where to look. A look (`reconcile`) places watches, asks stat(2), and notes the
/// difference to the model in `changes`; so many events of one path come to one change, and a look too many is harmless.
///
/// What cannot be read is not deleted: see TreeAbsence.swift.
final class MonitoredTree {
  let path: String
  let isRecursive: Bool
  let handler: any FileEventHandler
  let context: TreeContext
  var changes = ChangeSet()
  private(set) var root: FileNode!
  private var isFirstScan = true

  /// - Parameter path: absolute, without a slash at its end.
  init(path: String, isRecursive: Bool, handler: any FileEventHandler, context: TreeContext) {
    self.path = path
    self.isRecursive = isRecursive
    self.handler = handler
    self.context = context
    root = FileNode(rootOf: self)
  }

  /// Looks at everything for the first time.
  func begin() {
    reconcile(root, .path)
    isFirstScan = false
  }

  /// Gives up all watches; handlers are told nothing.
  func end() {
    vanish(root)
    root.trail?.drop()
    root.trail = nil
    root.isAttached = false
    context.unwatched[ObjectIdentifier(root)] = nil
    changes = ChangeSet()
  }

  // MARK: Looking

  /// Looks at a name in a folder of the tree.
  func reconcile(_ name: [UInt8], in parent: FileNode, _ hint: Hint) {
    guard parent.isAttached, let folder = parent.folder, parent.listsChildren else { return }
    if let child = folder.children[name] { return reconcile(child, hint) }
    guard let text = String(validating: name, as: UTF8.self) else {
      let shown = String(decoding: name, as: UTF8.self)
      return context.complain("\(parent.path)/\(shown): the name is not UTF-8, ignored")
    }
    if context.ignored.matches(text) { return context.debugLog("Ignoring \(parent.path)/\(text)") }
    let child = FileNode(name: name, text: text, in: parent)
    folder.children[name] = child
    reconcile(child, hint)
  }

  /// Looks at a path and notes what differs.
  func reconcile(_ node: FileNode, _ hint: Hint) {
    // While the monitored path is away, what is below it is elsewhere, or nowhere.
    guard node.isAttached, node.isRoot || !isAway else { return }
    var hint = hint
    let status: stat
    switch look(at: node, &hint) {
    case .there(let found): status = found
    case .gone:
      vanish(node)
      return settle(node)
    case .kept(let trouble, let holder):
      keep(holder, trouble)
      return settle(node)
    case .inOtherFolder:
      if let parent = node.parent { reconcile(parent, [.path, .compare]) }
      return
    }
    if node.trouble?.kind == .path {
      context.troubles.clear(node)
      // Nobody looked since.
      hint.formUnion([.path, .compare, .deep])
    }
    let found = what(is: status, at: node)
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

  /// The new trail holds its watches already, so those that it shares with the old one live on.
  func replaceTrail(_ node: FileNode, _ trail: PathTrail?) {
    node.trail?.drop()
    node.trail = trail
  }

  private func what(is status: stat, at node: FileNode) -> ChangeSet.Kind? {
    switch FileSystem.type(status) {
    case S_IFREG: return .file
    case S_IFDIR:
      let identity = FileIdentity(status)
      var above = node.parent
      while let folder = above {
        if folder.folder?.identity == identity {
          context.complain("\(node.path): a symbolic link to a folder above it, ignored")
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
      return changes.record(node.relativePath, from: nil, to: .file)
    }
    let new = FileState(status, path: node.path)
    let isChanged =
      !hint.isDisjoint(with: [.closed, .moved]) || node.trouble != nil
      || (hint.contains(.compare) ? new.differsStrictly(from: old, path: node.path) : new.differs(from: old))
    // First: what may not be opened cannot be asked for its writers either.
    if isChanged, let errno = FileSystem.readError(node.path), errno != ENOENT {
      return keep(node, NodeTrouble(kind: .contents, path: node.path, errno: errno))
    }
    if isChanged && isUnfinished(node, status, hint) { return }
    context.troubles.clear(node)
    node.content = .file(new)
    if isChanged { changes.record(node.relativePath, from: .file, to: .file) }
  }

  /// Whether a writer will tell by closing the file when it is to be read.
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
      changes.record(node.relativePath, from: nil, to: .folder)
    }
    guard node.listsChildren else {
      folder.identity = identity
      return
    }
    // The watch comes before the list. A folder that is swapped in between is told by the watch of the one above it,
    // and found here by its watch or number.
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
      // One that is gone by now is told of by the folder above it.
      if error.errno == ENOENT || error.errno == ENOTDIR { return }
      guard folder.wasListed else { return context.complain("\(error)") }
      return keep(node, NodeTrouble(kind: .list, path: node.path, errno: error.errno))
    }
    folder.wasListed = true
    let present = Set(names)
    for name in folder.children.keys where !present.contains(name) { names.append(name) }
    // What could not be looked at may have changed unseen.
    let hint = node.trouble == nil ? hint : hint.union([.path, .compare, .deep])
    let below: Hint = hint.intersection([.path, .compare, .deep, .settled])
    folder.hasHiddenNames = false
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

  /// The node has no content any more, nor has anything below it.
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
    changes.record(node.relativePath, from: kind, to: nil)
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
