import Glibc
public import Logging

/// Asks the system's resolver (hosts file, name servers, whatever nsswitch.conf says) without waiting on the loop:
/// helper processes wait instead.
///
/// One helper is started at the first question and stays. Each answers one question at a time, so that a slow name
/// server delays only its own: more helpers, up to a limit, are started while all are busy, and end when nothing waits.
///
/// Who asks has a share. Clients whose address has authenticated go first and may have every helper; what the repository
/// asks (SSHbase, NagiosGen) and what strangers make the server ask may have two helpers each and three together. So
/// strangers whose name servers do not answer delay strangers. Of one network (IPv4 /24, IPv6 /48) a few questions wait.
///
/// The Python server asks at every request. Here an answer is kept for 5 seconds, so that the calls of one client's run
/// share it; what was not found is asked again.
public final class HostResolver: AddressResolver {
  /// A started helper.
  public struct Helper {
    /// Ends it at once, whatever it does.
    public let kill: () -> Void
    public init(kill: @escaping () -> Void) { self.kill = kill }
  }

  /// Starts a helper that has the socket as its own; the descriptor stays the caller's.
  public typealias Start = @MainActor (_ socket: Int32, _ loop: Reactor) throws(SystemError) -> Helper

  /// How long a question may take, with its wait for a free helper.
  public nonisolated static let deadline = Duration.seconds(5)
  /// How long an answer is kept.
  public nonisolated static let cacheDuration = Duration.seconds(5)
  nonisolated static let cacheLimit = 1024
  nonisolated static let helperLimit = 4
  /// Helpers that the repository's questions may have, and strangers', and both together.
  nonisolated static let shareLimit = 2
  nonisolated static let sharedLimit = 3
  /// Questions that wait, of clients and of the repository; further ones are answered with nothing.
  nonisolated static let questionLimit = 1024
  /// The same of strangers, of all and of one network.
  nonisolated static let strangerLimit = 256
  nonisolated static let networkLimit = 8
  /// Addresses of clients that are remembered, twice: when one set is full, the older one goes.
  nonisolated static let clientLimit = 4096
  /// Helpers that may die of one question.
  private nonisolated static let attemptLimit = 2

  /// Whose questions they are, in the order in which they are answered.
  private enum Asker: Int, CaseIterable {
    case client, repository, stranger
  }

  private struct Key: Hashable {
    let kind: ResolverHelper.Kind
    let text: String
  }

  private final class Question {
    let key: Key
    var asker: Asker
    /// Of a stranger's address.
    let network: HostNetwork?
    var attempts = 0
    var timer: Timer?
    var waiters: [CheckedContinuation<[String], Never>] = []

    init(_ key: Key, _ asker: Asker, _ network: HostNetwork?) {
      self.key = key
      self.asker = asker
      self.network = network
    }
  }

  /// A helper, our end of its socket, and what it is busy with.
  private final class Worker {
    let socket: Int32
    var owner: FileDescriptor?
    var watcher: Watcher?
    var helper: Helper?
    var question: Question?
    var number: UInt32 = 0

    init(_ descriptor: consuming FileDescriptor) {
      socket = descriptor.rawValue
      owner = consume descriptor
    }
  }

  private let loop: Reactor
  private let logger: Logger
  private let start: Start
  private var workers: [Worker] = []
  private var pending: [Key: Question] = [:]
  /// By asker.
  private var queues = [[Question]](repeating: [], count: Asker.allCases.count)
  private var clients: Set<String> = []
  private var olderClients: Set<String> = []
  private var cache: [Key: (answers: [String], expires: MonotonicTime)] = [:]
  private var lastNumber: UInt32 = 0
  private var hasComplained = false
  private var isShutDown = false

  /// - Parameter start: how a helper is started; by default it is this executable, which must call
  ///   `ResolverHelper.runIfAsked()` first.
  public init(
    on loop: Reactor, logger: Logger = Logger(label: "HostResolver"),
    start: @escaping Start = HostResolver.startOwnExecutable
  ) {
    self.loop = loop
    self.logger = logger
    self.start = start
  }

  isolated deinit { shutdown() }

  public func name(of address: String) async -> String? { await ask(.name, address, for: .repository).first }

  public func name(ofPeer address: String) async -> String? {
    let isClient = clients.contains(address) || olderClients.contains(address)
    return await ask(.name, address, for: isClient ? .client : .stranger).first
  }

  public func addresses(of name: String) async -> [String] { await ask(.addresses, name, for: .repository) }

  public func noteClient(at address: String) {
    if clients.contains(address) { return }
    if clients.count >= Self.clientLimit {
      olderClients = clients
      clients = []
    }
    clients.insert(address)
  }

  /// How many helpers run.
  public var helperCount: Int { workers.count }

  /// Ends the helpers; what waits, and whatever is asked later, is answered with nothing.
  public func shutdown() {
    isShutDown = true
    for worker in workers { discard(worker) }
    for question in Array(pending.values) { finish(question, []) }
  }

  /// Runs this executable as a helper.
  public static func startOwnExecutable(_ socket: Int32, _ loop: Reactor) throws(SystemError) -> Helper {
    try startExecutable("/proc/self/exe", socket, loop)
  }

  static func startExecutable(_ path: String, _ socket: Int32, _ loop: Reactor) throws(SystemError) -> Helper {
    var configuration = ChildProcess.Configuration([path, ResolverHelper.argument])
    configuration.descriptors = [ResolverHelper.socketNumber: socket]
    let child = try ChildProcess(configuration, on: loop)
    return Helper(kill: { child.kill(SIGKILL) })
  }

  // MARK: Questions

  private func ask(_ kind: ResolverHelper.Kind, _ text: String, for asker: Asker) async -> [String] {
    let key = Key(kind: kind, text: text)
    if let cached = cache[key], cached.expires > loop.refreshNow() { return cached.answers }
    let isAskable = !text.isEmpty && text.utf8.count < ResolverHelper.textLimitBytes && !text.utf8.contains(0)
    if isShutDown || !isAskable { return [] }
    return await withCheckedContinuation { continuation in
      if let question = pending[key] {
        question.waiters.append(continuation)
        promote(question, to: asker)
        return
      }
      let network = asker == .stranger ? HostNetwork(of: text) : nil
      if let reason = refusal(asker, network) {
        complain(reason)
        return continuation.resume(returning: [])
      }
      let question = Question(key, asker, network)
      question.waiters.append(continuation)
      pending[key] = question
      queues[asker.rawValue].append(question)
      question.timer = loop.schedule(after: HostResolver.deadline) { [weak self] in self?.expire(question) }
      pump()
    }
  }

  /// Why one more question cannot wait; nil where it can.
  private func refusal(_ asker: Asker, _ network: HostNetwork?) -> String? {
    let waiting = queues[asker.rawValue]
    let limit = asker == .stranger ? Self.strangerLimit : Self.questionLimit
    if waiting.count >= limit { return "more than \(limit) questions wait" }
    guard let network, waiting.count(where: { $0.network == network }) >= Self.networkLimit else { return nil }
    return "more than \(Self.networkLimit) questions of strangers in \(network) wait"
  }

  /// Somebody with a better share asks the same.
  private func promote(_ question: Question, to asker: Asker) {
    guard asker.rawValue < question.asker.rawValue else { return }
    if let index = queues[question.asker.rawValue].firstIndex(where: { $0 === question }) {
      queues[question.asker.rawValue].remove(at: index)
      queues[asker.rawValue].append(question)
    }
    question.asker = asker
    pump()
  }

  private func finish(_ question: Question, _ answers: [String]) {
    guard pending.removeValue(forKey: question.key) != nil else { return }
    question.timer?.cancel()
    question.timer = nil
    queues[question.asker.rawValue].removeAll { $0 === question }
    if !answers.isEmpty { keep(question.key, answers) }
    let waiters = question.waiters
    question.waiters = []
    for waiter in waiters { waiter.resume(returning: answers) }
  }

  private func keep(_ key: Key, _ answers: [String]) {
    let now = loop.refreshNow()
    if cache.count >= HostResolver.cacheLimit { cache = cache.filter { $0.value.expires > now } }
    if cache.count >= HostResolver.cacheLimit { cache.removeAll() }
    cache[key] = (answers, now + HostResolver.cacheDuration)
  }

  /// A helper that still waits for the name server is of no more use.
  private func expire(_ question: Question) {
    complain("no answer for \(question.key.text) within \(HostResolver.deadline)")
    if let worker = workers.first(where: { $0.question === question }) { discard(worker) }
    finish(question, [])
    pump()
  }

  /// Once per outage: an answer ends it.
  private func complain(_ reason: String) {
    if hasComplained { return }
    hasComplained = true
    logger.warning("Host names cannot be resolved: \(reason)")
  }

  // MARK: Helpers

  /// Gives waiting questions to helpers, as long as one is free or may be started.
  private func pump() {
    while let question = next(), !isShutDown {
      var worker = workers.first { $0.question == nil }
      if worker == nil && workers.count < HostResolver.helperLimit {
        do throws(SystemError) {
          worker = try makeWorker()
        } catch {
          complain("no helper process: \(error)")
          // With another helper at work the question can wait for that one.
          if workers.isEmpty { finish(question, []) } else { return }
          continue
        }
      }
      guard let worker else { return }
      queues[question.asker.rawValue].removeFirst()
      send(question, to: worker)
    }
  }

  /// The question whose turn it is, of those that have a helper left in their share.
  private func next() -> Question? {
    var busy = [Int](repeating: 0, count: Asker.allCases.count)
    for worker in workers { if let question = worker.question { busy[question.asker.rawValue] += 1 } }
    let shared = busy[Asker.repository.rawValue] + busy[Asker.stranger.rawValue]
    for asker in Asker.allCases {
      guard let question = queues[asker.rawValue].first else { continue }
      if asker == .client { return question }
      if busy[asker.rawValue] < Self.shareLimit, shared < Self.sharedLimit { return question }
    }
    return nil
  }

  private func makeWorker() throws(SystemError) -> Worker {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    if socketpair(AF_UNIX, type, 0, &pair) != 0 { throw SystemError(call: "socketpair", errno: errno) }
    let worker = Worker(FileDescriptor(owning: pair[0]))
    let theirs = FileDescriptor(owning: pair[1])
    try worker.owner?.setNonblocking()
    worker.helper = try start(theirs.rawValue, loop)
    do throws(SystemError) {
      worker.watcher = try loop.register(worker.socket, interest: .read) { [unowned self, unowned worker] _ in
        receive(worker)
      }
    } catch {
      worker.helper?.kill()
      throw error
    }
    workers.append(worker)
    return worker
  }

  private func send(_ question: Question, to worker: Worker) {
    lastNumber &+= 1
    worker.number = lastNumber
    worker.question = question
    question.attempts += 1
    let packet = ResolverHelper.encode(lastNumber, question.key.kind.rawValue, question.key.text)
    let count = Glibc.send(worker.socket, packet, packet.count, Int32(MSG_NOSIGNAL))
    if count != packet.count { lose(worker, String(cString: strerror(errno))) }
  }

  private func receive(_ worker: Worker) {
    let read = withUnsafeTemporaryAllocation(byteCount: ResolverHelper.packetLimitBytes, alignment: 1) { buffer in
      let count = recv(worker.socket, buffer.baseAddress, buffer.count, 0)
      return count < 0 ? (packet: [], code: errno) : (packet: [UInt8](buffer[..<count]), code: 0)
    }
    if read.code == EAGAIN || read.code == EINTR { return }
    if read.packet.isEmpty { return lose(worker, read.code == 0 ? "it ended" : String(cString: strerror(read.code))) }
    guard let answer = ResolverHelper.decode(read.packet[...]), let question = worker.question,
      answer.number == worker.number
    else { return lose(worker, "its answer makes no sense") }
    worker.question = nil
    hasComplained = false
    finish(question, answer.text.utf8.split(separator: UInt8(ascii: "\n")).map { String(Substring($0)) })
    pump()
    if worker.question == nil && workers.count > 1 { discard(worker) }
  }

  /// The helper has ended, or talks nonsense: another one gets its question.
  private func lose(_ worker: Worker, _ reason: String) {
    let question = worker.question
    discard(worker)
    if let question {
      if question.attempts < HostResolver.attemptLimit {
        queues[question.asker.rawValue].insert(question, at: 0)
      } else {
        complain("the helper process failed at \(question.key.text): \(reason)")
        finish(question, [])
      }
    }
    pump()
  }

  private func discard(_ worker: Worker) {
    workers.removeAll { $0 === worker }
    worker.watcher?.cancel()
    worker.watcher = nil
    worker.helper?.kill()
    if let owner = worker.owner.take() { loop.closeLater(owner) }
  }
}
