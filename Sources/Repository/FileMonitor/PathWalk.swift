import EventLoop
import Glibc

/// Resolves a path through folders and symbolic links, step by step, as the kernel does.
enum PathWalk {
  /// As the kernel's MAXSYMLINKS: a longer chain, or a loop, fails.
  private static let linkLimit = 40

  /// The end of a walk.
  enum End: Equatable {
    /// An existing file or folder; the path has no symbolic links.
    case found(String)
    /// The first name that is missing, or is no folder but has components after it. Everything above it exists.
    ///
    /// `isLast`: it is the last component of the path, in an existing folder.
    case missing(String, isLast: Bool)
    /// A step that fails otherwise: EACCES, EIO, ELOOP, ENOMEM ...
    case unreadable(String, errno: Int32)
  }

  /// Walks the path.
  ///
  /// - Parameters:
  ///   - path: absolute, or relative to the folder.
  ///   - folder: absolute.
  /// - step: called with each folder and the name in it, before the name is checked.
  /// - link: called if the name of the last step is a symbolic link.
  static func walk(
    _ path: String, from folder: String = "/",
    step: (_ folder: String, _ name: String, _ isLast: Bool) -> Void = {
      _, _, _ in
    },
    link: () -> Void = {}
  ) -> End {
    // Free of symbolic links after each step, so that `..` just removes a component.
    var current = folder
    if folder != "/", case .found(let real) = walk(folder) { current = real }
    var rest: [String] = []
    func push(_ path: String) {
      if path.utf8.first == UInt8(ascii: "/") { current = "/" }
      rest += path.utf8.split(separator: UInt8(ascii: "/")).reversed().map { String(Substring($0)) }
    }
    push(path)
    var links = 0
    while let name = rest.popLast() {
      if name == "." { continue }
      if name == ".." {
        current = RepositoryPath.folder(of: current)
        continue
      }
      let next = current == "/" ? "/" + name : current + "/" + name
      let isLast = rest.isEmpty
      step(current, name, isLast)
      let status: stat
      switch FileSystem.inspect(next, followsLinks: false) {
      case .success(let found): status = found
      case .failure(let error) where error.errno == ENOENT: return .missing(next, isLast: isLast)
      case .failure(let error) where error.errno == ENOTDIR: return .missing(current, isLast: false)
      case .failure(let error): return .unreadable(next, errno: error.errno)
      }
      switch FileSystem.type(status) {
      case S_IFLNK:
        link()
        links += 1
        guard links <= linkLimit else { return .unreadable(next, errno: ELOOP) }
        guard let target = FileSystem.linkTarget(next) else { return .missing(next, isLast: isLast) }
        push(target)
      case S_IFDIR: current = next
      default:
        guard isLast else { return .missing(next, isLast: false) }
        current = next
      }
    }
    return .found(current)
  }
}
