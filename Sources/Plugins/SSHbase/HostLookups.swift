import Core
import DequeModule
import EventLoop
import Identity
import Logging

/// Asks name service for the addresses of clients, and for the names of those: each name once, beside the answers.
///
/// What was found is kept for the life of the server, as in Bcfg2; what was not found is asked again some time later.
/// Names of clients that registered themselves, which may be anybody's, are asked for one at a time, so that the others
/// do not wait behind them.
final class HostLookups {
  /// Names that are asked for at a time.
  nonisolated static let concurrentLimit = 16
  /// The same of clients that registered themselves: the resolver has two helpers for what the repository asks.
  nonisolated static let concurrentRegisteredLimit = 1
  /// Addresses of a name whose names are asked for.
  nonisolated static let addressLimit = 8
  /// How long an answer waits for the names that it needs. The others come into later answers.
  nonisolated static let waitLimit = Duration.seconds(10)
  /// How long after a failure a name is looked up again.
  nonisolated static let failureDuration = Duration.seconds(600)

  private struct Answer {
    var texts: [String]
    /// nil: it is kept.
    var expires: MonotonicTime?
  }

  private final class Waiter {
    var left: Set<ClientName>
    var continuation: CheckedContinuation<Void, Never>?

    init(_ names: Set<ClientName>) { left = names }

    func end() {
      continuation?.resume()
      continuation = nil
    }
  }

  private unowned let core: ServerCore
  private let logger: Logger
  private var answers: [ClientName: Answer] = [:]
  /// Names that are asked for, or wait for that.
  private var underway: Set<ClientName> = []
  private var waiting: [(names: Deque<ClientName>, running: Int)] = [([], 0), ([], 0)]
  private var waiters: [Waiter] = []
  /// Called with a name that has an answer now.
  var onAnswer: (ClientName) -> Void = { _ in }

  init(core: ServerCore, logger: Logger) {
    self.core = core
    self.logger = logger
  }

  /// Addresses and names that were found for a name.
  func found(_ name: ClientName) -> [String] { answers[name]?.texts ?? [] }

  /// Begins to look a name up, unless its answer is kept.
  func want(_ name: ClientName, isSelfRegistered: Bool) {
    if let answer = answers[name], answer.expires.map({ $0 > core.loop.refreshNow() }) ?? true { return }
    guard underway.insert(name).inserted else { return }
    waiting[isSelfRegistered ? 1 : 0].names.append(name)
    pump()
  }

  /// Asks for a name before the others of clients that registered themselves: its client waits for it.
  func prefer(_ name: ClientName) {
    guard underway.contains(name), let place = waiting[1].names.firstIndex(of: name) else { return }
    waiting[1].names.remove(at: place)
    waiting[1].names.prepend(name)
  }

  /// Forgets a name that no client has any more.
  func forget(_ name: ClientName) { answers[name] = nil }

  /// Waits until those of some names have been asked for that have no answer yet, for `waitLimit` at most.
  func wait(for names: () -> Set<ClientName>) async {
    if underway.isEmpty { return }
    let waiter = Waiter(underway.filter { answers[$0] == nil }.intersection(names()))
    if waiter.left.isEmpty { return }
    let timer = core.loop.schedule(after: Self.waitLimit) { waiter.end() }
    await withCheckedContinuation {
      waiter.continuation = $0
      waiters.append(waiter)
    }
    timer.cancel()
    waiters.removeAll { $0 === waiter }
  }

  private func pump() {
    for (queue, limit) in [Self.concurrentLimit, Self.concurrentRegisteredLimit].enumerated() {
      while waiting[queue].running < limit, let name = waiting[queue].names.popFirst() {
        waiting[queue].running += 1
        Task { await ask(name, queue) }
      }
    }
  }

  private func ask(_ name: ClientName, _ queue: Int) async {
    let isFirst = answers[name] == nil
    let resolver = core.resolver
    let addresses = await resolver.addresses(of: name.text)
    if addresses.isEmpty, isFirst { logger.error("Failed to find IP address for \(name)") }
    var texts = addresses
    for address in addresses.prefix(Self.addressLimit) {
      if let found = await resolver.name(of: address) {
        // A name server may give an address of another host.
        if !HostNames.isNumber(found) { texts.append(found) }
      } else if isFirst {
        logger.error("Failed to find any names associated with IP address \(address)")
      }
    }
    answers[name] = Answer(
      texts: texts, expires: addresses.isEmpty ? core.loop.refreshNow() + Self.failureDuration : nil)
    underway.remove(name)
    waiting[queue].running -= 1
    onAnswer(name)
    for waiter in waiters where waiter.left.remove(name) != nil && waiter.left.isEmpty { waiter.end() }
    pump()
  }
}
