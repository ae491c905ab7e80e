import EventLoop
import Glibc

// What is not there was deleted only where the folder that it was in says so. Otherwise it is away (an unmounted file
// system, a deployment that swaps folders) or cannot be read, and the model, and with it all that was read, stays.
extension MonitoredTree {
  /// What a look at a path found.
  enum Look {
    case there(stat)
    /// Deleted, or moved elsewhere by name.
    case gone
    /// Not there or not readable, and not deleted: of the node itself, or of the folder that it is in.
    case kept(NodeTrouble, of: FileNode)
    /// Another folder has the place of the one that the node was in.
    case inOtherFolder
  }

  /// Whether the monitored path itself leads nowhere by now, or no further for us.
  var isAway: Bool { root.trouble?.kind == .path }

  /// Asks the file system, and keeps the trail up to date.
  ///
  /// - Parameter hint: in the end as it applies to what the path leads to.
  func look(at node: FileNode, _ hint: inout Hint) -> Look {
    if node.isRoot {
      let isInPlace = hint.isSubset(of: [.closed, .touched]) && node.trail?.isWatched == true
      if !isInPlace { replaceTrail(node, PathTrail(path, from: "/", for: node, watches: context.watches)) }
      return lookThroughTrail(node, from: "/", target: path)
    }
    let status: stat
    switch FileSystem.look(node.path, followsLinks: false) {
    case .success(let found): status = found
    case .failure(let error): return absence(of: node, error.errno)
    }
    guard FileSystem.type(status) == S_IFLNK else {
      replaceTrail(node, nil)
      return .there(status)
    }
    // A new link may lead to an old file.
    if node.trail == nil, hint.contains(.created) { hint = hint.subtracting(.created).union(.path) }
    guard let target = FileSystem.linkTarget(node.path), let folder = node.parent?.path else { return .gone }
    replaceTrail(node, PathTrail(target, from: folder, for: node, watches: context.watches))
    return lookThroughTrail(node, from: folder, target: target)
  }

  /// The monitored path, or what a symbolic link leads to.
  private func lookThroughTrail(_ node: FileNode, from folder: String, target: String) -> Look {
    let status: stat
    switch FileSystem.look(node.path, followsLinks: true) {
    case .success(let found): status = found
    case .failure:
      // A look at each step: the trail's may be older.
      switch PathWalk.go(target, from: folder) {
      case .found(let path):
        // Back again, or, for stat(2) alone, unreadable. An event tells which.
        return node.kind == nil ? .gone : .kept(NodeTrouble(kind: .path, path: path, errno: EAGAIN), of: node)
      case .missing(let path, let isLast):
        return isDeleted(path, isLast: isLast, wasFolder: node.isFolder)
          ? .gone : kept(node, path, ENOENT)
      case .unreadable(let path, let errno): return kept(node, path, errno)
      }
    }
    guard let old = node.folder else { return .there(status) }
    guard FileSystem.type(status) == S_IFDIR else {
      let path = if case .found(let end) = PathWalk.go(target, from: folder) { end } else { node.path }
      return isDeleted(path, isLast: true, wasFolder: true) ? .there(status) : kept(node, path, ENOTDIR)
    }
    let identity = FileIdentity(status)
    if identity.device != old.identity.device, !old.children.isEmpty,
      case .success(let names) = FileSystem.names(in: node.path), names.isEmpty
    {
      // The place where a file system was mounted.
      return kept(node, node.path, ENODEV)
    }
    return .there(status)
  }

  private func kept(_ node: FileNode, _ path: String, _ errno: Int32) -> Look {
    node.kind == nil ? .gone : .kept(NodeTrouble(kind: .path, path: path, errno: errno), of: node)
  }

  /// A name of the tree that lstat(2) does not find.
  private func absence(of node: FileNode, _ errno: Int32) -> Look {
    guard let parent = node.parent, let folder = parent.folder else { return .gone }
    let name = String(decoding: node.name, as: UTF8.self)
    switch FileSystem.presence(of: name, in: parent.path, being: folder.identity) {
    case .absent:
      replaceTrail(node, nil)
      return .gone
    case .otherFolder: return .inOtherFolder
    case .present:
      // Back again, which an event tells; or just out of the reach of lstat(2).
      return hidden(node, in: parent, errno == ENOENT ? EAGAIN : errno)
    case .unknown(let errno): return hidden(node, in: parent, errno)
    }
  }

  /// A name that cannot be looked at is its folder's trouble: there may be thousands.
  private func hidden(_ node: FileNode, in parent: FileNode, _ errno: Int32) -> Look {
    parent.folder?.hasHiddenNames = true
    guard node.kind != nil else {
      context.complain("\(node.path): \(String(cString: strerror(errno)))")
      return .gone
    }
    return .kept(NodeTrouble(kind: .list, path: parent.path, errno: errno), of: parent)
  }

  /// Whether what a path missed was deleted by who tends the repository.
  ///
  /// - Parameters:
  ///   - path: the first step that is not there, without symbolic links; everything above it is there.
  ///   - isLast: whether it is what is monitored, and not a folder on the way there.
  ///
  /// Below a plugin's folder that is there everything counts as deleted, as for Bcfg2's monitors. The folder of a plugin,
  /// and a folder outside of the repository, is away; so is a file whose folder is.
  private func isDeleted(_ path: String, isLast: Bool, wasFolder: Bool) -> Bool {
    if let repository = context.repository, case .found(let top) = PathWalk.go(repository),
      path.utf8.starts(with: (top + "/").utf8)
    {
      let depth = path.utf8.dropFirst(top.utf8.count + 1).count { $0 == UInt8(ascii: "/") }
      if depth > 0 { return true }
    }
    return isLast && !wasFolder
  }

  /// Notes that a node stays as it was read.
  func keep(_ node: FileNode, _ trouble: NodeTrouble) {
    let isFolder = trouble.kind != .contents && handler.followsRepository
    context.troubles.note(trouble, of: node, isFolder: isFolder)
    updateUnwatched(node)
  }

  /// A handler was told of a file and could not read it: it is told again once it can be.
  func couldNotRead(_ path: String, _ errno: Int32) {
    guard let node = node(at: path), case .file = node.content else { return }
    keep(node, NodeTrouble(kind: .contents, path: path, errno: errno, nextLook: .now() + .seconds(1)))
  }

  /// The node of an absolute path; nil where the tree has none.
  private func node(at path: String) -> FileNode? {
    if path == self.path { return root }
    let prefix = self.path == "/" ? "/" : self.path + "/"
    guard path.utf8.starts(with: prefix.utf8) else { return nil }
    var node: FileNode = root
    for name in path.utf8.dropFirst(prefix.utf8.count).split(separator: UInt8(ascii: "/")) {
      guard let child = node.folder?.children[Array(name)] else { return nil }
      node = child
    }
    return node
  }

  /// Whether a node in trouble of which no event tells is worth a look.
  func isWorthALook(_ node: FileNode, now: MonotonicTime) -> Bool {
    guard let trouble = node.trouble else { return true }
    guard trouble.nextLook <= now else { return false }
    guard trouble.kind == .path, node.isRoot else { return true }
    switch PathWalk.go(path) {
    case .missing(let path, _): return trouble.errno != ENOENT || path != trouble.path
    case .unreadable(let path, let errno): return trouble.errno != errno || path != trouble.path
    case .found: return true
    }
  }
}
