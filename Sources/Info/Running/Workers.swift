import Core
import EventLoop
import Glibc
import Server
import ServerSettings

/// Processes of this command that do a part of the work each: a core has one thread.
@MainActor
enum Workers {
  /// Most processes, whatever the machine has.
  private static let limit = 64
  /// Most bytes of a line that a worker writes.
  private static let lineLimitBytes = 64 << 20

  /// How many processes share the work: as many as there are processors.
  static var processors: Int { min(max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))), limit) }

  /// The options before the mode, for a worker. Secrets stay here: no part of the work asks for them.
  static func arguments(_ options: CommandLineOptions, _ settings: Settings) -> [String] {
    var arguments = ["-C", settings.configurationFile, "-Q", settings.repository]
    for (section, option, letter) in [("logging", "debug", "-d"), ("logging", "verbose", "-v")]
    where options.typed(section, option) != nil { arguments.append(letter) }
    if let encoding = options.typed("components", "encoding") { arguments += ["-E", encoding] }
    return arguments
  }

  /// Starts as many workers as there are processors and waits for all.
  ///
  /// - Parameters:
  ///   - arguments: those of the worker at a place: `--part 1/2` and the like.
  ///   - onLine: called with each line that a worker prints.
  /// - Returns: whether all ended well.
  /// - Throws: `SystemError` if they cannot be started; `InfoProblem` for one that is killed.
  static func run(
    count: Int, on loop: Reactor, arguments: (_ part: Part) -> [String], onLine: @escaping (Substring) -> Void
  ) async throws -> Bool {
    var children: [ChildProcess] = []
    let signals = try Signals([SIGINT, SIGTERM], on: loop) { event in
      for child in children { child.kill(SIGTERM) }
      TemporaryFolder.removeAll()
      exit(128 + event.signal)
    }
    defer { signals.close() }
    var readers: [LineReader] = []
    for place in 0..<count {
      var configuration = ChildProcess.Configuration(
        ["/proc/self/exe"] + arguments(Part(place: place, count: count)))
      configuration.standardOutput = .pipe
      configuration.hasOwnGroup = false
      do {
        let child = try ChildProcess(configuration, on: loop)
        children.append(child)
        readers.append(
          try LineReader(child.detachPipe(STDOUT_FILENO), limitBytes: lineLimitBytes, on: loop, onLine: onLine))
      } catch {
        for child in children { child.kill(SIGTERM) }
        throw error
      }
    }
    var isGood = true
    for (child, reader) in zip(children, readers) {
      await reader.waitForEnd()
      switch await child.waitForExit() {
      case .exited(let status): isGood = isGood && status == 0
      case .signaled(let signal):
        for child in children { child.kill(SIGTERM) }
        throw InfoProblem("a process for a part of the clients was ended by signal \(signal)")
      }
    }
    return isGood
  }
}

/// The part of the clients that one process is for.
struct Part {
  let place: Int
  let count: Int

  /// Reads `2/4`.
  init?(_ text: String) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let place = numbers[0], let count = numbers[1], count > 0, (1...count).contains(place)
    else { return nil }
    self.init(place: place - 1, count: count)
  }

  init(place: Int, count: Int) {
    self.place = place
    self.count = count
  }

  var text: String { "\(place + 1)/\(count)" }

  /// Every so many-th: clients of one kind are spread over all.
  func of<Item>(_ items: [Item]) -> [Item] {
    items.indices.filter { $0 % count == place }.map { items[$0] }
  }
}

/// Reads lines from a pipe.
@MainActor
private final class LineReader {
  private let descriptor: FileDescriptor
  private let limitBytes: Int
  private let onLine: (Substring) -> Void
  private var watcher: Watcher?
  private var buffer: [UInt8] = []
  private var isAtEnd = false
  private var waiter: CheckedContinuation<Void, Never>?

  init(
    _ pipe: consuming FileDescriptor, limitBytes: Int, on loop: Reactor, onLine: @escaping (Substring) -> Void
  ) throws(SystemError) {
    descriptor = pipe
    self.limitBytes = limitBytes
    self.onLine = onLine
    watcher = try loop.register(descriptor.rawValue, interest: .read) { [unowned self] _ in readSome() }
  }

  func waitForEnd() async {
    guard !isAtEnd else { return }
    await withCheckedContinuation { waiter = $0 }
  }

  private func readSome() {
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    let count = read(descriptor.rawValue, &chunk, chunk.count)
    if count < 0, errno == EINTR || errno == EAGAIN { return }
    guard count > 0, buffer.count + count <= limitBytes else {
      watcher?.cancel()
      watcher = nil
      isAtEnd = true
      waiter.take()?.resume()
      return
    }
    buffer += chunk[..<count]
    while let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
      onLine(Substring(decoding: buffer[..<end], as: UTF8.self))
      buffer.removeSubrange(...end)
    }
  }
}
