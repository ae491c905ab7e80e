import CLinux
import Glibc

/// A child process whose end is an event of the loop (pidfd).
///
/// The child gets the descriptors named here and no others: every descriptor of this process is close-on-exec, and
/// what it inherited itself is closed in the child. It starts with nothing blocked and every signal at its default.
@MainActor public final class ChildProcess {
  /// How a process ended.
  public nonisolated enum ExitStatus: Hashable, Sendable, CustomStringConvertible {
    case exited(Int32)
    case signaled(Int32)

    public var isSuccess: Bool { self == .exited(0) }

    /// As a shell's `$?`: the code, or 128 + the signal.
    public var code: Int32 {
      switch self {
      case .exited(let code): code
      case .signaled(let signal): 128 + signal
      }
    }

    /// `exit status 1`, `signal 9 (Killed)`.
    public var description: String {
      switch self {
      case .exited(let code): "exit status \(code)"
      case .signaled(let signal): "signal \(signal) (\(String(cString: strsignal(signal))))"
      }
    }
  }

  /// What one of the child's standard descriptors is.
  public nonisolated enum Stream: Sendable {
    /// /dev/null.
    case null
    /// This process's own.
    case inherit
    /// A pipe; this process's end is nonblocking and waits in ``ChildProcess/detachPipe(_:)``.
    case pipe
    /// An open descriptor of the caller, who keeps it.
    case descriptor(Int32)
  }

  /// What to start.
  public nonisolated struct Configuration: Sendable {
    /// The program, looked up in this process's PATH if it has no slash, and its arguments; not empty.
    public var arguments: [String]
    /// nil: this process's own.
    public var environment: [String: String]?
    /// nil: this process's own.
    public var workingDirectory: String?
    public var standardInput = Stream.null
    public var standardOutput = Stream.null
    public var standardError = Stream.inherit
    /// Further descriptors, by the number that the child has them at (3 or more), such as an inherited socket.
    public var descriptors: [Int32: Int32] = [:]
    /// Whether the child leads a process group of its own, so that it is killed with its descendants, and does not
    /// get the terminal's signals.
    public var hasOwnGroup = true
    /// Whether the child leads a session of its own, so that it has no terminal to ask on: programs that ask for a
    /// passphrase then read standard input.
    public var hasOwnSession = false
    /// What the child may not do; nil: no more than this process. A confined program is named by its path.
    public var confinement: Confinement?

    public init(_ arguments: [String]) { self.arguments = arguments }
  }

  /// The child's number; another process may have it after ``status`` is known.
  public let processID: Int32
  /// How it ended; nil while it runs.
  public private(set) var status: ExitStatus?

  /// Whether the kernel ends children when this process ends, however it does: set before any is started.
  static var endWithParent = false

  /// Children that were not reaped, by their numbers.
  private static var running: [Int32: ChildProcess] = [:]

  private let hasOwnGroup: Bool
  private let loop: Reactor
  private var pipes: [Int32: Int32]
  private var exitDescriptor: FileDescriptor?
  private var watcher: Watcher?
  private let onExit: (ExitStatus) -> Void
  private var waiters: [CheckedContinuation<ExitStatus, Never>] = []
  /// Called when the child has ended. If it is set, the child stays a zombie until `reap`, so that no other process or
  /// group gets its number.
  private let onEnd: (() -> Void)?

  /// Starts a process.
  ///
  /// - Parameter onExit: called on the loop once it has ended, whatever its descendants do.
  /// - Throws: `SystemError` of posix_spawn (ENOENT, EACCES, EAGAIN), pipe2, pidfd_open (EMFILE) or epoll_ctl.
  public convenience init(
    _ configuration: Configuration, on loop: Reactor, onExit: @escaping (ExitStatus) -> Void = { _ in }
  ) throws(SystemError) {
    try self.init(configuration, on: loop, onExit: onExit, onEnd: nil)
  }

  init(
    _ configuration: Configuration, on loop: Reactor, onExit: @escaping (ExitStatus) -> Void,
    onEnd: (() -> Void)?
  ) throws(SystemError) {
    let started = try ChildProcess.spawn(configuration)
    processID = started.processID
    pipes = started.pipes
    hasOwnGroup = configuration.hasOwnGroup || configuration.hasOwnSession
    self.loop = loop
    self.onExit = onExit
    self.onEnd = onEnd
    do throws(SystemError) {
      let raw = try check("pidfd_open") { clinux_pidfd_open(started.processID) }
      exitDescriptor = FileDescriptor(owning: raw)
      watcher = try loop.register(raw, interest: .read) { [self] _ in ended() }
      watcher?.onLoopEnd = { [self] in abandon() }
    } catch {
      // A child that cannot be watched must not go on unwatched.
      Glibc.kill(processID, SIGKILL)
      while waitpid(processID, nil, 0) == -1 && errno == EINTR {}
      for descriptor in pipes.values { FileDescriptor.close(descriptor) }
      throw error
    }
    Self.running[processID] = self
  }

  isolated deinit {
    for descriptor in pipes.values { FileDescriptor.close(descriptor) }
    if let exitDescriptor = exitDescriptor.take() { loop.closeLater(exitDescriptor) }
  }

  /// This process's end of the pipe at the child's descriptor 0, 1 or 2, once; it is the caller's to close. A child
  /// reads the end of its input when the end for 0 is closed.
  public func detachPipe(_ number: Int32) -> FileDescriptor {
    guard let raw = pipes.removeValue(forKey: number) else {
      preconditionFailure("the child's descriptor \(number) is no pipe, or its end was taken before")
    }
    return FileDescriptor(owning: raw)
  }

  /// Sends a signal to the child; nothing happens after its end.
  public func kill(_ signal: Int32) {
    if status == nil { _ = Glibc.kill(processID, signal) }
  }

  /// Sends a signal to the child and its descendants, where it has a group of its own.
  public func killGroup(_ signal: Int32) {
    if status == nil { _ = Glibc.kill(hasOwnGroup ? -processID : processID, signal) }
  }

  /// Ends all children of this process, with their descendants, and waits for that: for a process that ends. Nobody is told
  /// how they ended.
  ///
  /// - Parameters:
  ///   - patience: how long they get after SIGTERM.
  ///   - killPatience: how long they are waited for after SIGKILL.
  static func endAll(patience: Duration, killPatience: Duration) {
    for child in running.values { child.killGroup(SIGTERM) }
    waitForAll(atMost: patience)
    // A child that has ended keeps its number until it is reaped, and its group may have others in it.
    for child in running.values { child.killGroup(SIGKILL) }
    waitForAll(atMost: killPatience)
    for child in running.values { _ = waitpid(child.processID, nil, WNOHANG) }
    running = [:]
  }

  private static func waitForAll(atMost limit: Duration) {
    let deadline = MonotonicTime.now() + limit
    var waiting: Set<Int32> = Set(running.keys)
    while !waiting.isEmpty {
      let (seconds, attoseconds) = (deadline - MonotonicTime.now()).components
      let milliseconds = max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
      let numbers = Array(waiting)
      var polled = numbers.map { number in
        pollfd(fd: running[number]?.exitDescriptorNumber ?? -1, events: Int16(POLLIN), revents: 0)
      }
      let count = poll(&polled, nfds_t(polled.count), Int32(milliseconds))
      if count == 0 || (count < 0 && errno != EINTR) { return }
      for (place, state) in polled.enumerated() where state.fd < 0 || state.revents != 0 {
        waiting.remove(numbers[place])
      }
    }
  }

  /// Waits until the child has ended; returns how.
  public func waitForExit() async -> ExitStatus {
    if let status { return status }
    return await withCheckedContinuation { waiters.append($0) }
  }

  /// Stops watching the child, because the loop ends before it. One that has ended, or was just killed, is reaped.
  private func abandon() {
    unwatch()
    Self.running[processID] = nil
    var raw: Int32 = 0
    _ = waitpid(processID, &raw, WNOHANG)
  }

  private var exitDescriptorNumber: Int32 { watcher?.descriptor ?? -1 }

  private func unwatch() {
    watcher?.cancel()
    watcher = nil
    if let exitDescriptor = exitDescriptor.take() { loop.closeLater(exitDescriptor) }
  }

  private func ended() {
    unwatch()
    if let onEnd { onEnd() } else { reap() }
  }

  /// Reaps the child, which has ended, and reports its status.
  @discardableResult
  func reap() -> ExitStatus {
    if let status { return status }
    var raw: Int32 = 0
    while waitpid(processID, &raw, 0) == -1 {
      if errno != EINTR { preconditionFailure("waitpid \(processID): \(String(cString: strerror(errno)))") }
    }
    let status =
      clinux_wifexited(raw) != 0 ? ExitStatus.exited(clinux_wexitstatus(raw)) : .signaled(clinux_wtermsig(raw))
    self.status = status
    Self.running[processID] = nil
    onExit(status)
    let waiting = waiters
    waiters = []
    for waiter in waiting { waiter.resume(returning: status) }
    return status
  }
}

extension ChildProcess {
  /// Starts the process and returns its number and our ends of its pipes, by the child's descriptor.
  private static func spawn(
    _ configuration: Configuration
  ) throws(SystemError) -> (processID: pid_t, pipes: [Int32: Int32]) {
    guard let program = configuration.arguments.first else { preconditionFailure("a child without a program") }
    // Everything here that is not handed over closes when this ends, whichever way.
    let ends = DescriptorList()
    var pipes: [Int32: Int32] = [:]
    var wanted: [(source: Int32, target: Int32)] = []
    let standard = [configuration.standardInput, configuration.standardOutput, configuration.standardError]
    for (number, stream) in standard.enumerated() {
      let target = Int32(number)
      switch stream {
      case .inherit: continue
      case .null: wanted.append((ends.add(try FileDescriptor.open("/dev/null", O_RDWR)), target))
      case .descriptor(let source): wanted.append((source, target))
      case .pipe:
        var pair: [Int32] = [-1, -1]
        try check("pipe2") { clinux_pipe(&pair) }
        let ours = FileDescriptor(owning: pair[target == 0 ? 1 : 0])
        let theirs = FileDescriptor(owning: pair[target == 0 ? 0 : 1])
        wanted.append((ends.add(theirs), target))
        let raw = ours.rawValue
        pipes[target] = raw
        let isNonblocking = Result { () throws(SystemError) in try ours.setNonblocking() }
        _ = ends.add(ours)
        try isNonblocking.get()
      }
    }
    for (target, source) in configuration.descriptors.sorted(by: { $0.key < $1.key }) {
      precondition(target > 2, "the child's standard descriptors have fields of their own")
      wanted.append((source, target))
    }
    // The child duplicates in order: a source below the highest target could be overwritten before its turn.
    let ceiling = (wanted.map(\.target).max() ?? 2) + 1
    var list: [clinux_spawn_descriptor] = []
    for (source, target) in wanted {
      var source = source
      if source < ceiling {
        let raw = try check("fcntl", "F_DUPFD_CLOEXEC") { fcntl(source, F_DUPFD_CLOEXEC, ceiling) }
        source = ends.add(FileDescriptor(owning: raw))
      }
      list.append(clinux_spawn_descriptor(source: source, target: target))
    }
    let arguments = CStringArray(configuration.arguments)
    let environment = configuration.environment.map {
      CStringArray($0.sorted { $0.key < $1.key }.map { "\($0)=\($1)" })
    }
    var processID: pid_t = -1
    // 1: a process group of its own, 2: a session.
    let leads: Int32 = configuration.hasOwnSession ? 2 : configuration.hasOwnGroup ? 1 : 0
    if let confinement = configuration.confinement {
      var step: UnsafePointer<CChar>?
      let code = confinement.withForm { form in
        clinux_spawn_confined(
          &processID, arguments.pointers[0], arguments.pointers, environment?.pointers ?? clinux_environ(),
          configuration.workingDirectory, list, list.count, leads, form, &step)
      }
      withExtendedLifetime((arguments, environment)) {}
      if code != 0 {
        throw SystemError(call: step.map { String(cString: $0) } ?? "fork", errno: code, detail: program)
      }
    } else {
      let spawn = endWithParent ? clinux_spawn_bound : clinux_spawn
      let code = spawn(
        &processID, arguments.pointers[0], arguments.pointers, environment?.pointers ?? clinux_environ(),
        configuration.workingDirectory, list, list.count, leads)
      withExtendedLifetime((arguments, environment)) {}
      if code != 0 { throw SystemError(call: "posix_spawn", errno: code, detail: program) }
    }
    ends.keep(pipes.values)
    return (processID, pipes)
  }
}

/// Descriptors that close together at the end of a scope, but for those that are kept.
private nonisolated final class DescriptorList {
  private var descriptors: [Int32] = []

  func add(_ descriptor: consuming FileDescriptor) -> Int32 {
    let raw = descriptor.take()
    descriptors.append(raw)
    return raw
  }

  func keep(_ kept: some Collection<Int32>) { descriptors.removeAll { kept.contains($0) } }

  deinit { for descriptor in descriptors { FileDescriptor.close(descriptor) } }
}

/// A null-terminated array of C strings.
nonisolated final class CStringArray {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    pointers = .allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
    pointers[count] = nil
  }

  deinit {
    for index in 0..<count { free(pointers[index]) }
    pointers.deallocate()
  }
}
