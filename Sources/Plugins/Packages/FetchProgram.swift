import Core
import EventLoop
import Glibc
import Logging
import XMLRPC

/// One run of `bcfg2-packages refresh --report`: its lines as they come, and its end.
final class FetchRun {
  /// A line of its report.
  enum Line: Equatable {
    /// A source is done: the name of its index file.
    case source(name: String, outcome: Outcome)
    case log(Logger.Level, String)
  }

  /// What became of a source.
  enum Outcome: String {
    case ok, kept, failed
  }

  /// How long the program may take to end after it was asked to, and its descendants after it.
  private let grace: Duration

  private let loop: Reactor
  private let onLine: (Line) -> Void
  private let program: String
  private var child: ChildProcess?
  private var outputs: [ProgramOutput] = []
  private var timer: Timer?
  private var problem: String?
  private var status: ChildProcess.ExitStatus?
  private var waiter: CheckedContinuation<String?, Never>?

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - configuration: bcfg2.conf's text for descriptor 3, where the program could not read it itself.
  ///   - onLine: called with each line of its report, and for its errors.
  init(
    _ arguments: [String], configuration: [UInt8]? = nil, limit: Duration, grace: Duration = .seconds(10),
    on loop: Reactor, onLine: @escaping (Line) -> Void
  ) throws(SystemError) {
    self.loop = loop
    self.grace = grace
    self.onLine = onLine
    program = arguments[0]
    var start = ChildProcess.Configuration(arguments)
    start.standardOutput = .pipe
    start.standardError = .pipe
    var file: FileDescriptor?
    if let configuration {
      let memory = try ChildProcess.anonymousFile(configuration)
      start.descriptors[3] = memory.rawValue
      file = consume memory
    }
    let child = try ChildProcess(start, on: loop) { [self] status in ended(status) }
    if let file { loop.closeLater(file) }
    self.child = child
    do throws(SystemError) {
      for number: Int32 in 1...2 { try watch(child.detachPipe(number), isReport: number == 1) }
    } catch {
      child.killGroup(SIGKILL)
      throw error
    }
    timer = loop.schedule(after: limit) { [self] in
      problem = "it took longer than \(limit)"
      stop()
    }
  }

  /// Waits for the end.
  /// - Returns: what went wrong with the program itself; nil if it ran to its end, whatever became of the sources.
  func wait() async -> String? {
    if isDone { return verdict }
    return await withCheckedContinuation { waiter = $0 }
  }

  /// Asks the program to end, and kills it if it does not.
  func stop() {
    guard let child, child.status == nil else { return }
    child.killGroup(SIGTERM)
    timer?.cancel()
    timer = loop.schedule(after: grace) { [self] in
      self.child?.killGroup(SIGKILL)
      // What left the group may hold the outputs for ever.
      for output in outputs { output.close() }
      finishIfDone()
    }
  }

  // MARK: Output

  private func watch(_ pipe: consuming FileDescriptor, isReport: Bool) throws(SystemError) {
    outputs.append(
      try ProgramOutput(pipe, on: loop) { [self] line in
        take(line, isReport: isReport)
      } onEnd: { [self] in
        finishIfDone()
      } onLoopEnd: { [self] in
        timer?.cancel()
        timer = nil
        for output in outputs { output.close() }
      })
  }

  private func take(_ line: String, isReport: Bool) {
    if line.isEmpty { return }
    // What is no line of a report comes from a library, or from a failure of the program: it belongs in the log.
    onLine(isReport ? Self.parse(line) ?? .log(.warning, line) : .log(.error, line))
  }

  /// Reads a line: `source`, name, outcome, text; or `log`, level, text; between tabs.
  static func parse(_ line: String) -> Line? {
    let fields = line.split(separator: "\t", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    switch fields.first {
    case "source":
      guard fields.count >= 3, let outcome = Outcome(rawValue: fields[2]) else { return nil }
      return .source(name: fields[1], outcome: outcome)
    case "log":
      guard fields.count >= 3, let level = Logger.Level(rawValue: fields[1]) else { return nil }
      return .log(level, fields[2...].joined(separator: "\t"))
    default: return nil
    }
  }

  // MARK: End

  private var isDone: Bool { status != nil && !outputs.contains(where: \.isOpen) }

  private var verdict: String? {
    guard let status else { return nil }
    if let problem { return "\(program): ended, \(problem)" }
    // 1: some source failed, which it has said of each.
    return status.code <= 1 ? nil : "\(program): \(status)"
  }

  private func ended(_ status: ChildProcess.ExitStatus) {
    self.status = status
    // A descendant that lives on may hold the outputs.
    timer?.cancel()
    timer = loop.schedule(after: grace) { [self] in
      for output in outputs { output.close() }
      finishIfDone()
    }
    finishIfDone()
  }

  private func finishIfDone() {
    guard isDone else { return }
    timer?.cancel()
    timer = nil
    child = nil
    waiter?.resume(returning: verdict)
    waiter = nil
  }
}
