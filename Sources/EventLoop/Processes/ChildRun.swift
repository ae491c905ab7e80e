import CLinux
import Glibc

extension ChildProcess {
  /// What a child that ran to its end left behind.
  public nonisolated struct Output: Hashable, Sendable {
    public var status: ExitStatus
    public var standardOutput: [UInt8]
    public var standardError: [UInt8]
  }

  /// Why a child did not run to its end. In each case but the first two it was killed with its descendants, or never
  /// started.
  public nonisolated enum RunError: Error, Hashable, CustomStringConvertible {
    /// It could not be started.
    case system(SystemError)
    /// It was not started: too many others wait for their turn.
    case tooManyWaiting(program: String, limit: Int)
    /// It took longer than the timeout; with what it had written until then.
    case timedOut(program: String, after: Duration, Output)
    /// It wrote more than the limit to one of its outputs.
    case tooMuchOutput(program: String, limitBytes: Int)
    /// The task was cancelled.
    case cancelled(program: String)

    public var description: String {
      switch self {
      case .system(let error): error.description
      case .tooManyWaiting(let program, let limit): "\(program): not run, \(limit) programs wait for their turn"
      case .timedOut(let program, let timeout, _): "\(program): killed, took longer than \(timeout)"
      case .tooMuchOutput(let program, let limitBytes): "\(program): killed, wrote more than \(limitBytes) bytes"
      case .cancelled(let program): "\(program): killed, no longer needed"
      }
    }
  }

  /// Runs a program to its end and collects what it writes.
  ///
  /// It waits for a place in the loop's `childQueue` before it is started. It has ended when the process has exited and
  /// both outputs are closed, also by its descendants.
  ///
  /// - Parameters:
  ///   - arguments: the program and its arguments.
  ///   - input: its standard input, given as an anonymous file: it may be read late, or not at all.
  ///   - environment: nil: this process's own. Likewise the working directory.
  ///   - secrets: what the child reads from further descriptors, by their numbers (3 or more), such as the passphrase of
  ///     openssl's `-passin fd:3`: neither on its command line nor in its environment, and in no file of a folder.
  ///   - hasOwnSession: whether the child has no terminal to ask on.
  ///   - timeout: from its start; nil, or longer than the queue's `timeLimit`: that.
  ///   - output: an open descriptor that the child writes its standard output to; nil: it is in the result.
  ///   - outputLimitBytes: how much of each output is kept; a child that writes more is killed.
  ///   - urgency: whether a request waits for it.
  /// - Throws: ``RunError``. An exit status other than 0 is none: it is in the result.
  public static func run(
    _ arguments: [String], input: [UInt8] = [], environment: [String: String]? = nil,
    workingDirectory: String? = nil, secrets: [Int32: [UInt8]] = [:], hasOwnSession: Bool = false,
    timeout: Duration? = nil, output: Int32? = nil, outputLimitBytes: Int, urgency: ChildQueue.Urgency = .awaited,
    on loop: Reactor
  ) async throws(RunError) -> Output {
    precondition(!arguments.isEmpty, "a child has a program")
    let hasPlace: Bool
    do throws(ChildQueue.LimitReached) {
      hasPlace = try await loop.childQueue.enter(urgency)
    } catch {
      throw .tooManyWaiting(program: arguments[0], limit: error.waiting)
    }
    guard hasPlace else { throw .cancelled(program: arguments[0]) }
    defer { loop.childQueue.leave(urgency) }
    let limit = loop.childQueue.timeLimit
    let timeout = min(timeout ?? limit, limit)
    var configuration = Configuration(arguments)
    configuration.environment = environment
    configuration.workingDirectory = workingDirectory
    configuration.standardOutput = output.map { .descriptor($0) } ?? .pipe
    configuration.standardError = .pipe
    configuration.hasOwnSession = hasOwnSession
    let run: ChildRun
    do throws(SystemError) {
      let file = try anonymousFile(input)
      configuration.standardInput = .descriptor(file.rawValue)
      let files = SecretFiles()
      for (number, bytes) in secrets {
        configuration.descriptors[number] = files.add(try anonymousFile(bytes))
      }
      defer { withExtendedLifetime(files) {} }
      run = try ChildRun(configuration, timeout: timeout, limitBytes: outputLimitBytes, on: loop)
    } catch {
      throw .system(error)
    }
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { run.begin($0) }
    } onCancel: {
      Task { @MainActor in run.cancel() }
    }
    return try result.get()
  }

  /// A file in memory that holds the bytes, to be read from its start.
  package static func anonymousFile(_ bytes: [UInt8]) throws(SystemError) -> FileDescriptor {
    if bytes.isEmpty { return try FileDescriptor.open("/dev/null", O_RDONLY) }
    let file = FileDescriptor(owning: try check("memfd_create") { clinux_memfd_create("stdin") })
    try AtomicFile.writeAll(bytes[...], to: file.rawValue, detail: "standard input of a child")
    try check("lseek") { lseek(file.rawValue, 0, SEEK_SET) }
    return file
  }
}

/// Anonymous files until the child has its own descriptors of them.
private final class SecretFiles {
  private var descriptors: [Int32] = []

  func add(_ file: consuming FileDescriptor) -> Int32 {
    let raw = file.take()
    descriptors.append(raw)
    return raw
  }

  isolated deinit { for descriptor in descriptors { FileDescriptor.close(descriptor) } }
}

/// One child until it has exited and its outputs are closed, or it was killed for a reason.
private final class ChildRun {
  typealias RunResult = Result<ChildProcess.Output, ChildProcess.RunError>

  /// Bytes read from one output per iteration, at most.
  private static let turnBytes = 65536
  /// Beyond this the loop counts as late, and then gets this long to see the end of a child.
  private static let grace: Duration = .seconds(1)

  private let loop: Reactor
  private let program: String
  private let limitBytes: Int
  private var child: ChildProcess?
  private var outputs: [OutputPipe] = []
  private var timer: Timer?
  private var hasGrace = false
  private var hasEnded = false
  /// Its outputs could not be watched, so that its end is not waited for.
  private var isAbandoned = false
  /// Why it was killed; the run is over once the killed child has ended.
  private var verdict: ((ChildProcess.Output) -> ChildProcess.RunError)?
  private var continuation: CheckedContinuation<RunResult, Never>?

  init(
    _ configuration: ChildProcess.Configuration, timeout: Duration, limitBytes: Int, on loop: Reactor
  ) throws(SystemError) {
    self.loop = loop
    self.limitBytes = limitBytes
    program = configuration.arguments[0]
    let hasOwnOutput = if case .descriptor = configuration.standardOutput { true } else { false }
    let child = try ChildProcess(
      configuration, on: loop, onExit: { _ in },
      onEnd: { [self] in
        hasEnded = true
        if isAbandoned {
          self.child?.reap()
          self.child = nil
        } else {
          finishIfDone()
        }
      })
    self.child = child
    do throws(SystemError) {
      for number: Int32 in hasOwnOutput ? 2...2 : 1...2 { outputs.append(try watch(child.detachPipe(number))) }
    } catch {
      isAbandoned = true
      child.killGroup(SIGKILL)
      closeOutputs()
      throw error
    }
    timer = loop.schedule(after: timeout) { [self] in expire(timeout) }
  }

  func begin(_ continuation: CheckedContinuation<RunResult, Never>) {
    self.continuation = continuation
    finishIfDone()
  }

  func cancel() {
    let program = program
    kill { _ in .cancelled(program: program) }
  }

  /// The time is over. Where it was the loop that was late, the child's end may be there and not be seen yet: it gets
  /// one more moment.
  private func expire(_ timeout: Duration) {
    if let timer, !hasGrace, loop.now - timer.deadline >= ChildRun.grace {
      hasGrace = true
      timer.rearm(after: ChildRun.grace)
      return
    }
    let program = program
    kill { .timedOut(program: program, after: timeout, $0) }
  }

  private func watch(_ pipe: consuming FileDescriptor) throws(SystemError) -> OutputPipe {
    let output = OutputPipe(pipe, on: loop)
    output.watcher = try loop.register(output.descriptor, interest: .read) { [self] _ in
      output.readSome(turnBytes: ChildRun.turnBytes, limitBytes: limitBytes)
      if output.isOverLimit {
        let (program, limitBytes) = (program, limitBytes)
        kill { _ in .tooMuchOutput(program: program, limitBytes: limitBytes) }
      }
      finishIfDone()
    }
    output.watcher?.onLoopEnd = { [self] in abandon() }
    return output
  }

  /// Stops reading the child's output, because the loop ends before it.
  private func abandon() {
    timer?.cancel()
    timer = nil
    if hasEnded { child?.reap() }
    child = nil
    closeOutputs()
    continuation?.resume(returning: .failure(.cancelled(program: program)))
    continuation = nil
  }

  /// The first reason counts. What left the child's group and still holds its outputs is not waited for.
  private func kill(_ reason: @escaping (ChildProcess.Output) -> ChildProcess.RunError) {
    guard verdict == nil, let child else { return }
    verdict = reason
    child.killGroup(SIGKILL)
    closeOutputs()
    finishIfDone()
  }

  private func closeOutputs() {
    for output in outputs { output.close() }
  }

  private func finishIfDone() {
    guard hasEnded, let child, continuation != nil, outputs.allSatisfy(\.isClosed) else { return }
    timer?.cancel()
    let output = ChildProcess.Output(
      status: child.reap(), standardOutput: outputs.count > 1 ? outputs[0].bytes : [],
      standardError: outputs[outputs.count - 1].bytes)
    // Breaks the reference cycle of child and timer, their closures, and this.
    self.child = nil
    timer = nil
    continuation?.resume(returning: verdict.map { .failure($0(output)) } ?? .success(output))
    continuation = nil
  }
}

/// One output of a child, read until its end.
private final class OutputPipe {
  let descriptor: Int32
  private(set) var bytes: [UInt8] = []
  private(set) var isOverLimit = false
  var isClosed: Bool { owner == nil }
  var watcher: Watcher?
  private var owner: FileDescriptor?
  private let loop: Reactor

  init(_ pipe: consuming FileDescriptor, on loop: Reactor) {
    descriptor = pipe.rawValue
    owner = consume pipe
    self.loop = loop
  }

  func readSome(turnBytes: Int, limitBytes: Int) {
    let code = withUnsafeTemporaryAllocation(byteCount: turnBytes, alignment: 16) { buffer -> Int32 in
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      let code = errno
      if count > 0 {
        let room = limitBytes - bytes.count
        bytes.append(contentsOf: buffer[..<min(count, room)])
        isOverLimit = count > room
      }
      return count > 0 ? EAGAIN : count == 0 ? 0 : code
    }
    switch code {
    case EAGAIN, EINTR: return
    case 0: close()
    default: preconditionFailure("read of a pipe: \(String(cString: strerror(code)))")
    }
  }

  func close() {
    watcher?.cancel()
    watcher = nil
    if let owner = owner.take() { loop.closeLater(owner) }
  }
}
