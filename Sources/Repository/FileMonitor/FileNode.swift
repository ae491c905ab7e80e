/// One path of a monitored tree, in the state last delivered to its handler.
final class FileNode {
  enum Content {
    /// Nothing that handlers know. A node without content stays in its tree only if it is the monitored path itself or
    /// a symbolic link, whose target may appear.
    case absent
    case file(FileState)
    case folder(Folder)

    var isFile: Bool { if case .file = self { true } else { false } }
  }

  /// Additional state of a folder.
  final class Folder {
    var identity: FileIdentity
    /// nil if it cannot be watched, or its contents are not monitored.
    var watch: Watch?
    var children: [[UInt8]: FileNode] = [:]
    /// Whether its names were read once.
    var wasListed = false
    /// Whether the last listing had names that stat(2) could not read.
    var hasHiddenNames = false

    init(identity: FileIdentity) { self.identity = identity }
  }

  unowned let tree: MonitoredTree
  private(set) weak var parent: FileNode?
  let name: [UInt8]
  let path: String
  let relativePath: String
  var content = Content.absent {
    didSet { tree.context.fileCount += (content.isFile ? 1 : 0) - (oldValue.isFile ? 1 : 0) }
  }
  /// The resolved path, for the monitored path itself and for symbolic links.
  var trail: PathTrail?
  /// Why the content differs from the file system; nil if it does not.
  var trouble: NodeTrouble?
  /// False after removal from its tree: late events are ignored.
  var isAttached = true

  /// Makes the node of the monitored path itself.
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

/// Why a path is checked again, and how closely.
nonisolated struct Hint: OptionSet, Sendable {
  let rawValue: UInt8

  /// The path may lead elsewhere, or nowhere.
  static let path = Hint(rawValue: 1)
  /// A name was created.
  static let created = Hint(rawValue: 2)
  /// A writer closed the file: it changed, whatever stat(2) says.
  static let closed = Hint(rawValue: 4)
  /// Something was moved there: it changed, whatever stat(2) says.
  static let moved = Hint(rawValue: 8)
  /// Written, truncated, or attributes changed: ignored until the writer closes the file.
  static let touched = Hint(rawValue: 16)
  /// Compare every field of stat(2), and contents; compare a folder's names.
  static let compare = Hint(rawValue: 32)
  /// Compare everything below as well.
  static let deep = Hint(rawValue: 64)
  /// Events were lost: accept files that are still being written.
  static let settled = Hint(rawValue: 128)

  /// A fresh scan.
  static let scan: Hint = [.path, .compare, .deep, .settled]
}
