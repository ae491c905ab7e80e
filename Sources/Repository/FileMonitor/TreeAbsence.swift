import EventLoop
import Glibc

// A missing path counts as deleted only if its folder still exists without it. Otherwise it is missing (an unmounted
// file system, a deployment that swaps folders) or unreadable, and the model and all contents read stay.
extension MonitoredTree {
  /// The result of checking a path.
  enum Finding {
    case there(stat)
    /// Deleted, or renamed.
    case gone
    /// Missing or unreadable, but not deleted: the node itself, or its folder.
    case kept(NodeTrouble, of: FileNode)
    /// Another folder has taken the place of the node's folder.
    case inOtherFolder
  }

  /// Whether the monitored path itself is missing or unreachable.
  var isAway: Bool { root.trouble?.kind == .path }

  /// Checks a node in the file system, and updates its trail.
  ///
  /// - Parameter hint: on return, the hint that applies to the path's target.
  func inspect(_ node: FileNode, _ hint: inout Hint) -> Finding {
    if node.isRoot {
      let isInPlace = hint.isSubset(of: [.closed, .touched]) && node.trail?.isWatched == true
      if !isInPlace { replaceTrail(node, PathTrail(path, from: "/", for: node, watches: context.watches)) }
      return inspectThroughTrail(node, from: "/", target: path)
    }
    let status: stat
    switch FileSystem.inspect(node.path, followsLinks: false) {
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
    return inspectThroughTrail(node, from: folder, target: target)
  }

  /// Checks the monitored path, or the target of a symbolic link.
  private func inspectThroughTrail(_ node: FileNode, from folder: String, target: String) -> Finding {
    let status: stat
    switch FileSystem.inspect(node.path, followsLinks: true) {
    case .success(let found): status = found
    case .failure:
      // Walk again: the trail may be outdated.
      switch PathWalk.walk(target, from: folder) {
      case .found(let path):
        // It exists again, or only stat(2) fails. An event tells which.
        return node.kind == nil ? .gone : .kept(NodeTrouble(kind: .path, path: path, errno: EAGAIN), of: node)
      case .missing(let path, let isLast):
        return isDeleted(path, isLast: isLast, wasFolder: node.isFolder)
          ? .gone : kept(node, path, ENOENT)
      case .unreadable(let path, let errno): return kept(node, path, errno)
      }
    }
    guard let old = node.folder else { return .there(status) }
    guard FileSystem.type(status) == S_IFDIR else {
      let path = if case .found(let end) = PathWalk.walk(target, from: folder) { end } else { node.path }
      return isDeleted(path, isLast: true, wasFolder: true) ? .there(status) : kept(node, path, ENOTDIR)
    }
    let identity = FileIdentity(status)
    if identity.device != old.identity.device, !old.children.isEmpty,
      case .success(let names) = FileSystem.names(in: node.path), names.isEmpty
    {
      // An empty mount point without its file system.
      return kept(node, node.path, ENODEV)
    }
    return .there(status)
  }

  private func kept(_ node: FileNode, _ path: String, _ errno: Int32) -> Finding {
    node.kind == nil ? .gone : .kept(NodeTrouble(kind: .path, path: path, errno: errno), of: node)
  }

  /// Handles a name of the tree that lstat(2) does not find.
  private func absence(of node: FileNode, _ errno: Int32) -> Finding {
    guard let parent = node.parent, let folder = parent.folder else { return .gone }
    let name = String(decoding: node.name, as: UTF8.self)
    switch FileSystem.presence(of: name, in: parent.path, being: folder.identity) {
    case .absent:
      replaceTrail(node, nil)
      return .gone
    case .otherFolder: return .inOtherFolder
    case .present:
      // It exists again, which an event reports; or only lstat(2) fails.
      return hidden(node, in: parent, errno == ENOENT ? EAGAIN : errno)
    case .unknown(let errno): return hidden(node, in: parent, errno)
    }
  }

  /// Attributes an unreadable name to its folder: there may be thousands.
  private func hidden(_ node: FileNode, in parent: FileNode, _ errno: Int32) -> Finding {
    parent.folder?.hasHiddenNames = true
    guard node.kind != nil else {
      context.warnOnce("\(node.path): \(String(cString: strerror(errno)))")
      return .gone
    }
    return .kept(NodeTrouble(kind: .list, path: parent.path, errno: errno), of: parent)
  }

  /// Whether an administrator deleted a missing path.
  ///
  /// - Parameters:
  ///   - path: the first missing step, without symbolic links; everything above it exists.
  ///   - isLast: whether it is the monitored path, and not a folder above it.
  ///
  /// Below an existing folder of a plugin everything counts as deleted, as for Bcfg2's monitors. A plugin's own folder,
  /// and a folder outside the repository, counts as missing; so does a file in a missing folder.
  private func isDeleted(_ path: String, isLast: Bool, wasFolder: Bool) -> Bool {
    if let repository = context.repository, case .found(let top) = PathWalk.walk(repository),
      path.utf8.starts(with: (top + "/").utf8)
    {
      let depth = path.utf8.dropFirst(top.utf8.count + 1).count { $0 == UInt8(ascii: "/") }
      if depth > 0 { return true }
    }
    return isLast && !wasFolder
  }

  /// Keeps a node in the state read last.
  func keepContent(of node: FileNode, _ trouble: NodeTrouble) {
    let isFolder = trouble.kind != .contents && handler.followsRepository
    context.troubles.record(trouble, of: node, isFolder: isFolder)
    updateUnwatched(node)
  }

  /// Marks a file that its handler could not read: a changed event follows once it is readable.
  func couldNotRead(_ path: String, _ errno: Int32) {
    guard let node = node(at: path), case .file = node.content else { return }
    keepContent(of: node, NodeTrouble(kind: .contents, path: path, errno: errno, nextCheck: .now() + .seconds(1)))
  }

  /// The node of an absolute path; nil if the tree has none.
  func node(at path: String) -> FileNode? {
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

  /// Whether it is time to check a node whose recovery no event reports.
  func isDueForCheck(_ node: FileNode, now: MonotonicTime) -> Bool {
    guard let trouble = node.trouble else { return true }
    guard trouble.nextCheck <= now else { return false }
    guard trouble.kind == .path, node.isRoot else { return true }
    switch PathWalk.walk(path) {
    case .missing(let path, _): return trouble.errno != ENOENT || path != trouble.path
    case .unreadable(let path, let errno): return trouble.errno != errno || path != trouble.path
    case .found: return true
    }
  }
}
