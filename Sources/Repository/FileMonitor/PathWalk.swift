import EventLoop
import Glibc

/// The way that a path takes through folders and symbolic links, step by step, as the kernel goes it.
enum PathWalk {
  /// As the kernel's MAXSYMLINKS: a longer chain, or a loop, leads nowhere.
  private static let linkLimit = 40

  /// Where the way ends.
  enum End: Equatable {
    /// At something; the path has no symbolic links.
    case found(String)
    /// At the first name that is not there, or is no folder though the path goes on; everything above it is there.
    ///
    /// `isLast`: it is the end of the path, in a folder that is there.
    case missing(String, isLast: Bool)
    /// At a step that the system does not tell of: EACCES, EIO, ELOOP, ENOMEM ...
    case unreadable(String, errno: Int32)
  }

  /// Goes the way.
  ///
  /// - Parameters:
  ///   - path: absolute, or relative to the folder.
  ///   - folder: absolute.
  ///   - step: called with each folder and the name in it, before the name is looked at.
  ///   - link: called where the name of the last step is a symbolic link.
  static func go(
    _ path: String, from folder: String = "/",
    step: (_ folder: String, _ name: String, _ isLast: Bool) -> Void = {
      _, _, _ in
    },
    link: () -> Void = {}
  ) -> End {
    // Without symbolic links at each step, so that `..` is the folder above by name.
    var current = folder
    if folder != "/", case .found(let real) = go(folder) { current = real }
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
      switch FileSystem.look(next, followsLinks: false) {
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
