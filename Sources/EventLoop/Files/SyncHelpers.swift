import CLinux
import Glibc
public import Logging

/// Waits for the disk in helper processes, so that a slow disk delays only those who wait for it.
///
/// A helper gets the descriptor over a socket and calls fsync. One is enough for a disk that is quick; where it keeps
/// somebody waiting for 20 ms, another one is started, up to a limit. Where more files wait than there are helpers, they
/// share one syncfs of their file system. Helpers that have nothing to do end.
///
/// Processes rather than io_uring, which containers and hardened kernels refuse, and rather than threads, which the
/// server has none of. Where no helper can be had, the loop waits for the disk itself.
public final class SyncHelpers: FileSynchronizer {
  /// Starts a helper that has the socket as its own; the descriptor stays the caller's. Returns what ends it.
  public typealias Start = @MainActor (_ socket: Int32, _ loop: Reactor) throws(SystemError) -> () -> Void

  nonisolated static let helperLimit = 8
  /// Files that wait; where there are more, they share one synchronization.
  nonisolated static let sharingLimit = 16
  /// How long all helpers may be busy before there is one more.
  nonisolated static let patience = Duration.milliseconds(20)
  /// How long a helper beyond the first has nothing to do before it ends, and the first.
  nonisolated static let spareTime = Duration.seconds(1)
  nonisolated static let idleTime = Duration.seconds(10)
  /// Helpers that may die of one file.
  private nonisolated static let attemptLimit = 2

  private final class Request {
    let descriptor: Int32
    let device: UInt
    let completion: (Int32) -> Void
    var attempts = 0

    init(_ descriptor: Int32, _ completion: @escaping (Int32) -> Void) {
      self.descriptor = descriptor
      self.completion = completion
      var status = stat()
      device = fstat(descriptor, &status) == 0 ? UInt(status.st_dev) : 0
    }
  }

  /// A helper, our end of its socket, and what it is busy with.
  private final class Worker {
    let socket: Int32
    var owner: FileDescriptor?
    var watcher: Watcher?
    var end: (() -> Void)?
    var requests: [Request] = []
    var kind = SyncHelper.Kind.file
    var number: UInt32 = 0

    init(_ descriptor: consuming FileDescriptor) {
      socket = descriptor.rawValue
      owner = consume descriptor
    }
  }

  private unowned let loop: Reactor
  private let logger: Logger
  private let start: Start
  private var workers: [Worker] = []
  private var queue: [Request] = []
  private var lastNumber: UInt32 = 0
  private var patienceTimer: Timer?
  private var idleTimer: Timer?
  private var hasComplained = false
  private var isClosed = false

  /// - Parameter start: how a helper is started; by default it is this executable, which must call
  ///   `SyncHelper.runIfAsked()` first.
  public init(
    on loop: Reactor, logger: Logger = Logger(label: "SyncHelpers"),
    start: @escaping Start = SyncHelpers.startOwnExecutable
  ) {
    self.loop = loop
    self.logger = logger
    self.start = start
  }

  /// How many helpers run.
  public var helperCount: Int { workers.count }

  public func synchronize(_ descriptor: Int32, _ completion: @escaping (Int32) -> Void) {
    guard !isClosed else { return completion(ECANCELED) }
    queue.append(Request(descriptor, completion))
    pump()
  }

  public func close() {
    isClosed = true
    patienceTimer?.cancel()
    idleTimer?.cancel()
    let left = workers.flatMap(\.requests) + queue
    queue = []
    for worker in workers { discard(worker) }
    for request in left { request.completion(ECANCELED) }
  }

  /// Runs this executable as a helper.
  public static func startOwnExecutable(_ socket: Int32, _ loop: Reactor) throws(SystemError) -> () -> Void {
    try startExecutable("/proc/self/exe", socket, loop)
  }

  static func startExecutable(_ path: String, _ socket: Int32, _ loop: Reactor) throws(SystemError) -> () -> Void {
    var configuration = ChildProcess.Configuration([path, SyncHelper.argument])
    configuration.descriptors = [SyncHelper.socketNumber: socket]
    let child = try ChildProcess(configuration, on: loop)
    return { child.kill(SIGKILL) }
  }

  // MARK: Files

  /// Gives waiting files to helpers, as long as one is free.
  private func pump() {
    while !queue.isEmpty, !isClosed {
      var worker = workers.first { $0.requests.isEmpty }
      if worker == nil && workers.isEmpty { worker = addWorker() }
      if let worker {
        send(nextRequests(), to: worker)
      } else if workers.isEmpty {
        let request = queue.removeFirst()
        request.completion(SyncHelper.synchronize(request.descriptor, .file))
      } else {
        waitForPatience()
        return
      }
    }
  }

  /// The file that has waited longest; where many wait, all those of its file system.
  private func nextRequests() -> [Request] {
    guard queue.count > Self.sharingLimit else { return [queue.removeFirst()] }
    let device = queue[0].device
    let shared = queue.filter { $0.device == device && $0.attempts == 0 }
    guard shared.count > 1 else { return [queue.removeFirst()] }
    queue.removeAll { $0.device == device && $0.attempts == 0 }
    return shared
  }

  private func waitForPatience() {
    guard workers.count < Self.helperLimit, patienceTimer?.isScheduled != true else { return }
    patienceTimer = loop.schedule(after: Self.patience) { [weak self] in
      guard let self, !queue.isEmpty, !workers.contains(where: { $0.requests.isEmpty }) else { return }
      if addWorker() != nil { pump() }
    }
  }

  private func send(_ requests: [Request], to worker: Worker) {
    lastNumber &+= 1
    worker.number = lastNumber
    worker.requests = requests
    worker.kind = requests.count > 1 ? .fileSystem : .file
    for request in requests { request.attempts += 1 }
    let packet = SyncHelper.question(lastNumber, worker.kind)
    let count = clinux_send_descriptor(worker.socket, packet, packet.count, requests[0].descriptor)
    if count != packet.count { lose(worker, String(cString: strerror(errno))) }
  }

  private func receive(_ worker: Worker) {
    var packet = [UInt8](repeating: 0, count: SyncHelper.answerBytes)
    let count = recv(worker.socket, &packet, packet.count, 0)
    let code = errno
    if count < 0 && (code == EAGAIN || code == EINTR) { return }
    if count <= 0 { return lose(worker, count == 0 ? "it ended" : String(cString: strerror(code))) }
    guard let answer = SyncHelper.answer([UInt8](packet[..<count])), !worker.requests.isEmpty,
      answer.number == worker.number
    else { return lose(worker, "its answer makes no sense") }
    let requests = worker.requests
    worker.requests = []
    hasComplained = false
    if requests.count > 1 && answer.code != 0 {
      // One of them, or a file of somebody else: each by itself tells whose error it is.
      queue.insert(contentsOf: requests, at: 0)
    } else {
      for request in requests { request.completion(answer.code) }
    }
    pump()
    rest()
  }

  // MARK: Helpers

  private func addWorker() -> Worker? {
    do throws(SystemError) {
      return try makeWorker()
    } catch {
      complain("\(error)")
      return nil
    }
  }

  private func makeWorker() throws(SystemError) -> Worker {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    if socketpair(AF_UNIX, type, 0, &pair) != 0 { throw SystemError(call: "socketpair", errno: errno) }
    let worker = Worker(FileDescriptor(owning: pair[0]))
    let theirs = FileDescriptor(owning: pair[1])
    try worker.owner?.setNonblocking()
    worker.end = try start(theirs.rawValue, loop)
    do throws(SystemError) {
      worker.watcher = try loop.register(worker.socket, interest: .read) { [unowned self, unowned worker] _ in
        receive(worker)
      }
    } catch {
      worker.end?()
      throw error
    }
    workers.append(worker)
    return worker
  }

  /// The helper has ended, or talks nonsense: another one gets its files.
  private func lose(_ worker: Worker, _ reason: String) {
    let requests = worker.requests
    worker.requests = []
    discard(worker)
    complain("a helper was lost: \(reason)")
    for request in requests.reversed() {
      if request.attempts < Self.attemptLimit {
        queue.insert(request, at: 0)
      } else {
        request.completion(SyncHelper.synchronize(request.descriptor, .file))
      }
    }
    pump()
  }

  private func discard(_ worker: Worker) {
    workers.removeAll { $0 === worker }
    worker.watcher?.cancel()
    worker.watcher = nil
    worker.end?()
    worker.end = nil
    if let owner = worker.owner.take() { loop.closeLater(owner) }
  }

  /// Once per outage: an answer ends it.
  private func complain(_ reason: String) {
    if hasComplained { return }
    hasComplained = true
    logger.warning("No helper process waits for the disk, so a slow disk delays all clients: \(reason)")
  }

  /// Ends helpers that have had nothing to do for a while.
  private func rest() {
    idleTimer?.cancel()
    guard queue.isEmpty, workers.allSatisfy({ $0.requests.isEmpty }) else { return }
    let isSpare = workers.count > 1
    idleTimer = loop.schedule(after: isSpare ? Self.spareTime : Self.idleTime) { [weak self] in
      guard let self, queue.isEmpty, workers.allSatisfy({ $0.requests.isEmpty }) else { return }
      for worker in isSpare ? Array(workers.dropFirst()) : workers { discard(worker) }
      if isSpare { rest() }
    }
  }
}
