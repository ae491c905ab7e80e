import CLinux
public import EventLoop
import Glibc

/// Puts the process into the background as python-daemon's DaemonContext does. In addition the starting command waits
/// until the server is ready or has failed, and its exit status says which.
public nonisolated enum Daemonize {
  /// Puts the process into the background: two forks, a session of its own, `/` as working folder, the umask, /dev/null
  /// on the standard descriptors, and no core dumps, which would contain keys and passwords.
  ///
  /// Call it while there is one thread and no event loop: epoll descriptors and locks do not survive it. It returns in
  /// the daemon only; the calling process waits for `StartReport` and exits.
  ///
  /// - Parameters:
  ///   - umask: for files that the daemon creates.
  ///   - manager: the calling process tells it of the daemon, if it knows the calling process alone.
  public static func detach(
    umask mask: UInt32, notifying manager: NotifySocket = NotifySocket(nil)
  ) throws(SystemError) -> StartReport {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw SystemError(call: "pipe", errno: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let child = clinux_fork()
    guard child >= 0 else {
      let code = errno
      for end in ends { close(end) }
      throw SystemError(call: "fork", errno: code)
    }
    if child > 0 {
      close(ends[1])
      StartReport.relay(from: ends[0], child: child, to: manager)
    }
    close(ends[0])
    let report = StartReport(descriptor: ends[1])
    // From here on errors can only go to the report.
    if setsid() < 0 { report.exit(SystemError(call: "setsid", errno: errno)) }
    let daemon = clinux_fork()
    if daemon < 0 { report.exit(SystemError(call: "fork", errno: errno)) }
    // A process that does not lead its session can never acquire a terminal.
    if daemon > 0 { _exit(0) }
    umask(mask)
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    if setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) != 0 {
      report.exit(SystemError(call: "setrlimit", errno: errno))
    }
    if chdir("/") != 0 { report.exit(SystemError(call: "chdir", errno: errno, detail: "/")) }
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    if null < 0 { report.exit(SystemError(call: "open", errno: errno, detail: "/dev/null")) }
    for standard in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where null != standard {
      if dup2(null, standard) < 0 { report.exit(SystemError(call: "dup2", errno: errno, detail: "\(standard)")) }
    }
    if null > STDERR_FILENO { close(null) }
    closeInherited()
    return report
  }

  /// Closes descriptors that the starting command left open: somebody may wait for the end of such a pipe. The server's
  /// own descriptors close on exec, so all others were inherited.
  private static func closeInherited() {
    guard let folder = opendir("/proc/self/fd") else { return }
    var inherited: [Int32] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard let descriptor = Int32(name), descriptor > STDERR_FILENO else { continue }
      let flags = fcntl(descriptor, F_GETFD)
      if flags >= 0, flags & FD_CLOEXEC == 0 { inherited.append(descriptor) }
    }
    closedir(folder)
    for descriptor in inherited { close(descriptor) }
  }

  /// Creates the folder of the pid file, with its parents, and gives it to the daemon's user, mode 0755: many systems
  /// empty /run at every boot. Leaves an existing folder alone.
  ///
  /// - Returns: the folder if it was created.
  @discardableResult
  public static func makeFolder(ofPidFile path: String, user: UInt32, group: UInt32) throws(SystemError) -> String? {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return nil }
    let folder = String(path[..<slash])
    if access(folder, F_OK) == 0 { return nil }
    try makeParents(folder)
    if mkdir(folder, 0o755) != 0 {
      let code = errno
      if code == EEXIST { return nil }
      throw SystemError(call: "mkdir", errno: code, detail: folder)
    }
    // The umask may have cleared bits. By descriptor: whoever owns the folder above may exchange this one.
    let opened = try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    if fchmod(opened.rawValue, 0o755) != 0 { throw SystemError(call: "chmod", errno: errno, detail: folder) }
    if geteuid() == 0 { try RootFiles.give(folder, kind: S_IFDIR, to: user, group: group) }
    return folder
  }

  private static func makeParents(_ folder: String) throws(SystemError) {
    guard let slash = folder.lastIndex(of: "/"), slash != folder.startIndex else { return }
    let parent = String(folder[..<slash])
    if access(parent, F_OK) == 0 { return }
    try makeParents(parent)
    if mkdir(parent, 0o755) != 0 {
      let code = errno
      if code != EEXIST { throw SystemError(call: "mkdir", errno: code, detail: parent) }
    }
  }
}

/// The daemon's one message to the starting command: ready, or an error.
public nonisolated final class StartReport {
  private var descriptor: Int32

  fileprivate init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Reports that the server listens: the starting command exits with status 0.
  public func ready() { send([0] + Array("\(getpid())".utf8)) }

  /// Reports that the server cannot start: the starting command prints `reason` on standard error and exits with status
  /// 1. The daemon still has to end itself.
  public func failed(_ reason: String) {
    send([1] + Array(reason.utf8.prefix(StartReport.limitBytes)))
  }

  /// Reports a failure and ends this process, the one between the two.
  fileprivate func exit(_ error: SystemError) -> Never {
    failed("Failed to daemonize: \(error)")
    _exit(1)
  }

  /// Fits into a pipe without blocking (PIPE_BUF less the first byte).
  private static let limitBytes = 4095

  private func send(_ bytes: [UInt8]) {
    guard descriptor >= 0 else { return }
    // The starting command may be gone, which must not kill the daemon.
    let before = signal(SIGPIPE, SIG_IGN)
    while write(descriptor, bytes, bytes.count) < 0, errno == EINTR {}
    signal(SIGPIPE, before)
    close(descriptor)
    descriptor = -1
  }

  /// In the process that stays in the foreground: waits for the report, prints a failure, exits.
  fileprivate static func relay(from descriptor: Int32, child: pid_t, to manager: NotifySocket) -> Never {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 512)
    while bytes.count <= limitBytes {
      let count = read(descriptor, &chunk, chunk.count)
      if count > 0 {
        bytes += chunk[..<count]
      } else if count == 0 || errno != EINTR {
        break
      }
    }
    // The child is the intermediate process, which ended long before the daemon reported.
    while waitpid(child, nil, 0) < 0, errno == EINTR {}
    if bytes.first == 0 {
      // A manager with NotifyAccess=main takes no message of the daemon before this one.
      manager.send(["MAINPID=\(String(decoding: bytes.dropFirst(), as: UTF8.self))", "READY=1"])
      _exit(0)
    }
    let reason =
      bytes.isEmpty
      ? "The server ended before it was ready" : String(decoding: bytes.dropFirst(), as: UTF8.self)
    let line = Array("\(reason)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    _exit(1)
  }
}
