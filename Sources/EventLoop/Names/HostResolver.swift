import Glibc
public import Logging

/// Asks the system's resolver (hosts file, name servers, whatever nsswitch.conf says) without waiting on the loop:
/// helper processes wait instead.
///
/// One helper is started at the first question and stays. Each answers one question at a time, so that a slow name
/// server delays only its own: more helpers, up to a limit, are started while all are busy, and end when nothing waits.
///
/// Each asker has a share of the helpers. Questions about clients whose address has authenticated go first and may use
/// every helper. Questions of the repository (SSHbase, NagiosGen) and those that strangers cause may use two helpers each
/// and three together, so that strangers whose name servers do not answer delay only strangers. A network (IPv4 /24,
/// IPv6 /48) of strangers may have a few waiting questions.
///
/// The Python server asks at every request. Here an answer is kept for 5 seconds, so that the calls of one client's run
/// share it; what was not found is asked again.
public final class HostResolver: AddressResolver {
  /// How long a question may take, with its wait for a free helper.
  public nonisolated static let deadline = Duration.seconds(5)
  /// How long an answer is kept.
  public nonisolated static let cacheDuration = Duration.seconds(5)
  nonisolated static let cacheLimit = 1024
  nonisolated static let helperLimit = 4
  /// Helpers that questions of the repository may use, and those of strangers.
  nonisolated static let shareLimit = 2
  /// Helpers that both together may use.
  nonisolated static let sharedLimit = 3
  /// Questions of clients and of the repository that wait; further ones are answered with nothing.
  nonisolated static let questionLimit = 1024
  /// Questions of strangers that wait.
  nonisolated static let strangerLimit = 256
  /// Questions of strangers in one network that wait.
  nonisolated static let networkLimit = 8
  /// Addresses of clients in each of the two sets that remember them; when the newer set is full, the older one is dropped.
  nonisolated static let clientLimit = 4096
  /// Helpers that one question may end.
  private nonisolated static let attemptLimit = 2

  /// The origin of a question, in order of precedence.
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

  private typealias Pool = HelperPool<Question, String>

  private let loop: Reactor
  private let logger: Logger
  private let pool: Pool
  private var pending: [Key: Question] = [:]
  /// By asker.
  private var queues = [[Question]](repeating: [], count: Asker.allCases.count)
  private var clients: Set<String> = []
  private var olderClients: Set<String> = []
  private var cache: [Key: (answers: [String], expires: MonotonicTime)] = [:]
  private var hasComplained = false
  private var isShutDown = false

  /// - Parameter start: how a helper is started; by default it is this executable, which must call
  ///   `ResolverHelper.runIfAsked()` first.
  public init(
    on loop: Reactor, logger: Logger = Logger(label: "HostResolver"),
    start: HelperStart? = nil
  ) {
    self.loop = loop
    self.logger = logger
    pool = Pool(
      on: loop, start: start ?? ResolverHelper.process.start(), answerLimitBytes: ResolverHelper.answerLimitBytes
    ) { ResolverHelper.decode($0)?.text }
    pool.onAnswer = { [unowned self] helper, question, text in receive(text, for: question, from: helper) }
    pool.onLoss = { [unowned self] question, reason in retry(question, reason) }
  }

  isolated deinit { shutdown() }

  public func name(of address: String) async -> String? { await ask(.name, address, for: .repository).first }

  public func name(ofPeer address: String) async -> String? {
    let isClient = clients.contains(address) || olderClients.contains(address)
    return await ask(.name, address, for: isClient ? .client : .stranger).first
  }

  public func addresses(of name: String) async -> [String] { await ask(.addresses, name, for: .repository) }

  public func recordClient(at address: String) {
    if clients.contains(address) { return }
    if clients.count >= Self.clientLimit {
      olderClients = clients
      clients = []
    }
    clients.insert(address)
  }

  /// How many helpers run.
  public var helperCount: Int { pool.count }

  /// Ends the helpers; what waits, and whatever is asked later, is answered with nothing.
  public func shutdown() {
    isShutDown = true
    pool.endAll()
    for question in Array(pending.values) { finish(question, []) }
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

  /// Moves a question to a better share, because somebody who has that asks the same.
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
    if let helper = pool.helpers.first(where: { $0.job === question }) { pool.end(helper) }
    finish(question, [])
    pump()
  }

  /// Logs a reason once per outage, which the next answer ends.
  private func complain(_ reason: String) {
    if hasComplained { return }
    hasComplained = true
    logger.warning("Host names cannot be resolved: \(reason)")
  }

  // MARK: Helpers

  /// Gives waiting questions to helpers, as long as one is idle or may be started.
  private func pump() {
    while let question = next(), !isShutDown {
      var helper = pool.idle
      if helper == nil && pool.count < HostResolver.helperLimit {
        do throws(SystemError) {
          helper = try pool.add()
        } catch {
          complain("no helper process: \(error)")
          // With another helper at work the question can wait for that one.
          if pool.count == 0 { finish(question, []) } else { return }
          continue
        }
      }
      guard let helper else { return }
      queues[question.asker.rawValue].removeFirst()
      question.attempts += 1
      pool.send(question, ResolverHelper.encode(question.key.kind.rawValue, question.key.text), to: helper)
    }
  }

  /// The question whose turn it is, of those that have a helper left in their share.
  private func next() -> Question? {
    var busy = [Int](repeating: 0, count: Asker.allCases.count)
    for question in pool.jobs { busy[question.asker.rawValue] += 1 }
    let shared = busy[Asker.repository.rawValue] + busy[Asker.stranger.rawValue]
    for asker in Asker.allCases {
      guard let question = queues[asker.rawValue].first else { continue }
      if asker == .client { return question }
      if busy[asker.rawValue] < Self.shareLimit, shared < Self.sharedLimit { return question }
    }
    return nil
  }

  private func receive(_ text: String, for question: Question, from helper: Pool.Helper) {
    hasComplained = false
    finish(question, text.utf8.split(separator: UInt8(ascii: "\n")).map { String(Substring($0)) })
    pump()
    if helper.job == nil && pool.count > 1 { pool.end(helper) }
  }

  /// A helper has ended, or its answer makes no sense: another one gets its question.
  private func retry(_ question: Question?, _ reason: String) {
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
}
