public import EventLoop
import Glibc

/// Processes of this command that do a part of the work each: a core has one thread.
///
/// A worker prints a `WorkerLine` for each step of its work, and ends with status 0 if all went well.
public final class Workers {
  /// Why the work is not complete.
  public nonisolated struct Problem: Error, Hashable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
  }

  /// Most processes, whatever the machine has.
  public nonisolated static let limit = 64
  /// Most bytes of a line that a worker writes.
  private static let lineLimitBytes = 64 << 20

  /// How many processes share the work: as many as there are processors.
  public static var processors: Int { min(max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))), limit) }

  private var children: [ChildProcess] = []
  private var readers: [LineReader] = []
  private let onLine: (WorkerLine) throws -> Void
  /// What workers say why they cannot do their part, each text once.
  private var told: [String] = []
  private var problem: Problem?

  /// Starts a worker for each part.
  ///
  /// - Parameters:
  ///   - program: another program than this one, for tests.
  ///   - texts: what each worker can read, by the number of its descriptor (3 or more).
  ///   - arguments: those of the worker for a part: `--part 1/2` and the like.
  ///   - onLine: called with each line that a worker prints, but for problems. What it throws ends the work.
  /// - Throws: `SystemError` if they cannot be started.
  public init(
    _ parts: [WorkPart], program: [String] = ["/proc/self/exe"], texts: [Int32: [UInt8]] = [:], on loop: Reactor,
    arguments: (_ part: WorkPart) -> [String],
    onLine: @escaping (WorkerLine) throws -> Void
  ) throws(SystemError) {
    self.onLine = onLine
    do throws(SystemError) {
      for part in parts {
        var configuration = ChildProcess.Configuration(program + arguments(part))
        configuration.standardOutput = .pipe
        // What stops and continues this process from a terminal does so with its workers.
        configuration.hasOwnGroup = false
        var files: [Int32] = []
        defer { for file in files { close(file) } }
        for (number, text) in texts {
          let file = try ChildProcess.anonymousFile(text).take()
          files.append(file)
          configuration.descriptors[number] = file
        }
        let child = try ChildProcess(configuration, on: loop) { [weak self] status in self?.ended(status) }
        children.append(child)
        readers.append(
          try LineReader(child.detachPipe(STDOUT_FILENO), limitBytes: Self.lineLimitBytes, on: loop) { [weak self] in
            self?.take($0)
          })
      }
    } catch {
      stop()
      throw error
    }
  }

  /// What a process that is a worker does first: its parent tells it when to end.
  public nonisolated static func becomeWorker() { EndingSignals.leaveTerminalToParent() }

  /// Waits for all, and for all of what they print.
  ///
  /// - Returns: their exit statuses, in the order of the parts.
  /// - Throws: `Problem` if one could not do its part, was killed, or printed what makes no sense; the others were ended then.
  public func waitForEnd() async throws(Problem) -> [Int32] {
    for reader in readers { await reader.waitForEnd() }
    var statuses: [Int32] = []
    for child in children { statuses.append(await child.waitForExit().code) }
    if let problem { throw problem }
    if !told.isEmpty { throw Problem(told.joined(separator: "\n")) }
    return statuses
  }

  private func take(_ line: LineReader.Line) {
    guard case .text(let text) = line, let line = WorkerLine(text) else {
      fail("a process for a part of the clients answered what makes no sense")
      return
    }
    if case .problem(let text) = line {
      if !told.contains(text) { told.append(text) }
      return
    }
    do {
      try onLine(line)
    } catch {
      fail("\(error)")
    }
  }

  private func ended(_ status: ChildProcess.ExitStatus) {
    if case .signaled = status { fail("a process for a part of the clients was ended by \(status)") }
  }

  /// The first reason counts.
  private func fail(_ reason: String) {
    guard problem == nil else { return }
    problem = Problem(reason)
    stop()
  }

  private func stop() {
    for child in children { child.kill(SIGTERM) }
  }
}
