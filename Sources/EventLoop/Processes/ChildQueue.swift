/// Limits the programs that run at once; further ones wait, in order of arrival.
///
/// `ChildProcess.run` enters its loop's queue, so that a crowd of requests does not start a crowd of processes: each costs
/// four descriptors, memory, and a share of the processors that those before it need to end.
@MainActor public final class ChildQueue {
  /// Whether anybody waits for the program's output.
  public nonisolated enum Urgency: Sendable {
    /// A request waits for it.
    case awaited
    /// Nobody waits. Such programs have half of the places, so that awaited ones do not wait behind them; awaited ones
    /// overtake them in the queue.
    case background
  }

  /// Programs that run at once, 1 or more. More places are given out at once, fewer when programs end.
  public var limit: Int {
    didSet {
      precondition(limit > 0, "without a place no program ever runs")
      admit()
    }
  }
  /// Programs that wait at once; a further one is refused.
  public var waitingLimit: Int
  /// How long any program may run, whatever its caller allows.
  public var timeLimit: Duration

  /// Programs that run.
  public var runningCount: Int { awaitedCount + backgroundCount }
  /// Programs that wait.
  public private(set) var waitingCount = 0
  private var awaitedCount = 0
  private var backgroundCount = 0
  private var lines: [Urgency: Line] = [.awaited: Line(), .background: Line()]
  private var lastTicket: UInt64 = 0

  /// Those of one urgency that wait.
  private struct Line {
    /// In their order; a ticket that is not in `waiters` was withdrawn.
    var tickets: [UInt64] = []
    var next = 0
    var waiters: [UInt64: CheckedContinuation<Bool, Never>] = [:]

    mutating func append(_ ticket: UInt64, _ waiter: CheckedContinuation<Bool, Never>) {
      tickets.append(ticket)
      waiters[ticket] = waiter
    }

    /// The ticket of the first that still waits.
    mutating func first() -> UInt64? {
      while next < tickets.count, waiters[tickets[next]] == nil { next += 1 }
      if next == tickets.count {
        tickets.removeAll()
        next = 0
      } else if next > 1024 {
        tickets.removeFirst(next)
        next = 0
      }
      return tickets.isEmpty ? nil : tickets[next]
    }
  }

  init(limit: Int, waitingLimit: Int, timeLimit: Duration) {
    self.limit = limit
    self.waitingLimit = waitingLimit
    self.timeLimit = timeLimit
  }

  private var backgroundLimit: Int { max(1, limit / 2) }

  private func isFree(_ urgency: Urgency) -> Bool {
    runningCount < limit && (urgency == .awaited || backgroundCount < backgroundLimit)
  }

  /// Takes a place, or waits for one. `leave` is to follow a success.
  ///
  /// - Returns: false where the task was cancelled while it waited.
  /// - Throws: `LimitReached` where too many wait.
  func enter(_ urgency: Urgency) async throws(LimitReached) -> Bool {
    if isFree(urgency), lines[urgency]?.first() == nil {
      count(urgency, 1)
      return true
    }
    guard waitingCount < waitingLimit else { throw LimitReached(waiting: waitingLimit) }
    lastTicket += 1
    let ticket = lastTicket
    waitingCount += 1
    return await withTaskCancellationHandler {
      await withCheckedContinuation { lines[urgency]?.append(ticket, $0) }
    } onCancel: {
      Task { @MainActor in self.withdraw(ticket, urgency) }
    }
  }

  /// Releases a place.
  func leave(_ urgency: Urgency) {
    count(urgency, -1)
    admit()
  }

  private func count(_ urgency: Urgency, _ number: Int) {
    switch urgency {
    case .awaited: awaitedCount += number
    case .background: backgroundCount += number
    }
  }

  /// Admits those that came first to free places.
  private func admit() {
    while let (urgency, ticket) = firstThatMayRun(), let waiter = lines[urgency]?.waiters.removeValue(forKey: ticket) {
      waitingCount -= 1
      count(urgency, 1)
      waiter.resume(returning: true)
    }
  }

  private func firstThatMayRun() -> (Urgency, UInt64)? {
    var found: (Urgency, UInt64)?
    for urgency in [Urgency.awaited, .background] where isFree(urgency) {
      guard let ticket = lines[urgency]?.first(), ticket < found?.1 ?? .max else { continue }
      found = (urgency, ticket)
    }
    return found
  }

  private func withdraw(_ ticket: UInt64, _ urgency: Urgency) {
    guard let waiter = lines[urgency]?.waiters.removeValue(forKey: ticket) else { return }
    waitingCount -= 1
    waiter.resume(returning: false)
  }

  /// So many programs wait that another one is refused.
  struct LimitReached: Error {
    let waiting: Int
  }
}
