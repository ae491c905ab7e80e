import Core
import EventLoop
import Glibc
import Logging
import ServerSettings

/// `bcfg2-report-collector` as a child of the server: started again when it ends, each time a little later.
///
/// Its standard input is a pipe of which the server has the other end: it ends when the server does, however that was. Its messages
/// come over its standard output.
final class CollectorProgram {
  private static let firstDelay = Duration.seconds(1)
  private static let lastDelay = Duration.seconds(60)

  private let loop: Reactor
  private let logger: Logger
  private let settings: () -> Settings
  private var child: ChildProcess?
  private var input: FileDescriptor?
  private var outputs: [ProgramOutput] = []
  private var timer: Timer?
  private var delay = firstDelay
  private var started = MonotonicTime.now()
  private var isStopped = false

  init(on loop: Reactor, logger: Logger, settings: @escaping () -> Settings) {
    self.loop = loop
    self.logger = logger
    self.settings = settings
  }

  /// The child's number; nil while there is none.
  var processID: Int32? { child?.processID }

  func start() {
    guard !isStopped, child == nil else { return }
    timer = nil
    started = loop.refreshNow()
    do throws(SystemError) {
      try launch(settings())
    } catch {
      again("\(error). The program belongs beside the server, or [reporting] collector_program names it")
    }
  }

  /// Asks it to end, after what it is about to store. It starts no more.
  func stop() {
    isStopped = true
    timer?.cancel()
    timer = nil
    child?.kill(SIGTERM)
    if let input = input.take() { loop.closeLater(input) }
  }

  private func launch(_ settings: Settings) throws(SystemError) {
    let isReadable = access(settings.configurationFile, R_OK) == 0
    var start = ChildProcess.Configuration([
      Self.program(settings), "--of-server", "-C", isReadable ? settings.configurationFile : "/dev/fd/3",
      "--repository", settings.repository,
    ])
    start.standardInput = .pipe
    start.standardOutput = .pipe
    start.standardError = .pipe
    start.workingDirectory = "/"
    var file: FileDescriptor?
    // bcfg2.conf as the server read it, before it gave up being root.
    if !isReadable, let text = settings.files.texts[settings.configurationFile] {
      let memory = try ChildProcess.anonymousFile(text)
      start.descriptors[3] = memory.rawValue
      file = consume memory
    }
    let child = try ChildProcess(start, on: loop) { [weak self] status in self?.ended(status) }
    if let file { loop.closeLater(file) }
    self.child = child
    input = child.detachPipe(0)
    do throws(SystemError) {
      for number: Int32 in 1...2 { try watch(child.detachPipe(number), isReport: number == 1) }
    } catch {
      child.kill(SIGKILL)
      throw error
    }
  }

  private func watch(_ pipe: consuming FileDescriptor, isReport: Bool) throws(SystemError) {
    outputs.append(
      try ProgramOutput(pipe, on: loop) { [weak self] line in
        self?.take(line, isReport: isReport)
      } onLoopEnd: { [weak self] in
        self?.abandon()
      })
  }

  /// Logs a line: level, tab, text; or what some library has written.
  private func take(_ line: String, isReport: Bool) {
    let fields = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
    guard isReport, fields.count == 2, let level = Logger.Level(rawValue: String(fields[0])) else {
      return logger.error("bcfg2-report-collector: \(line)")
    }
    logger.log(level: level, "\(fields[1])")
  }

  private func abandon() {
    isStopped = true
    timer?.cancel()
    timer = nil
    if let input = input.take() { loop.closeLater(input) }
    closeOutputs { $0.close() }
  }

  private func closeOutputs(_ how: (ProgramOutput) -> Void) {
    for output in outputs { how(output) }
    outputs = []
  }

  private func ended(_ status: ChildProcess.ExitStatus) {
    child = nil
    if let input = input.take() { loop.closeLater(input) }
    // What it wrote last may still be in its pipes.
    closeOutputs { $0.finish() }
    if !isStopped { again("\(status)") }
  }

  private func again(_ reason: String) {
    if loop.now - started > Self.lastDelay { delay = Self.firstDelay }
    logger.error(
      "Reporting: The report collector does not run, and is started again in \(delay.components.seconds) s: \(reason)")
    timer = loop.schedule(after: delay) { [weak self] in self?.start() }
    delay = min(delay * 2, Self.lastDelay)
  }

  /// The program: that of the options, else the one beside this executable.
  private static func program(_ settings: Settings) -> String {
    if let path = settings[ReportingOptions.standard.collectorProgram] { return path }
    return ProgramBeside.path("bcfg2-report-collector")
  }
}
