public import Glibc

/// The file of a listening UNIX socket: made with its mode and owner, and removed at the end if it is still the same.
public nonisolated struct UnixSocketFile: Sendable, Hashable {
  public let path: String
  private let device: dev_t
  private let inode: ino_t

  /// The file that is there now.
  ///
  /// - Throws: `SystemError` of lstat.
  public init(at path: String) throws(SystemError) {
    var status = stat()
    try check("stat", path) { lstat(path, &status) }
    self.path = path
    device = status.st_dev
    inode = status.st_ino
  }

  /// Binds a UNIX socket and listens. The file of a socket that nobody listens on any more is replaced.
  ///
  /// - Parameters:
  ///   - mode: of the file, from the first moment on.
  ///   - owner: user and group that get the file; nil leaves it to this process's.
  /// - Throws: `SystemError`: EADDRINUSE where another process listens, EEXIST where the path is no socket, or is none any more when it
  ///   is given away.
  @MainActor public static func listen(
    at path: String, mode: mode_t, owner: (user: uid_t, group: gid_t)? = nil,
    backlog: Int32 = Listener.defaultBacklog
  ) throws(SystemError) -> FileDescriptor {
    try removeAbandoned(path)
    // chmod after bind would leave a moment in which anybody could connect.
    let former = umask(~mode & 0o777)
    defer { umask(former) }
    let socket = try Listener.bind(to: .unix(path), backlog: backlog)
    if let owner { try RootFiles.give(path, kind: S_IFSOCK, to: owner.user, group: owner.group) }
    return socket
  }

  /// Removes the file, unless another one has its place. A process that gave up its privileges may not be allowed to: the
  /// next start replaces the file.
  public func remove() {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
    unlink(path)
  }

  /// Removes the file of a socket that refuses connections.
  private static func removeAbandoned(_ path: String) throws(SystemError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw SystemError(call: "bind", errno: EEXIST, detail: path, explanation: "it exists and is no socket")
    }
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let probe = FileDescriptor(owning: try check("socket", path) { Glibc.socket(AF_UNIX, type, 0) })
    let raw = probe.rawValue
    let refusal = try SocketAddress.unix(path).withSockaddr { connect(raw, $0, $1) == 0 ? 0 : errno }
    guard refusal == ECONNREFUSED || refusal == ENOENT else {
      throw SystemError(
        call: "bind", errno: EADDRINUSE, detail: path, explanation: "another process listens on it")
    }
    try check("unlink", path) { unlink(path) == -1 && errno != ENOENT ? -1 : 0 }
  }
}
