import EventLoop
import Glibc

/// Runs a program that does not take long, and gathers what it prints.
nonisolated enum Program {
  struct Result {
    /// Nil if it was ended by a signal, or by the bound on its time.
    let status: Int32?
    let output: [UInt8]
    let errors: [UInt8]
  }

  /// The most bytes that are kept of each of its outputs.
  private static let limitBytes = 64 << 10

  /// - Parameter name: sought in PATH.
  /// - Throws: `SystemError` with ENOENT where there is no such program.
  static func run(_ name: String, _ arguments: [String], limit: Duration = .seconds(60)) throws(SystemError) -> Result {
    var pipes: [[Int32]] = []
    for _ in 0..<2 {
      var ends: [Int32] = [-1, -1]
      guard pipe(&ends) == 0 else { throw SystemError(call: "pipe", errno: errno) }
      pipes.append(ends)
    }
    for end in pipes.joined() { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { for ends in pipes { close(ends[0]) } }
    let child = spawn(name, arguments, pipes)
    for ends in pipes { close(ends[1]) }
    guard child.code == 0 else { throw SystemError(call: "posix_spawn", errno: child.code, detail: name) }
    let texts = gather(pipes.map { $0[0] }, until: .now + limit)
    if texts == nil { kill(child.process, SIGKILL) }
    var status: Int32 = 0
    while waitpid(child.process, &status, 0) < 0, errno == EINTR {}
    let hasExited = status & 0x7f == 0 && texts != nil
    return Result(
      status: hasExited ? (status >> 8) & 0xff : nil, output: texts?[0] ?? [], errors: texts?[1] ?? [])
  }

  private static func spawn(_ name: String, _ arguments: [String], _ pipes: [[Int32]]) -> (code: Int32, process: pid_t)
  {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, pipes[0][1], STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, pipes[1][1], STDERR_FILENO)
    var words: [UnsafeMutablePointer<CChar>?] = []
    for word in [name] + arguments { words.append(strdup(word)) }
    words.append(nil)
    defer { for word in words { free(word) } }
    // Its messages are read, so they have to be in one language.
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=\(path)"), strdup("LC_ALL=C"), nil]
    defer { for entry in environment { free(entry) } }
    var process: pid_t = 0
    let code = posix_spawnp(&process, name, &actions, nil, &words, &environment)
    return (code, process)
  }

  /// Reads to the end of all outputs; nil when time is over.
  private static func gather(_ descriptors: [Int32], until end: ContinuousClock.Instant) -> [[UInt8]]? {
    var texts = [[UInt8]](repeating: [], count: descriptors.count)
    var open = Set(descriptors.indices)
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !open.isEmpty {
      let left = ContinuousClock.now.duration(to: end)
      guard left > .zero else { return nil }
      var polled = descriptors.indices.map { index in
        pollfd(fd: open.contains(index) ? descriptors[index] : -1, events: Int16(POLLIN), revents: 0)
      }
      guard poll(&polled, nfds_t(polled.count), Int32(clamping: left.milliseconds + 1)) > 0 else { continue }
      for index in descriptors.indices where polled[index].revents != 0 {
        let count = read(descriptors[index], &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        if count <= 0 {
          open.remove(index)
        } else if texts[index].count < limitBytes {
          texts[index] += buffer[..<count]
        }
      }
    }
    return texts
  }
}
