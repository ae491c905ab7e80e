import Glibc

/// True where a path exists, whatever it is; a dangling symlink does not.
package func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

/// True where a path is a folder or a symlink to one.
package func isFolder(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

extension FileWrite.Mode {
  /// The mode of the server's copy of a client's file, whose mode is such as `0644`: secret unless everyone may read that.
  package nonisolated init(ofClient mode: String?) {
    let bits = mode.flatMap { Int($0, radix: 8) }
    self = (bits ?? (mode == nil ? 0o644 : 0)) & 0o004 == 0 ? .secret : .ordinary
  }
}

/// Creates a folder and those above it, mode 0777 less the umask.
package func makeFolders(_ path: String) throws(SystemError) {
  if isFolder(path) { return }
  if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try makeFolders(String(path[..<slash])) }
  if mkdir(path, 0o777) != 0, errno != EEXIST { throw SystemError(call: "mkdir", errno: errno, detail: path) }
}

/// Creates a folder and its parents below `top`, which has to exist: a plugin's folder that is missing is not created.
///
/// - Throws: `SystemError` with ENOENT where `top` is no folder.
package func makeFolders(_ path: String, below top: String) throws(SystemError) {
  guard isFolder(top) else { throw SystemError(call: "mkdir", errno: ENOENT, detail: top) }
  try makeFolders(path)
}
