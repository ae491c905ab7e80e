import Core
import DequeModule
import EventLoop
import Logging
import ServerSettings
import XMLRPC

/// Starts the children of a core, keeps them alive, and distributes requests.
///
/// A child gets a few requests at a time; the others wait here, free to go to the next available child, and a child
/// that dies or hangs loses few of them.
final class ChildPool {
  /// Most requests of one child at a time. It builds one after the other, but some wait for processes of their own.
  static let requestsPerChild = 8

  private struct Waiter {
    let mayGiveUp: Bool
    let preferred: String?
    let continuation: CheckedContinuation<String?, Never>
  }

  let queue = RPCQueue()
  private let loop: Reactor
  private let logger: Logger
  private var slots: [ChildSlot] = []
  private var waiters: Deque<Waiter> = []
  /// Requests that wait for a child.
  var waiterCount: Int { waiters.count }
  private var startWaiters: [CheckedContinuation<Void, Never>] = []
  private var lastChosen = -1
  private var isStopping = false
  private var onStopped: (() -> Void)?
  private var shutdownTimer: Timer?
  /// The strategy to choose a child.
  var selection: ChildSelection

  init(selection: ChildSelection, loop: Reactor, logger: Logger) {
    self.selection = selection
    self.loop = loop
    self.logger = logger
    queue.onFrame = { [unowned self] name, kind in
      slot(name)?.received(kind)
      if kind != .log { pump() }
    }
    queue.onEnd = { [unowned self] name, reason in slot(name)?.channelEnded(reason) }
  }

  /// Starts children `Child-0`, `Child-1` ...
  ///
  /// - Parameters:
  ///   - limits: time limits of a child.
  ///   - launch: starts one.
  func start(count: Int, limits: ChildSlot.Limits, launch: @escaping ChildSlot.Launch) {
    for number in 0..<count {
      let slot = ChildSlot(
        name: "Child-\(number)", queue: queue, loop: loop, logger: logger, limits: limits, launch: launch)
      slot.onChange = { [unowned self] in changed() }
      slots.append(slot)
    }
    for slot in slots { slot.start() }
  }

  /// The children, running or not.
  var children: [ChildSlot] { slots }

  /// Reserves a child for a request; waits for a free one.
  ///
  /// - Parameters:
  ///   - mayGiveUp: returns nil if no child runs and none is being started, so that the caller can build
  ///     itself.
  ///   - preferred: the child that is taken if no other one has less to do.
  /// - Returns: nil also when the server stops.
  func acquire(mayGiveUp: Bool, preferring preferred: String? = nil) async -> String? {
    if waiters.isEmpty, let name = choose(preferred) { return name }
    return await withCheckedContinuation { continuation in
      waiters.append(Waiter(mayGiveUp: mayGiveUp, preferred: preferred, continuation: continuation))
      pump()
    }
  }

  /// Waits until every child is ready, or has ended once: what keeps one from starting is in the log, and others build.
  func started() async {
    guard slots.contains(where: \.isStarting), !isStopping else { return }
    await withCheckedContinuation { startWaiters.append($0) }
  }

  /// Stops the children: closes their socket pairs, and kills them after `limit`. A second call kills them now.
  func stop(limit: Duration, _ completion: @escaping () -> Void) {
    if isStopping {
      for slot in slots { slot.kill() }
      return
    }
    isStopping = true
    onStopped = completion
    pump()
    queue.close()
    for slot in slots { slot.stop() }
    shutdownTimer = loop.schedule(after: limit) { [weak self] in self?.killRemaining(limit) }
    changed()
  }

  /// Kills the remaining children without waiting: the process is about to end.
  func killAll() { for slot in slots { slot.kill() } }

  private func killRemaining(_ limit: Duration) {
    for slot in slots where slot.isRunning {
      logger.error("Waited \(limit.threeDecimals) seconds to shut down \(slot.name), terminating")
      slot.kill()
    }
  }

  private func slot(_ name: String) -> ChildSlot? { slots.first { $0.name == name } }

  private func changed() {
    pump()
    if !startWaiters.isEmpty, isStopping || !slots.contains(where: \.isStarting) {
      let waiters = startWaiters
      startWaiters = []
      for waiter in waiters { waiter.resume() }
    }
    guard isStopping, let completion = onStopped, !slots.contains(where: \.isRunning) else { return }
    onStopped = nil
    shutdownTimer?.cancel()
    shutdownTimer = nil
    completion()
  }

  // MARK: Work

  /// Releases a reservation of `acquire`: the request is in the queue, or was dropped.
  func release(_ name: String) { slot(name)?.release() }

  /// Calls a method of a running child and waits for its value.
  func call(_ name: String, _ method: String, _ parameters: [Value] = []) async throws -> Value {
    slot(name)?.reserve()
    slot(name)?.release()
    return try await queue.rpc(to: name, method, parameters)
  }

  private func pump() {
    while let first = waiters.first {
      if let name = choose(first.preferred) {
        waiters.removeFirst()
        first.continuation.resume(returning: name)
      } else if isStopping {
        waiters.removeFirst()
        first.continuation.resume(returning: nil)
      } else {
        break
      }
    }
    if !slots.contains(where: { $0.isReady || $0.isStarting }) { resumeUnservedWaiters() }
  }

  /// Without a running or starting child, returns nil to waiters that accept it.
  private func resumeUnservedWaiters() {
    let present = waiters
    waiters = Deque(present.filter { !$0.mayGiveUp })
    for waiter in present where waiter.mayGiveUp { waiter.continuation.resume(returning: nil) }
  }

  /// Reserves a ready child with room; nil if there is none.
  ///
  /// - Parameter preferred: taken if it has no more than one request beyond the least loaded child: what it made for a
  ///   client of the same profile is worth that. Not with `roundRobin`.
  private func choose(_ preferred: String?) -> String? {
    guard !isStopping, !slots.isEmpty else { return nil }
    if let preferred, selection != .roundRobin, let slot = slot(preferred), slot.isReady,
      slot.load < Self.requestsPerChild, slot.load <= 1 + (slots.lazy.filter(\.isReady).map(\.load).min() ?? 0)
    {
      slot.reserve()
      return slot.name
    }
    var chosen: (index: Int, load: Int)?
    for offset in 0..<slots.count {
      let index = (selection == .roundRobin ? lastChosen + 1 + offset : max(lastChosen, 0) + offset) % slots.count
      let slot = slots[index]
      guard slot.isReady, slot.load < Self.requestsPerChild else { continue }
      if selection == .roundRobin {
        chosen = (index, 0)
        break
      }
      if chosen.map({ slot.load < $0.load }) ?? true { chosen = (index, slot.load) }
    }
    guard let chosen else { return nil }
    lastChosen = chosen.index
    slots[chosen.index].reserve()
    return slots[chosen.index].name
  }
}
