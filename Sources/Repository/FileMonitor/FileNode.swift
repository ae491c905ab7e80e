/// One path of a monitored tree, as its handler was told of it.
final class FileNode {
  enum Content {
    /// Nothing, or nothing that handlers are told of. A node without content stays in its tree only if it is the
    /// monitored path itself or a symbolic link, either of which may come to lead somewhere.
    case absent
    case file(FileState)
    case folder(Folder)
  }

  /// What a folder's node adds.
  final class Folder {
    var identity: FileIdentity
    /// nil where it cannot be watched, or its contents are not monitored.
    var watch: Watch?
    var children: [[UInt8]: FileNode] = [:]
    /// Whether its names were read once.
    var wasListed = false
    /// Whether the last list had names that could not be looked at.
    var hasHiddenNames = false

    init(identity: FileIdentity) { self.identity = identity }
  }

  unowned let tree: MonitoredTree
  private(set) weak var parent: FileNode?
  let name: [UInt8]
  let path: String
  let relativePath: String
  var content = Content.absent
  /// Where the path leads, for the monitored path itself and for symbolic links.
  var trail: PathTrail?
  /// Why the content is not what the file system has; nil where it is.
  var trouble: NodeTrouble?
  /// False once it was taken out of its tree: late events of it mean nothing.
  var isAttached = true

  /// The monitored path itself.
  init(rootOf tree: MonitoredTree) {
    self.tree = tree
    name = []
    path = tree.path
    relativePath = ""
  }

  /// - Parameter text: the name as text.
  init(name: [UInt8], text: String, in parent: FileNode) {
    tree = parent.tree
    self.parent = parent
    self.name = name
    path = parent.path == "/" ? "/" + text : parent.path + "/" + text
    relativePath = parent.relativePath.isEmpty ? text : parent.relativePath + "/" + text
  }

  var isRoot: Bool { name.isEmpty }

  var isFolder: Bool { folder != nil }

  var folder: Folder? {
    if case .folder(let folder) = content { folder } else { nil }
  }

  var kind: ChangeSet.Kind? {
    switch content {
    case .absent: nil
    case .file: .file
    case .folder: .folder
    }
  }

  /// Whether the folder's contents are monitored.
  var listsChildren: Bool { isRoot || tree.isRecursive }
}

/// Why a path is looked at again, and how closely.
nonisolated struct Hint: OptionSet, Sendable {
  let rawValue: UInt8

  /// The path may lead elsewhere, or nowhere.
  static let path = Hint(rawValue: 1)
  /// A name came into being.
  static let created = Hint(rawValue: 2)
  /// A writer closed the file: it differs, whatever stat(2) says.
  static let closed = Hint(rawValue: 4)
  /// Something was moved there: likewise.
  static let moved = Hint(rawValue: 8)
  /// Written, truncated, or its attributes changed: what a writer has not closed does not count.
  static let touched = Hint(rawValue: 16)
  /// Compare by all that stat(2) says, and by content; compare a folder's names.
  static let compare = Hint(rawValue: 32)
  /// Likewise everything below.
  static let deep = Hint(rawValue: 64)
  /// Events were lost: what somebody writes counts as it is.
  static let settled = Hint(rawValue: 128)

  /// A fresh scan.
  static let scan: Hint = [.path, .compare, .deep, .settled]
}
